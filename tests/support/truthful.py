"""Cursors that are checked against the index each time they are saved."""

from __future__ import annotations

from collections.abc import Callable

from movies_etl.state.cursors import Cursor, Position

from tests.support.site import MemoryCursors, Site


class KilledError(Exception):
    """The process ended here."""


SHOWS = {
    "film_work": ("title", "description", "imdb_rating"),
    "genre": ("genres",),
    "person": ("directors", "actors", "writers"),
}
"""What of a document a stream answers for."""


class TruthfulCursors(MemoryCursors):
    """Cursors that check at each save that nothing below them is missing from the index.

    :param dies: whether the process ends before this save.
    :raises KilledError: it does.
    """

    def __init__(self, site: Site, dies: Callable[[], bool] = lambda: False) -> None:
        super().__init__(site.cursors.texts)
        self._site = site
        self._dies = dies
        self._expected = site.expected()

    def save(self, stream: str, cursor: Cursor) -> None:
        self._check(stream, cursor)
        if self._dies():
            raise KilledError
        super().save(stream, cursor)

    def _check(self, stream: str, cursor: Cursor) -> None:
        films = set(self._films_below(stream, cursor.rows))
        if cursor.fan_out and cursor.fan_out.after_root:
            below = self._films_below(stream, cursor.fan_out.end)
            films |= {film for film in below if film <= cursor.fan_out.after_root}
        if films and self._is_loading(cursor):
            answer = self._site.client.mget(index="movies", ids=sorted(films))
            for document in answer["docs"]:
                assert document["found"], (stream, document["_id"])
                for key in SHOWS[stream]:
                    assert document["_source"][key] == self._expected[document["_id"]][key]

    def _is_loading(self, cursor: Cursor) -> bool:
        """Whether the cursor promises something: before the first film, starts promise nothing."""
        films = self.load("film_work")
        return films is not None and films.rows is not None and films.index == cursor.index

    def _films_below(self, stream: str, upto: Position | None) -> list[str]:
        if upto is None:
            return []
        link = "" if stream == "film_work" else f" JOIN content.{stream}_film_work l"
        on = "" if stream == "film_work" else f" ON l.{stream}_id = r.id"
        film = "r.id" if stream == "film_work" else "l.film_work_id"
        return [
            str(row[0])
            for row in self._site.execute(
                f"SELECT {film} FROM content.{stream} r{link}{on}"
                " WHERE (r.modified, r.id) <= (%s::timestamptz, %s::uuid)",
                upto.stamp,
                upto.id,
            )
        ]
