"""The reconcile's queries over the model of PostgreSQL: ids by ranges, rows by transactions."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from movies_etl.postgres.queries import Queries

from tests.simulation.postgres import Postgres, Row
from tests.support.columns import OIDS

FIELDS = {
    "id": "id",
    "film_work_id": "film",
    "genre_id": "other",
    "person_id": "other",
}
"""What the model calls the columns whose names a query is given; a stamp is ``stamp``."""

Rows = list[tuple[Any, ...]]


class TraceQueries(Queries):
    """Answers what only the reconcile asks."""

    postgres: Postgres

    # -- the root table by ranges of ids ---------------------------------------------------------

    def _root_estimate(self, schema: str, table: str) -> Rows:
        del schema
        return [(len(self.postgres.tables[table]),)]

    def _root_bounds(self, *, table: str, fractions: str, percent: float) -> Rows:
        del percent
        ids = sorted(self.postgres.tables[table])
        wanted = map(float, fractions.strip("{}").split(","))
        return [([ids[min(int(one * len(ids)), len(ids) - 1)] for one in wanted] if ids else None,)]

    def _root_text_counts(self, *, table: str, bounds: Sequence[str]) -> Rows:
        counts = Counter(bisect_right(bounds, key) for key in self.postgres.tables[table])
        return [*counts.items()]

    def _root_text_ids(
        self, *, table: str, first: str | None, before: str | None, page_size: int | None
    ) -> Rows:
        found = [
            (key,)
            for key in sorted(self.postgres.tables[table])
            if (first is None or key >= first) and (before is None or key < before)
        ]
        return found[:page_size]

    _root_uuid_counts = _root_text_counts
    _root_uuid_ids = _root_text_ids

    # -- rows by the transactions that wrote them ------------------------------------------------

    def _trace_statistics(self, oids: Sequence[str]) -> Rows:
        told = self.postgres.deletions
        return [
            (oid, told.count(table), str(told.files[table]), str(told.since))
            for table, oid in OIDS.items()
            if str(oid) in oids
        ]

    def _trace_snapshot(self) -> Rows:
        return [(self.postgres.ceiling, self.postgres.next_number)]

    def _trace_standing(
        self, *, table: str, root: str, earlier: str, ceiling: str, parts: int, **_hash: object
    ) -> Rows:
        before, now = (
            Counter(_part(getattr(row, FIELDS[root]), parts) for row in self._below(table, one))
            for one in (earlier, ceiling)
        )
        return [(part, before[part], now[part]) for part in sorted(before | now)]

    def _trace_stood(self, *, table: str, earlier: str, **_names: object) -> Rows:
        return [(len(self.postgres.tables[table]), len(self._below(table, earlier)))]

    def _trace_part(
        self,
        *,
        table: str,
        numbers: str,
        parts: int,
        after_id: str | None,
        page_size: int,
        **_: Any,
    ) -> Rows:
        wanted = {*map(int, numbers.strip("{}").split(","))}
        ids = (key for key in self.postgres.tables[table] if _part(key, parts) in wanted)
        return _page(ids, after_id, page_size)

    def _trace_touched(
        self, *, table: str, root: str, ceiling: str, after_root: str | None, page_size: int
    ) -> Rows:
        rows = self._from(table, ceiling)
        return _page((getattr(row, FIELDS[root]) for row in rows), after_root, page_size)

    def _trace_touched_keys(
        self, *, table: str, ceiling: str, after_root: str | None, page_size: int, **link: str
    ) -> Rows:
        keys = {row.id for row in self._from(table, ceiling)}
        roots = (root for key, root in self._linked(**link) if key in keys)
        return _page(roots, after_root, page_size)

    def _trace_dangling(
        self, *, table: str, after_root: str | None, page_size: int, **link: str
    ) -> Rows:
        there = self.postgres.tables[table]
        roots = (root for key, root in self._linked(**link) if key not in there)
        return _page(roots, after_root, page_size)

    def _below(self, table: str, ceiling: str) -> list[Row]:
        rows = self.postgres.tables[table].values()
        return [row for row in rows if int(row.xmin) < int(ceiling)]

    def _from(self, table: str, ceiling: str) -> list[Row]:
        rows = self.postgres.tables[table].values()
        return [row for row in rows if int(row.xmin) >= int(ceiling)]

    def _linked(self, *, link: str, key: str, root: str) -> list[tuple[str, str]]:
        rows = self.postgres.tables[link].values()
        return [(getattr(row, FIELDS[key]), getattr(row, FIELDS[root])) for row in rows]


def _part(key: str, parts: int) -> int:
    return zlib.crc32(key.encode()) % parts


def _page(ids: Iterable[str], after: str | None, size: int) -> Rows:
    """Return a page of ids, each once, in their order."""
    found = sorted({one for one in ids if after is None or one > after})
    return [(one,) for one in found[:size]]
