"""What deletions and other changes leave behind that no row's time shows."""

from __future__ import annotations

from collections.abc import Collection

from movies_etl.postgres.queries import Queries
from movies_etl.state.comparison import TableStatistics


def statistics(queries: Queries, tables: Collection[str]) -> dict[str, TableStatistics]:
    """Return what PostgreSQL counts of these tables, by table."""
    rows = queries.rows("trace/statistics.sql", schema=queries.schema, tables=[*tables])
    return {
        table: TableStatistics(deleted=deleted, files=files, since=since)
        for table, deleted, files, since in rows
    }
