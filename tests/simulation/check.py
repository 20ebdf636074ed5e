"""What must be true: of a cursor when a task saves it, of the index when all is at rest."""

from __future__ import annotations

from bisect import bisect
from typing import TYPE_CHECKING, Any

from movies_etl.state.cursors import Cursor, Position
from movies_etl.state.fuse_list import Kind

from tests.simulation.postgres import INFINITY, MINUS_INFINITY
from tests.support.divergence import AskedAbout, Divergence, check_counts, check_others
from tests.support.expected import Documents, movies_of, persons_of

if TYPE_CHECKING:
    from tests.simulation.history import History
    from tests.simulation.tasks import Task

ODD = (None, INFINITY, MINUS_INFINITY)
KINDS: tuple[Kind, ...] = ("deletions", "rewrites")
NEAR = 2
"""Rows between two ids that may be in one range."""
MOST_DELETED = 3
"""Documents that are deleted without asking, where a site would have a hundred."""
MOST_REWRITTEN = 3
"""Documents that are rewritten without asking, where a site would have a thousand."""
Tables = dict[str, dict[str, Any]]


def check(history: History) -> None:
    """Compare the index with the tables, the letters and counts with it, and look at the cursors.

    :raises Divergence: says what differs.
    """
    live = history.node.live()
    if live is None:
        raise Divergence("there is no index behind the alias")
    found = {
        id_: {key: value for key, value in held.source.items() if key != "checksum"}
        for id_, held in live.held.items()
    }
    definition = history.shape.definition
    wanted = EXPECTED[definition.name](history.postgres.tables)
    letters_index = history.node.resolved(definition.dead_letters)
    held_letters = history.node.indexes[letters_index].held.values()
    letters = {held.source[definition.noun] for held in held_letters}
    lists = history.node.fuse_lists
    asked = AskedAbout(*(lists.asked_about(live.uuid, kind) for kind in KINDS))
    if check_others(found, wanted, letters, asked):
        check_counts(history.differences.last)
    for stream, text in history.cursors.texts.items():
        if Cursor.from_json(text, where=stream).open:
            raise Divergence(f"the cursor of {stream} is open after a clean end")


def check_live_documents(history: History) -> None:
    """Compare the documents behind the alias with the tables, in the middle of a history.

    :raises Divergence: one shows what was deleted, or is not what its row says.
    """
    live = history.node.live()
    if live is None:
        return
    wanted = EXPECTED[history.shape.definition.name](history.postgres.tables)
    for id_, held in live.held.items():
        document = {key: value for key, value in held.source.items() if key != "checksum"}
        if id_ in wanted and document != wanted[id_]:
            raise Divergence(f"the swap brings {id_} back as it was: {document}")


def check_deleted_rows(history: History) -> None:
    """Look whether the documents of deleted rows are gone by the runs of the sync alone.

    One beside which a row without a trace is missing is for the reconcile: where ids are counted by
    ranges, there are as many as there should be.

    :raises Divergence: some are not.
    """
    live = history.node.live()
    if live is None:
        return
    rows = sorted(history.postgres.tables[history.shape.root])
    missing = [bisect(rows, key) for key in rows if key not in live.searchable]
    asked = history.node.fuse_lists.asked_about(live.uuid, "deletions")
    left = {key for key in live.searchable if key not in rows and key not in asked}
    for key in left:
        if not key.startswith("stray") and all(
            abs(bisect(rows, key) - place) > NEAR for place in missing
        ):
            raise Divergence(f"the document of {key}, which was deleted, is there after two runs")


def check_deletion(history: History, task: Task, index: str, key: str) -> None:
    """Look at a document that a task deletes.

    :raises Divergence: its row was there all the time, or it is one of too many.
    """
    if index.endswith("-dead-letters"):
        return
    locked_at = task.session.locked_at  # what one look has found is deleted under one lock
    task.deleted[locked_at] += 1
    number = task.deleted[locked_at]
    if number > MOST_DELETED and not task.name.startswith(("purge", "rebuild")):
        raise Divergence(f"{task.name} deletes {number} documents, nobody was asked")
    born = history.postgres.born.get((history.shape.root, key))
    is_there = key in history.postgres.tables[history.shape.root]
    if is_there and (born is None or born < task.session.locked_at):
        raise Divergence(f"{task.name} deletes {key}, whose row was there all the time")


