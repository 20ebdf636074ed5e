"""Scenarios of a database whose clock is set back, by hand or because another server took over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.events import let_all_go
from tests.simulation.runs import run
from tests.simulation.staging import (
    add_roots,
    free_row,
    free_rows,
    is_locked,
    link_all,
    rename_all,
    rest,
    write,
    write_in,
)
from tests.simulation.world import SECOND, weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


ENDS = (
    ("bulk, carried out, before its answer", 1),
    ("bulk, carried out, before its answer", 1),
    ("bulk", 1),
)
"""Where the task dies that had sent something just before."""


def go_back_in_time(history: History) -> None:
    """Rows are loaded, the clock is set back (in a run or before one), and names change."""
    root, row = history.shape.root, free_row(history, history.shape.root)
    if row is None:
        return
    write(history, root, row._replace(name=f"{row.id} sooner"))
    history.note("scenario: the clock is set back")
    table = history.world.pick(history.shape.linked)
    link_all(history, table)

    def set_back() -> None:
        history.world.set_back(history.world.random.randint(SECOND, 4 * SECOND))
        rename_all(history, table)

    if history.world.chance(0.5):
        run(history)
        set_back()
    else:
        history.world.meanwhile_at(f"feed/page.sql {table}", 1, set_back)
    run(history)
    history.world.doom = None


def die_and_go_back_in_time(history: History) -> None:
    """A task dies after a while; the clock is set back into that while; rows change again.

    The transaction that changes them began before that while, so its rows are stable although the
    clock has not yet reached the versions that the dead task sent: less than a margin is missing.
    """
    world, root = history.world, history.shape.root
    add_roots(history, 3)
    run(history)
    rest(history)
    rows = free_rows(history, root)
    history.note("scenario: a task dies and the clock is set back")
    write(history, root, *(row._replace(name=f"{row.id} sooner") for row in rows))
    transaction = history.postgres.begin()
    began = world.database_clock

    def dawdle() -> None:
        world.now += 8 * SECOND + world.random.randint(0, 3 * SECOND)
        world.doom_at(*world.pick(ENDS))

    # The version of a page is read just before its documents: that of the next is a while later.
    documents = f"{history.shape.definition.name}/documents.sql"
    world.meanwhile_at(documents, world.pick((1, 1, 2)), dawdle)
    run(history, retries=0, asked=RunParams(page_size=1))
    world.doom = None
    if world.hushed:
        let_all_go(history)
    world.set_back(max(0, world.now - began - 7 * SECOND))
    if transaction in history.postgres.open:
        free = [row for row in rows if not is_locked(history, root, row.id)]
        later = (row._replace(name=f"{row.id} later") for row in free)
        write_in(history, transaction, root, *later)
        history.postgres.commit(transaction)
    run(history, retries=0)
    world.set_back(0)
    world.now += 70 * SECOND
    run(history)


STEPS_BACK = weighted((go_back_in_time, 1), (die_and_go_back_in_time, 2))
"""Of histories in which the clock is set back, beside the others."""
