"""Columns of a catalogue as the program finds them, for tests without a database."""

from __future__ import annotations

from typing import Any

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.layout import FoundColumn

_FITTING = {
    "id": ("uuid", "U"),
    "key": ("uuid", "U"),
    "stamp": ("timestamp with time zone", "D"),
    "text": ("text", "S"),
    "number": ("double precision", "N"),
}

OIDS = {
    table: 16_384 + number
    for number, table in enumerate(
        ("film_work", "genre", "person", "genre_film_work", "person_film_work")
    )
}
"""The numbers of the tables."""


def fitting(definition: IndexDefinition) -> list[FoundColumn]:
    """Return the columns of a catalogue that an index fits."""
    return [
        FoundColumn(
            table,
            name,
            *_FITTING[column.kind],
            is_required=column.kind == "id",
            is_unique=column.kind == "id",
            is_partitioned=False,
            table_oid=OIDS[table],
            altered_by=700,
            is_usable=True,
            is_readable=True,
            is_filtered=False,
        )
        for table, columns in definition.required.items()
        for name, column in columns.items()
    ]


def changed(columns: list[FoundColumn], where: str, **changes: Any) -> list[FoundColumn]:
    """Return the columns with changes to one, named ``table.column``, or to all of a table."""
    return [
        column._replace(**changes)
        if where in (column.table, f"{column.table}.{column.name}")
        else column
        for column in columns
    ]
