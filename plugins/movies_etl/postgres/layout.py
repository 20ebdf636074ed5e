"""The catalogue as it was found: its columns, and what the queries have to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.settings import Settings
from movies_etl.state.layout import Layout

LOWEST_IDS = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "text": "",
    "character varying": "",
    "integer": "-2147483648",
    "bigint": "-9223372036854775808",
}
"""The types that ids may have, and the lowest value of each."""

WITH_ZONE = "timestamp with time zone"
WITHOUT_ZONE = "timestamp without time zone"


class FoundColumn(NamedTuple):
    """A column of the catalogue's schema; see ``include/sql/columns.sql``.

    :param type: as PostgreSQL spells it; of a domain, the type below it.
    :param category: PostgreSQL's, ``S`` for texts.
    :param is_required: it is never NULL.
    :param is_unique: no two rows share a value of it.
    :param is_partitioned: its table is.
    :param table_oid: of its table: another one when that was dropped and created again.
    :param altered_by: the transaction that changed the column last.
    :param is_usable: the role may use the schema.
    :param is_readable: the role may read the table, also its hidden columns.
    :param is_filtered: policies decide which of the table's rows the role sees.
    """

    table: str
    name: str
    type: str
    category: str
    is_required: bool
    is_unique: bool
    is_partitioned: bool
    table_oid: int
    altered_by: int
    is_usable: bool
    is_readable: bool
    is_filtered: bool


Found = Mapping[str, Mapping[str, FoundColumn]]
"""Columns by table and name."""


def by_table(columns: Iterable[FoundColumn]) -> Found:
    """Order columns by table and name."""
    found: dict[str, dict[str, FoundColumn]] = {}
    for column in columns:
        found.setdefault(column.table, {})[column.name] = column
    return found


def stamps_of(settings: Settings) -> dict[str, str]:
    """Return what the catalogue calls the columns ``modified`` and ``created``."""
    return {"modified": settings.modified_column, "created": settings.created_column}


def layout_of(found: Found, definition: IndexDefinition, settings: Settings) -> Layout:
    """Return the layout of a catalogue that fits."""
    stamps = stamps_of(settings)
    feeds = [feed for stream in definition.streams for feed in stream.feeds]
    ids = {feed.table: found[feed.table]["id"] for feed in feeds}
    without_zone = (
        feed.table for feed in feeds if found[feed.table][stamps[feed.stamp]].type == WITHOUT_ZONE
    )
    return Layout(
        name=settings.schema_name,
        stamps=stamps,
        without_zone=tuple(dict.fromkeys(without_zone)),
        zone=settings.timestamp_zone,
        lowest_ids={table: LOWEST_IDS[id_.type] for table, id_ in ids.items()},
        idless=tuple(table for table, id_ in ids.items() if not id_.is_required),
        ambiguous=tuple(table for table, id_ in ids.items() if not id_.is_unique),
        partitioned=tuple(table for table, id_ in ids.items() if id_.is_partitioned),
        oids={table: id_.table_oid for table, id_ in ids.items()},
        altered_by={
            table: max(column.altered_by for column in found[table].values()) for table in ids
        },
    )
