"""Cursors that are checked against the index each time they are saved."""

from __future__ import annotations

from collections.abc import Callable

from movies_etl.state.cursors import Cursor, Position

from tests.support.site import MemoryCursors, Site


class KilledError(Exception):
    """The process ended here."""


SHOWS: dict[str, dict[str, tuple[str, ...]]] = {
    "movies": {
        "film_work": ("title", "description", "imdb_rating"),
        "genre": ("genres",),
        "person": ("directors", "actors", "writers"),
    },
    "genres": {"genre": ("name", "description")},
    "persons": {"person": ("full_name",), "film_work": ("films",)},
}
"""What of a document each stream of an index answers for."""


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
        definition = self._site.definition
        ids = set(self._documents_below(stream, cursor.rows))
        if cursor.fan_out and cursor.fan_out.after_root:
            below = self._documents_below(stream, cursor.fan_out.end)
            ids |= {one for one in below if one <= cursor.fan_out.after_root}
        if ids and self._is_loading(cursor):
            answer = self._site.client.mget(index=definition.alias, ids=sorted(ids))
            shows = SHOWS[definition.name][stream]
            for document in answer["docs"]:
                assert document["found"], (stream, document["_id"])
                for key in shows:
                    assert document["_source"][key] == self._expected[document["_id"]][key]

    def _is_loading(self, cursor: Cursor) -> bool:
        """Whether the cursor promises something: before the first page, starts promise nothing."""
        root = self.load(self._site.definition.root.name)
        return root is not None and root.rows is not None and root.index == cursor.index

    def _documents_below(self, stream: str, upto: Position | None) -> list[str]:
        if upto is None:
            return []
        (found,) = [one for one in self._site.definition.streams if one.name == stream]
        root, join = "r.id", ""
        if fan_out := found.fan_out:
            root = f"l.{fan_out.root}"
            join = f" JOIN content.{fan_out.link} l ON l.{fan_out.key} = r.id"
        return [
            str(row[0])
            for row in self._site.execute(
                f"SELECT {root} FROM content.{found.rows.table} r{join}"
                " WHERE (r.modified, r.id) <= (%s::timestamptz, %s::uuid)",
                upto.stamp,
                upto.id,
            )
        ]
