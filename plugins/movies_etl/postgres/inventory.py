"""What the root table holds as a whole: rows by ranges of ids, and the ids of a range.

Ids have the order that Elasticsearch gives them: that of their texts, by bytes. Every id lies in
exactly one range.
"""

from __future__ import annotations

from movies_etl.definitions.ranges import Range
from movies_etl.postgres import names
from movies_etl.postgres.layout import LOWEST_IDS
from movies_etl.postgres.source import Source

SAMPLED_PER_RANGE = 100
"""Rows of the sample for each range, about: ranges are then of equal size by a third."""


class RowInventory:
    """The rows of the root table; each question has a snapshot of its own.

    :param source: the catalogue; see it for the errors of every method.
    """

    def __init__(self, source: Source) -> None:
        self._queries = source.queries
        self._names = names.of_root(source.definition)
        self._table = source.definition.root.rows.table
        lowest = source.layout.lowest_ids[self._table]
        self._folder = f"root/{'uuid' if lowest == LOWEST_IDS['uuid'] else 'text'}"

    def bounds(self, ranges: int) -> list[str]:
        """Return ids that part the rows into at most this many ranges of about equal size."""
        if ranges < 2:
            return []
        rows = self._estimate()
        percent = 100 * ranges * SAMPLED_PER_RANGE / rows if rows > 0 else 100
        ((found,),) = self._queries.rows(
            "root/bounds.sql",
            self._names,
            fractions=f"{{{','.join(str(number / ranges) for number in range(1, ranges))}}}",
            percent=min(percent, 100),
        )
        return list(dict.fromkeys(found or ()))

    def _estimate(self) -> int:
        ((rows,),) = self._queries.rows(
            "root/estimate.sql", schema=self._queries.schema, table=self._table
        )
        return int(rows or 0)

    def counts(self, bounds: list[str]) -> list[int]:
        """Count the rows of each range between these bounds, the outer ones included."""
        counts = [0] * (len(bounds) + 1)
        file = f"{self._folder}/counts.sql"
        for number, rows in self._queries.rows(file, self._names, bounds=bounds):
            counts[number] = rows
        return counts

    def ids(self, part: Range, limit: int | None = None) -> list[str]:
        """Return the ids of a range in their order, the first ones if there is a limit."""
        rows = self._queries.rows(
            f"{self._folder}/ids.sql",
            self._names,
            first=part.first,
            before=part.before,
            page_size=limit,
        )
        return [id_ for (id_,) in rows]
