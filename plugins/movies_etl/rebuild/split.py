"""The ranges of ids that are loaded side by side."""

from __future__ import annotations

from movies_etl.definitions.ranges import Range, ranges
from movies_etl.postgres.inventory import RowInventory
from movies_etl.postgres.source import Source
from movies_etl.rebuild.plan import Plan

ROWS_PER_RANGE = 250_000
"""Rows that one task loads, in some minutes at most: the start of a task hardly matters then."""
FEW_RANGES = 4
SMALL_RANGE = 10_000
"""A smaller catalogue has `FEW_RANGES` at most, with at least so many rows each."""
MAX_RANGES = 1_000
"""Airflow maps a task to 1,024 at most, by default."""


def split(source: Source, plan: Plan) -> list[Range]:
    """Return the ranges of ids that are loaded, each by one task; none of a rollback."""
    if not plan.loads:
        return []
    rows = RowInventory(source)
    count = source.count()
    number = max(count // ROWS_PER_RANGE, min(count // SMALL_RANGE, FEW_RANGES), 1)
    return ranges(rows.bounds(min(number, MAX_RANGES)))
