"""What must be true: of a cursor when a task saves it, of the index when all is at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movies_etl.state.cursors import Cursor, Position

from tests.simulation.postgres import INFINITY, MINUS_INFINITY
from tests.support.divergence import Divergence, check_counts, check_documents
from tests.support.expected import Documents, movies_of, persons_of

if TYPE_CHECKING:
    from tests.simulation.history import History
    from tests.simulation.tasks import Task

ODD = (None, INFINITY, MINUS_INFINITY)
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
    letters = history.node.indexes[definition.dead_letters].held.values()
    check_documents(
        found,
        EXPECTED[definition.name](history.postgres.tables),
        {held.source[definition.noun] for held in letters},
    )
    check_counts(history.differences.last)
    for stream, text in history.cursors.texts.items():
        if Cursor.from_json(text, where=stream).open:
            raise Divergence(f"the cursor of {stream} is open after a clean end")


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
        if place[0] >= task.source.below(feed, history.farthest).stamp[:26]:
            raise Divergence(f"{task.name}: cursor {stream} passed the horizon: {place}")
    check_loaded(history, task, stream, cursor)


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
    if stream != shape.definition.root.name:
        return
    for row in history.postgres.tables[shape.root].values():
        if row.stamp in ODD or (row.stamp, row.id) > upto or shape.is_refused(row):
            continue
        held = index.held.get(row.id)
        if held is None or held.source[shape.text] != row.name:
            raise Divergence(
                f"{task.name}: cursor {stream} passed {row.id}, which the index does not have"
            )
