"""The indexes of the catalogue that the queries read by."""

from __future__ import annotations

from collections.abc import Iterable

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.names import spelled
from movies_etl.state.layout import Layout


def missing_indexes(
    found: Iterable[tuple[str, list[str]]],
    definition: IndexDefinition,
    schema: str,
    layout: Layout,
) -> list[str]:
    """Return the statements that make the indexes that the catalogue lacks.

    :param found: table and column list of each usable index.
    :param schema: of the catalogue.
    """
    existing = [(table, tuple(columns)) for table, columns in found]
    wanted = [
        (table, tuple(layout.stamps.get(column, column) for column in columns))
        for table, columns in definition.read_by
    ]
    return [
        _statement(schema, table, columns, layout)
        for table, columns in wanted
        if not any(
            other == table and columns == of_other[: len(columns)] for other, of_other in existing
        )
    ]


def _statement(schema: str, table: str, columns: Iterable[str], layout: Layout) -> str:
    """Return the statement that makes an index, where possible without blocking writers."""
    how = "" if table in layout.partitioned else "CONCURRENTLY "
    return f"CREATE INDEX {how}ON {spelled(schema, table)} ({', '.join(map(spelled, columns))})"
