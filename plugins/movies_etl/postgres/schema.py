"""What the catalogue must look like for the queries to work, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.settings import Settings

LOWEST_IDS = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "text": "",
    "character varying": "",
    "integer": "-2147483648",
    "bigint": "-9223372036854775808",
}
"""The types that ids may have, and the lowest value of each."""

STAMP_TYPES = ("timestamp with time zone", "timestamp without time zone")

_OTHER_NAMES = {"modified": ("updated_at", "updated"), "created": ("created_at",)}


class Layout(NamedTuple):
    """What the queries have to know of the catalogue as it was found.

    :param stamps: what the catalogue calls the columns ``modified`` and ``created``.
    :param without_zone: tables whose cursor column has no time zone.
    :param zone: the zone of those columns.
    :param lowest_ids: by table, the id that no other comes before.
    """

    stamps: dict[str, str]
    without_zone: tuple[str, ...]
    zone: str
    lowest_ids: dict[str, str]


class Columns:
    """The columns of the catalogue's schema as found.

    :param rows: table, column, type and whether the role may read, one row per column.
    :param definition: says which of them are read.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, str, str, bool]],
        definition: IndexDefinition,
        settings: Settings,
    ) -> None:
        self._definition = definition
        self._schema = settings.schema_name
        self._zone = settings.timestamp_zone
        self._stamps = {
            "modified": settings.modified_column,
            "created": settings.created_column,
        }
        self._types: dict[str, dict[str, str]] = {}
        self._unreadable: set[str] = set()
        for table, column, type_name, readable in rows:
            self._types.setdefault(table, {})[column] = type_name
            if not readable:
                self._unreadable.add(table)

    def problems(self) -> list[str]:
        """Say what is missing or of the wrong type, one sentence each; empty when all is well."""
        if not self._types:
            return [f"it has no schema {self._schema} with tables"]
        return [
            problem
            for table, columns in self._definition.required.items()
            for problem in self._problems_of(table, columns)
        ]

    def _problems_of(self, table: str, columns: Iterable[str]) -> Iterable[str]:
        found = self._types.get(table)
        name = f"{self._schema}.{table}"
        if found is None:
            yield f"table {name} is missing"
            return
        if table in self._unreadable:
            yield f"the role may not read {name} (GRANT USAGE ON SCHEMA, GRANT SELECT)"
        for column in columns:
            actual = self._stamps.get(column, column)
            if actual not in found:
                similar = [other for other in _OTHER_NAMES.get(column, ()) if other in found]
                hint = f" (it has {similar[0]})" if similar else ""
                yield f"column {name}.{actual} is missing{hint}"
            elif column in self._stamps and found[actual] not in STAMP_TYPES:
                yield f"{name}.{actual} is {found[actual]}, not a timestamp"
        if found.get("id", "uuid") not in LOWEST_IDS:
            yield (
                f"{name}.id is {found['id']}; ids of type uuid, text, integer or bigint are "
                "supported"
            )

    @property
    def layout(self) -> Layout:
        """What the queries have to know; only of columns without problems."""
        feeds = [feed for stream in self._definition.streams for feed in stream.feeds]
        return Layout(
            stamps=self._stamps,
            without_zone=tuple(
                dict.fromkeys(
                    feed.table
                    for feed in feeds
                    if self._types[feed.table][self._stamps[feed.stamp]] == STAMP_TYPES[1]
                )
            ),
            zone=self._zone,
            lowest_ids={feed.table: LOWEST_IDS[self._types[feed.table]["id"]] for feed in feeds},
        )


def missing_indexes(
    found: Iterable[tuple[str, list[str]]], definition: IndexDefinition, settings: Settings
) -> list[str]:
    """Name the indexes that the queries read by and the catalogue lacks.

    :param found: table and column list of each usable index.
    """
    stamps = {"modified": settings.modified_column, "created": settings.created_column}
    existing = [(table, tuple(columns)) for table, columns in found]
    wanted = [
        (table, tuple(stamps.get(column, column) for column in columns))
        for table, columns in definition.read_by
    ]
    return [
        f"{settings.schema_name}.{table} ({', '.join(columns)})"
        for table, columns in wanted
        if not any(
            other == table and columns == of_other[: len(columns)] for other, of_other in existing
        )
    ]
