"""What the catalogue must look like for the queries to work, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from movies_etl.definitions.movies import STREAMS

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "film_work": ("id", "title", "description", "rating", "modified"),
    "genre": ("id", "name", "modified"),
    "person": ("id", "full_name", "modified"),
    "genre_film_work": ("id", "film_work_id", "genre_id", "created"),
    "person_film_work": ("id", "film_work_id", "person_id", "role", "created"),
}
"""Columns that the queries read, by table of schema ``content``."""

READ_BY: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((feed.table, (feed.stamp, "id")) for stream in STREAMS for feed in stream.feeds),
    ("genre_film_work", ("film_work_id",)),
    ("person_film_work", ("film_work_id",)),
    ("genre_film_work", ("genre_id", "film_work_id")),
    ("person_film_work", ("person_id", "film_work_id")),
)
"""The leading columns of the indexes that the queries read by."""

ID_TYPES = ("uuid", "text", "character varying")
STAMP_TYPES = ("timestamp with time zone", "timestamp without time zone")

_OTHER_NAMES = {"modified": ("updated_at", "updated"), "created": ("created_at",)}


class Columns:
    """The columns of schema ``content`` as found.

    :param rows: table, column, type and whether the role may read, one row a column.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str, bool]]) -> None:
        self._types: dict[str, dict[str, str]] = {}
        self._unreadable: set[str] = set()
        for table, column, type_name, readable in rows:
            self._types.setdefault(table, {})[column] = type_name
            if not readable:
                self._unreadable.add(table)

    def problems(self) -> list[str]:
        """Say what is missing or of the wrong type, one sentence each; empty when all is well."""
        if not self._types:
            return ["it has no schema content with tables"]
        return [
            problem
            for table, columns in REQUIRED.items()
            for problem in self._problems_of(table, columns)
        ]

    def _problems_of(self, table: str, columns: Iterable[str]) -> Iterable[str]:
        found = self._types.get(table)
        if found is None:
            yield f"table content.{table} is missing"
            return
        if table in self._unreadable:
            yield f"the role may not read content.{table} (GRANT USAGE ON SCHEMA, GRANT SELECT)"
        for column in columns:
            if column not in found:
                similar = [name for name in _OTHER_NAMES.get(column, ()) if name in found]
                hint = f" (it has {similar[0]})" if similar else ""
                yield f"column content.{table}.{column} is missing{hint}"
        for column in ("modified", "created"):
            if column in columns and found.get(column, STAMP_TYPES[0]) not in STAMP_TYPES:
                yield f"content.{table}.{column} is {found[column]}, not a timestamp"
        if found.get("id", ID_TYPES[0]) not in ID_TYPES:
            yield f"content.{table}.id is {found['id']}; ids of type uuid or text are supported"

    @property
    def without_zone(self) -> tuple[str, ...]:
        """Tables whose stamp column has no time zone."""
        return tuple(
            feed.table
            for stream in STREAMS
            for feed in stream.feeds
            if self._types[feed.table][feed.stamp] == "timestamp without time zone"
        )


def missing_indexes(found: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Name the indexes that the queries read by and the catalogue lacks.

    :param found: table and column list of each usable index.
    """
    existing = [(table, tuple(columns)) for table, columns in found]
    return [
        f"content.{table} ({', '.join(columns)})"
        for table, columns in READ_BY
        if not any(
            other == table and columns == of_other[: len(columns)] for other, of_other in existing
        )
    ]
