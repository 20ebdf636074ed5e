"""What the scenarios are staged with: rows written at once, tasks that die where it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movies_etl.sync.asked_for import RunParams

from tests.simulation.edits import DESCRIPTION, MOST_FILMS
from tests.simulation.events import arrive, let_all_go
from tests.simulation.postgres import Film, Link, Named
from tests.simulation.runs import run
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


def leave_under_way(history: History, film: Film) -> None:
    """Let tasks die until a request with something of a film is under way without its task."""
    history.world.requests_leave = True
    for times in (1, 1, 2, 3):
        die(history, "bulk", times)
        if any(one.key == film.id for late in history.node.late for one in late.operations):
            break
    history.world.requests_leave = False


def any_film(history: History) -> Film | None:
    """Return a film that is not refused: any, or at rest a new one that only its own row leads to.

    A film with links is often read again for their sake, which fixes what was missed.
    """
    films: dict[str, Film] = history.postgres.tables["film_work"]
    if history.world.chance(0.2) or len(films) > MOST_FILMS:
        film: Film | None = free_row(history, "film_work")
        return None if film is None or film.title.startswith(POISON) else film
    history.writers.settle_down()
    key = f"f{history.runs}-own"
    write(history, "film_work", Film(key, None, "", key, None, DESCRIPTION))
    history.world.now += SETTLED
    return films[key]


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
    """Let a genre or person be of every film, so that its name matters to all."""
    key = f"{table[0]}-all"
    if key not in history.postgres.tables[table]:
        write(history, table, Named(key, None, "", key))
    links = history.postgres.tables[f"{table}_film_work"]
    missing = (
        film for film in history.postgres.tables["film_work"] if f"l-{film}-{key}" not in links
    )
    new = [Link(f"l-{film}-{key}", None, "", film, key, "writer") for film in missing]
    write(history, f"{table}_film_work", *new)


def add_films(history: History, least: int) -> None:
    """Write films until there are so many."""
    missing = least - len(history.postgres.tables["film_work"])
    keys = [f"f{history.runs}-{number}" for number in range(missing)]
    write(history, "film_work", *(Film(key, None, "", key, None, DESCRIPTION) for key in keys))


def rest(history: History) -> None:
    """Let every transaction end, and what was written lie below the horizon."""
    history.writers.settle_down()
    history.world.now += SETTLED


def rename_all(history: History, table: str) -> None:
    """Give every genre or person another name at once."""
    letter = history.world.pick("DEFG")
    rows = free_rows(history, table)
    write(history, table, *(row._replace(name=f"{row.id} {letter}") for row in rows))
