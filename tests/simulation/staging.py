"""What the scenarios are staged with: rows written at once, tasks that die where it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movies_etl.sync.asked_for import RunParams

from tests.simulation.edits import MOST_FILMS
from tests.simulation.events import arrive, let_all_go
from tests.simulation.runs import run
from tests.simulation.shapes import Root
from tests.simulation.shapes import row as new_row
from tests.simulation.world import SECOND
from tests.support.divergence import POISON

if TYPE_CHECKING:
    from tests.simulation.history import History
    from tests.simulation.postgres import Transaction

SETTLED = 12 * SECOND
"""After which what was written lies below the horizon, with nothing open."""


def die(history: History, action: str, times: int, asked: RunParams | None = None) -> None:
    """Let the task of a run die when it comes to an action for so many times."""
    history.world.doom_at(action, times)
    run(history, retries=0, asked=asked)
    history.world.doom = None
    if history.world.hushed:
        let_all_go(history)


def leave_under_way(history: History, row: Root) -> None:
    """Let tasks die until a request with something of a document is under way without its task."""
    history.world.requests_leave = True
    for times in (1, 1, 2, 3):
        die(history, "bulk", times)
        if any(one.key == row.id for late in history.node.late for one in late.operations):
            break
    history.world.requests_leave = False


def any_root(history: History) -> Root | None:
    """Return a root row that has a good name: any, or at rest a new one that nothing else leads to.

    A document with links is often read again for their sake, which fixes what was missed.
    """
    root = history.shape.root
    rows: dict[str, Root] = history.postgres.tables[root]
    if history.world.chance(0.2) or len(rows) > MOST_FILMS:
        one: Root | None = free_row(history, root)
        return None if one is None or not one.name or one.name.startswith(POISON) else one
    history.writers.settle_down()
    key = f"{root[0]}{history.runs}-own"
    write(history, root, new_row(root, key, key))
    history.world.now += SETTLED
    return rows[key]


def read_before_it_arrives(history: History) -> None:
    """Read what was just written; it may be for the last time, and then what is late arrives."""
    if history.world.chance(0.1):
        run(history)
        return
    rest(history)
    run(history)
    while history.node.late:
        arrive(history)


def is_locked(history: History, table: str, key: str) -> bool:
    """Whether an open transaction has written a row."""
    return history.postgres.is_locked(None, table, key)


def free_row(history: History, table: str) -> Any | None:
    """Return a committed row that no open transaction has written."""
    rows = free_rows(history, table)
    return history.world.pick(rows) if rows else None


def free_rows(history: History, table: str) -> list[Any]:
    """Return the committed rows that no open transaction has written."""
    rows = history.postgres.tables[table]
    return [row for key, row in rows.items() if not is_locked(history, table, key)]


def write(history: History, table: str, *rows: Any) -> None:
    """Write rows at once, in a transaction of their own, each with its stamp."""
    transaction = history.postgres.begin()
    write_in(history, transaction, table, *rows)
    history.postgres.commit(transaction)


def write_in(history: History, transaction: Transaction, table: str, *rows: Any) -> None:
    """Write rows in a transaction, each with its stamp."""
    for row in rows:
        new = row._replace(stamp=transaction.stamp, xmin=transaction.xmin)
        transaction.writes.append((table, new))
        history.note("%s: %s %s", transaction.name, table, tuple(new))


def link_all(history: History, table: str) -> None:
    """Link a row of a table with every document, so that its name matters to all."""
    if history.untraced:
        history.writers.settle_down()  # no link leads to a row that another transaction deletes
    shape, key = history.shape, f"{table[0]}-all"
    if key not in history.postgres.tables[table]:
        write(history, table, new_row(table, key, key))
    links = history.postgres.tables[shape.link_table(table)]
    missing = (
        root for root in history.postgres.tables[shape.root] if f"l-{root}-{key}" not in links
    )
    new = [shape.link(f"l-{root}-{key}", root, key) for root in missing]
    write(history, shape.link_table(table), *new)


def add_roots(history: History, least: int) -> None:
    """Write root rows until there are so many."""
    root = history.shape.root
    missing = least - len(history.postgres.tables[root])
    keys = [f"{root[0]}{history.runs}-{number}" for number in range(missing)]
    write(history, root, *(new_row(root, key, key) for key in keys))


def rest(history: History) -> None:
    """Let every transaction end, and what was written lie below the horizon."""
    history.writers.settle_down()
    history.world.now += SETTLED


def rename_all(history: History, table: str) -> None:
    """Give every row of a table another name at once."""
    letter = history.world.pick("DEFG")
    rows = free_rows(history, table)
    write(history, table, *(row._replace(name=f"{row.id} {letter}") for row in rows))
