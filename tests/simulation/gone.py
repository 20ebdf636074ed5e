"""Scenarios of what leaves no trace in ``modified``, each after a reconcile that found nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.check import check_deleted_rows
from tests.simulation.damage import change_document, lose_statistics
from tests.simulation.edits import LONG_AGO
from tests.simulation.events import arrive
from tests.simulation.postgres import Link
from tests.simulation.runs import purge, reconcile, run
from tests.simulation.shapes import row as new_row
from tests.simulation.staging import (
    SETTLED,
    add_roots,
    free_row,
    free_rows,
    is_locked,
    link_all,
    rest,
    write,
)
from tests.simulation.world import weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


SHORT_ANSWERS = (("search", 1), *(("search what was written", 2),) * 4)
"""A search of the reconcile, and which of its kind in a run; the second of the last kind asks for
the documents that were written."""


def delete_a_few(history: History) -> None:
    """A few rows are deleted: their documents go with the next run."""
    _be_equal(history, "a few rows are deleted")
    _delete(history, history.shape.root, history.world.pick((1, 1, 2)))


def delete_the_first_and_the_last(history: History) -> None:
    """The rows whose ids are the lowest and the greatest are deleted."""
    _be_equal(history, "the rows of both ends are deleted")
    rows = sorted(history.postgres.tables[history.shape.root])
    _delete_rows(history, history.shape.root, *rows[:1], *rows[-1:])


def delete_many(history: History) -> None:
    """So many rows are deleted that a person must be asked; those of both ends are among them."""
    _be_equal(history, "many rows are deleted")
    keys = sorted(row.id for row in free_rows(history, history.shape.root))
    _delete_rows(history, history.shape.root, *keys[:4], *keys[4:][-1:])
    run(history)
    reconcile(history)
    if history.world.chance(0.5):
        purge(history, approve=history.world.chance(0.5))


def delete_after_a_crash(history: History) -> None:
    """Rows are deleted before and after a crash; a row without a trace makes both sides as many."""
    shape = history.shape
    _be_equal(history, "rows are deleted around a crash")
    lose_statistics(history)
    _delete(history, shape.root, 1)
    history.world.now += SETTLED
    run(history)
    lose_statistics(history)
    _delete(history, shape.root, 1)
    row = new_row(shape.root, f"z{history.runs}", "old")
    _write_as_it_is(history, shape.root, row._replace(stamp=LONG_AGO))
    history.world.now += SETTLED
    if run(history) and run(history) and history.world.hushed:
        check_deleted_rows(history)


def die_as_it_deletes(history: History) -> None:
    """A row is deleted, and the task that saw it dies; another one is missing, so counts agree."""
    shape = history.shape
    _be_equal(history, "a task dies as it deletes a document")
    _delete(history, shape.root, 1)
    row = new_row(shape.root, f"z{history.runs}", "old")
    _write_as_it_is(history, shape.root, row._replace(stamp=LONG_AGO))
    history.world.now += SETTLED
    history.world.doom_at("bulk", 1)
    run(history, retries=0)
    history.world.doom = None
    if run(history) and run(history) and history.world.hushed:
        check_deleted_rows(history)


def bring_back(history: History) -> None:
    """A row is deleted; when the reconcile has seen that, it is there again and loaded."""
    _be_equal(history, "a deleted row is brought back")
    root = history.shape.root
    row = free_row(history, root)
    if row is None:
        return
    _delete_rows(history, root, row.id)

    def write_and_load() -> None:
        write(history, root, row)
        history.world.now += SETTLED
        run(history)

    _reconcile_while(history, "lock.sql", 1, write_and_load)


def lose_links(history: History) -> None:
    """Links are deleted, or get another role; mostly the task that saw it dies."""
    table = history.world.pick(history.shape.linked)
    link_all(history, table)
    _be_equal(history, "links are gone")
    links = history.shape.link_table(table)
    shown = [link for link in free_rows(history, links) if link.role]
    if links == "person_film_work" and history.world.chance(0.2):
        for link in shown:
            _write_as_it_is(history, links, link._replace(role="director"))
    else:
        _delete_rows(history, links, *(link.id for link in shown[-history.world.pick((1, 3)) :]))
    documents = f"{history.shape.definition.name}/documents.sql"
    if history.world.chance(0.9):
        part = f"trace/part.sql {history.shape.root}"
        history.world.doom_at(history.world.pick((part, documents)), 1)
        reconcile(history)
        history.world.doom = None


def come_and_go(history: History) -> None:
    """A link comes, is loaded, and goes between two looks."""
    _be_equal(history, "a link comes and goes")
    shape, table = history.shape, history.world.pick(history.shape.linked)
    root, linked = free_row(history, shape.root), free_row(history, table)
    if root is None or linked is None:
        return
    link: Link = shape.link(f"l{history.runs}-{root.id}", root.id, linked.id)
    if history.world.chance(0.5):
        history.postgres.begin()  # holds the ceiling, so that the link never stands
    write(history, shape.link_table(table), link)
    run(history)
    _delete_rows(history, shape.link_table(table), link.id)


def change_without_a_trace(history: History) -> None:
    """A row that documents show changes, and its time does not, or it is NULL or of long ago."""
    table = history.world.pick((history.shape.root, *history.shape.linked))
    _be_equal(history, "a change without a trace")
    row = free_row(history, table)
    if row is not None:
        stamp = history.world.pick((row.stamp, LONG_AGO))
        _write_as_it_is(history, table, row._replace(name=f"{row.id} untraced", stamp=stamp))


def change_many_without_a_trace(history: History) -> None:
    """A row changes that so many documents show that a person must be asked."""
    table = history.world.pick(history.shape.linked)
    add_roots(history, 8)
    link_all(history, table)
    _be_equal(history, "a change without a trace in many documents")
    row = history.postgres.tables[table].get(f"{table[0]}-all")
    if row is None or is_locked(history, table, row.id):
        return
    _write_as_it_is(history, table, row._replace(name=f"{row.id} untraced {history.runs}"))
    reconcile(history)
    run(history)
    if history.world.chance(0.5):
        purge(history, approve=history.world.chance(0.5))


def answer_in_part(history: History) -> None:
    """A document is changed by hand; a search of the reconcile is answered by no shard."""
    _be_equal(history, "a search is answered in part")
    live = history.node.live()
    if live is None:
        return
    change_document(history, live)
    live.refresh()

    def fail() -> None:
        history.node.partial_answers = 1

    _reconcile_while(history, *history.world.pick(SHORT_ANSWERS), fail)
    history.node.partial_answers = 0


def add_while_the_lock_is_taken(history: History) -> None:
    """The reconcile waits for a sync that loads new rows."""
    _be_equal(history, "the reconcile waits for a sync")
    root = history.shape.root
    _delete(history, root, 1)

    def load() -> None:
        key = f"{root[0]}{history.runs}-meanwhile"
        write(history, root, new_row(root, key, key))
        history.world.now += SETTLED
        run(history)

    _reconcile_while(history, "lock.sql", 1, load)


def _be_equal(history: History, what: str) -> None:
    """Let there be some documents, all of them loaded and looked at."""
    add_roots(history, 7)
    rest(history)
    run(history)
    while history.node.late:
        arrive(history)
    reconcile(history)
    history.note("scenario: %s", what)


def _reconcile_while(
    history: History, action: str, times: int, happening: Callable[[], None]
) -> None:
    history.world.meanwhile_at(action, times, happening)
    reconcile(history)
    history.world.doom = None


def _delete(history: History, table: str, number: int) -> None:
    """Delete the first rows by id: what a scenario adds without a trace lies far from them."""
    keys = sorted(row.id for row in free_rows(history, table))
    _delete_rows(history, table, *keys[:number])


def _delete_rows(history: History, table: str, *keys: str) -> None:
    transaction = history.postgres.begin()
    for key in keys:
        if not history.postgres.delete(transaction, table, key):
            continue
        history.note("%s: delete %s of %s", transaction.name, key, table)
    history.postgres.commit(transaction)


def _write_as_it_is(history: History, table: str, row: Any) -> None:
    """Write a row, its stamp included."""
    transaction = history.postgres.begin()
    transaction.writes.append((table, row._replace(xmin=transaction.xmin)))
    history.note("%s: %s %s", transaction.name, table, tuple(row))
    history.postgres.commit(transaction)


UNTRACED = weighted(
    (delete_a_few, 1),
    (delete_the_first_and_the_last, 3),
    (delete_many, 7),
    (delete_after_a_crash, 9),
    (die_as_it_deletes, 9),
    (bring_back, 8),
    (lose_links, 15),
    (come_and_go, 2),
    (change_without_a_trace, 2),
    (change_many_without_a_trace, 7),
    (answer_in_part, 12),
    (add_while_the_lock_is_taken, 1),
)
"""Of histories in which the reconcile runs."""
