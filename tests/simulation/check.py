"""What must be true: of a cursor when a task saves it, of the index when all is at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movies_etl.definitions.movies import MOVIES
from movies_etl.state.cursors import Cursor, Position

from tests.simulation.elasticsearch import POISON
from tests.simulation.postgres import INFINITY, MINUS_INFINITY, ROLES
from tests.simulation.world import Divergence

if TYPE_CHECKING:
    from tests.simulation.history import History
    from tests.simulation.tasks import Task

ODD = (None, INFINITY, MINUS_INFINITY)


def check(history: History) -> None:
    """Compare the index with the tables.

    :raises Divergence: says what differs.
    """
    tables = history.postgres.tables
    live = history.node.live()
    if live is None:
        raise Divergence("there is no index behind the alias")
    refused = {film.id for film in tables["film_work"].values() if is_refused(film)}
    wanted = expected(tables)
    for film, document in wanted.items():
        held = live.held.get(film)
        found = held and {key: held.source[key] for key in held.source if key != "checksum"}
        if film in refused:
            if found and (found["title"].startswith("poison") or found["imdb_rating"] == "NaN"):
                raise Divergence(f"{film} is refused, but the index has it: {found}")
        elif found != document:
            raise Divergence(f"{film} is {found}, it should be {document}")
    if more := live.held.keys() - wanted.keys():
        raise Divergence(f"the index has films that the catalogue has not: {more}")
    _check_rest(history, refused)


def _check_rest(history: History, refused: set[str]) -> None:
    """Look at the dead letters, the counts and the cursors."""
    letters = {
        held.source["film"] for held in history.node.indexes[MOVIES.dead_letters].held.values()
    }
    if letters != refused:
        raise Divergence(f"dead letters of {letters}, refused are {refused}")
    if history.differences.last:
        raise Divergence(f"the counts differ by {history.differences.last}")
    for stream, text in history.cursors.texts.items():
        if Cursor.from_json(text, where=stream).open:
            raise Divergence(f"the cursor of {stream} is open after a clean end")


def expected(tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Build every document from the tables, with nothing of the program's or the model's."""
    documents: dict[str, dict[str, Any]] = {}
    for film in tables["film_work"].values():
        links = [one for one in tables["genre_film_work"].values() if one.film == film.id]
        document: dict[str, Any] = {
            "id": film.id,
            "imdb_rating": film.rating,
            "title": film.title,
            "description": film.description,
            "genres": sorted({tables["genre"][link.other].name for link in links}),
        }
        for role in ROLES:
            people = {
                (tables["person"][link.other].name, link.other)
                for link in tables["person_film_work"].values()
                if link.film == film.id and link.role == role
            }
            document[f"{role}s_names"] = [name for name, _ in sorted(people)]
            document[f"{role}s"] = [{"id": key, "name": name} for name, key in sorted(people)]
        documents[film.id] = document
    return documents


def check_cursor(history: History, task: Task, stream: str, cursor: Cursor) -> None:
    """Look at a cursor that a task saves.

    It stands at rows that were there, below a horizon, it never goes back, and what is below it
    is in the index. A zombie may have been paused between its last look at its session and the
    write: it may put a cursor back, which only repeats work.
    """
    postgres = history.postgres
    (of,) = [one for one in MOVIES.streams if one.name == stream]
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
    tables = history.postgres.tables
    if stream == "film_work":
        for film in tables["film_work"].values():
            if film.stamp in ODD or (film.stamp, film.id) > upto or is_refused(film):
                continue
            held = index.held.get(film.id)
            if held is None or held.source["title"] != film.title:
                raise Divergence(
                    f"{task.name}: cursor film_work passed {film.id}, which the index does not have"
                )


def is_refused(film: Any) -> bool:
    """Whether a film's document is refused, by the program or by Elasticsearch."""
    return bool(film.title.startswith(POISON) or film.rating != film.rating)
