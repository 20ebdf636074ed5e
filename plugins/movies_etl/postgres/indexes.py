"""The indexes of the catalogue that the queries read by."""

from __future__ import annotations

from collections.abc import Iterable

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.layout import stamps_of
from movies_etl.settings import Settings


def missing_indexes(
    found: Iterable[tuple[str, list[str]]], definition: IndexDefinition, settings: Settings
) -> list[str]:
    """Name the indexes that the queries read by and the catalogue lacks.

    :param found: table and column list of each usable index.
    """
    stamps = stamps_of(settings)
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