def check_rewrite(history: History, task: Task, index: str) -> None:
    """Look at a document that a task gives another text.

    Those of one question are written under one lock. Some of them were found missing, or their rows
    were gone, when the question was asked.

    :raises Divergence: it is one of too many.
    """
    if index == history.shape.definition.dead_letters or not task.name.startswith("reconcile"):
        return
    locked_at = task.session.locked_at
    task.rewritten[locked_at] += 1
    number = task.rewritten[locked_at]
    if number > MOST_REWRITTEN + MOST_DELETED:
        raise Divergence(f"{task.name} rewrites {number} documents, nobody was asked")


def movies(tables: Tables) -> Documents:
    """Build every film's document from the tables, with nothing of the program's or the model's."""
    genres, persons = (
        {key: row.name for key, row in tables[table].items()} for table in ("genre", "person")
    )
    films, labels, cast = (
        tables[table].values() for table in ("film_work", "genre_film_work", "person_film_work")
    )
    return movies_of(
        ((film.id, film.name, film.description, film.rating) for film in films),
        ((link.film, link.role, link.other, persons[link.other]) for link in cast),
        ((link.film, genres[link.other]) for link in labels),
    )


def persons(tables: Tables) -> Documents:
    """Build every person's document from the tables."""
    people, cast, films = (
        tables[table].values() for table in ("person", "person_film_work", "film_work")
    )
    return persons_of(
        ((person.id, person.name) for person in people),
        ((link.other, link.film, link.role) for link in cast),
        ((film.id, film.name, film.rating) for film in films),
    )


EXPECTED = {"movies": movies, "persons": persons}


def check_cursor(history: History, task: Task, stream: str, cursor: Cursor) -> None:
    """Look at a cursor that a task saves.

    It stands at rows that were there, below a horizon, it never goes back, and what is below it
    is in the index. A zombie may have been paused between its last look at its session and the
    write: it may put a cursor back, which only repeats work.
    """
    postgres = history.postgres
    (of,) = [one for one in history.shape.definition.streams if one.name == stream]
    held = history.cursors.held(stream)
    if held and (held.index, held.rows, held.links) == (cursor.index, cursor.rows, cursor.links):
        return
    if task.name.startswith("rebuild"):  # whose horizon is its own
        history.farthest = max(history.farthest, cursor.horizon or "")
    counts = held and held.index == cursor.index and not task.session.lost
    for feed, position in zip(of.feeds, (cursor.rows, cursor.links), strict=False):
        earlier = (held.rows if feed is of.rows else held.links) if held else None
        if earlier is position or earlier == position:
            continue
        place = _place(position)
        if counts and place < _place(earlier):
            raise Divergence(f"{task.name}: cursor {stream} went back to {place}")
        if position is None:
            continue
        if place not in postgres.places[feed.table]:
            raise Divergence(f"{task.name}: cursor {stream} stands at no row: {place}")
        if task.name.endswith(" follow"):
            _check_passed(history, task, feed.table, place)
        elif place[0] >= task.source.below(feed, history.farthest).stamp[:26]:
            raise Divergence(f"{task.name}: cursor {stream} passed the horizon: {place}")
    check_loaded(history, task, stream, cursor)


def _check_passed(history: History, task: Task, table: str, place: tuple[str, str]) -> None:
    """Look whether a task that measures horizons of its own passed a row that is not committed."""
    if history.untraced:
        return
    for transaction in (*history.postgres.open, *history.postgres.prepared):
        for where, row in transaction.writes:
            if where == table and row.stamp not in ODD and (row.stamp, row.id) <= place:
                raise Divergence(f"{task.name}: the cursor passed {row}, which is not committed")


def _place(position: Position | None) -> tuple[str, str]:
    """Return a position as rows have it; the beginning is below every row."""
    return (position.stamp[:26], position.id) if position else ("", "")


def check_loaded(history: History, task: Task, stream: str, cursor: Cursor) -> None:
    """Compare what is below a cursor with what the index has."""
    index = next((one for one in history.node.indexes.values() if one.uuid == cursor.index), None)
    if index is None or cursor.rows is None:
        return
    upto = _place(cursor.rows)
    shape = history.shape
    if stream != shape.definition.root.name or history.untraced:
        return
    for row in history.postgres.tables[shape.root].values():
        if row.stamp in ODD or (row.stamp, row.id) > upto or shape.is_refused(row):
            continue
        held = index.held.get(row.id)
        if held is None or held.source[shape.text] != row.name:
            raise Divergence(
                f"{task.name}: cursor {stream} passed {row.id}, which the index does not have"
            )
