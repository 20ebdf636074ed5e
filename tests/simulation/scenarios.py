"""Short courses of events that chance alone would seldom put in this order.

Each is woven into the histories at random, with everything else going on around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.events import arrive, meet_a_rival
from tests.simulation.fan_outs import go_on_with_the_page_of_a_newer_run, leave_the_page
from tests.simulation.operators import empty_index, replace_index, restore_index
from tests.simulation.postgres import INFINITY, MINUS_INFINITY
from tests.simulation.renames import (
    rename_and_back,
    rename_back_in_a_run,
    rename_before_a_reload,
    rename_during_the_first_load,
    rename_what_was_just_loaded,
    rename_while_a_run_begins,
)
from tests.simulation.runs import run
from tests.simulation.staging import (
    SETTLED,
    add_roots,
    any_root,
    die,
    free_row,
    free_rows,
    is_locked,
    leave_under_way,
    read_before_it_arrives,
    rest,
    write,
    write_in,
)
from tests.simulation.world import weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


def change_its_mind(history: History) -> None:
    """A row goes from A to B, the task that sends B dies, and it is A again when B arrives."""
    root, row = history.shape.root, any_root(history)
    run(history)
    if row is None or is_locked(history, root, row.id):
        return
    history.note("scenario: from A to B and back")
    write(history, root, row._replace(name=f"{row.name}!"))
    if history.world.chance(0.3):
        die(history, "bulk, carried out, before its answer", 1)  # nor has it been refreshed
    else:
        leave_under_way(history, row)
    if not is_locked(history, root, row.id):
        write(history, root, row)
    read_before_it_arrives(history)


def be_refused_in_between(history: History) -> None:
    """A row is refused, or no longer, in a run that dies; it is as before when that arrives."""
    root, row = history.shape.root, any_root(history)
    if row is None:
        return
    good, bad = history.shape.good(row), history.shape.bad(row)
    before, between = history.world.pick(((good, bad), (bad, good), (bad, good)))
    history.note("scenario: refused in between")
    write(history, root, before)
    run(history)
    write(history, root, between)
    leave_under_way(history, row)
    if not is_locked(history, root, row.id):
        write(history, root, before)
    read_before_it_arrives(history)


def lose_its_date(history: History) -> None:
    """A row changes when its ``modified`` is NULL or infinite."""
    root, row = history.shape.root, any_root(history)
    if row is None:
        return
    history.note("scenario: a row loses its date")
    run(history)
    if not is_locked(history, root, row.id):
        transaction = history.postgres.begin()
        stamp = history.world.pick((None, INFINITY, MINUS_INFINITY))
        undated = row._replace(name=f"{row.name}?", stamp=stamp, xmin=transaction.xmin)
        transaction.writes.append((root, undated))
        history.postgres.commit(transaction)
    run(history)


def be_prepared_for_a_while(history: History) -> None:
    """A row changes in a prepared transaction, another after it; both are read when each ends."""
    rest(history)
    root, row = history.shape.root, any_root(history)
    if row is None:
        return
    history.note("scenario: prepared for a while")
    transaction = history.postgres.begin()
    write_in(history, transaction, root, row._replace(name=f"{row.name}-"))
    history.postgres.prepare(transaction)
    history.world.now += SETTLED
    if other := free_row(history, root):
        write(history, root, other)
    history.world.now += SETTLED
    run(history)
    if transaction in history.postgres.prepared:
        history.postgres.commit(transaction)
    run(history)


def be_committed_behind_the_reading(history: History) -> None:
    """A row is committed when its stream has been read, and then nothing else is."""
    root, row, world = history.shape.root, any_root(history), history.world
    if row is None or is_locked(history, root, row.id):
        return
    history.note("scenario: committed behind the reading")
    write(history, root, row)  # else nothing is read
    rest(history)

    def commit() -> None:
        if not is_locked(history, root, row.id):
            write(history, root, row._replace(name=f"{row.name}^"))

    def commit_at_the_next_look() -> None:
        world.meanwhile_at("cluster.sql", 1, commit)

    world.meanwhile_at(f"feed/page.sql {root}", 1, commit_at_the_next_look)
    run(history)
    world.doom = None


def be_overtaken(history: History) -> None:
    """Another run begins while a task is at the first of several pages."""
    history.note("scenario: another run begins")
    add_roots(history, 4)
    for row in free_rows(history, history.shape.root)[:4]:
        write(history, history.shape.root, row)
    rest(history)
    documents = f"{history.shape.definition.name}/documents.sql"
    history.world.meanwhile_at(documents, 1, lambda: meet_a_rival(history))
    run(history, asked=RunParams(page_size=1))
    history.world.doom = None


def lose_the_index(history: History) -> None:
    """Everything is loaded, then the index is replaced or emptied."""
    rest(history)
    run(history)
    while history.node.late:
        arrive(history)
    history.note("scenario: the index is lost")
    history.world.pick((replace_index, *(empty_index,) * 3))(history)
    run(history)


def restore_the_index(history: History) -> None:
    """Everything is loaded, a row changes and is loaded, and the index is put back."""
    rest(history)
    run(history)
    root, row, live = history.shape.root, any_root(history), history.node.live()
    if live is None or row is None or is_locked(history, root, row.id):
        return
    history.note("scenario: the index is restored")
    snapshot = live.copy()
    write(history, root, row._replace(name=f"{row.name}+"))
    history.world.now += SETTLED
    run(history)
    while history.node.late:
        arrive(history)
    restore_index(history, snapshot)
    run(history)


SCENARIOS = weighted(
    (be_refused_in_between, 20),
    (change_its_mind, 1),
    (leave_the_page, 11),
    (go_on_with_the_page_of_a_newer_run, 12),
    (rename_during_the_first_load, 8),
    (rename_what_was_just_loaded, 1),
    (rename_while_a_run_begins, 2),
    (rename_back_in_a_run, 15),
    (be_overtaken, 5),
    (lose_its_date, 3),
    (be_prepared_for_a_while, 7),
    (be_committed_behind_the_reading, 14),
)
"""Of any history; the more conditions one has to meet, the more often it is tried."""

OF_OPERATORS = weighted(
    (lose_the_index, 17),
    (restore_the_index, 20),
    (rename_and_back, 30),
    (rename_before_a_reload, 20),
)
"""Of histories in which operators do something, beside the others."""
