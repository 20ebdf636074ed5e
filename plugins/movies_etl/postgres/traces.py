"""What deletions and other changes leave behind that no row's time shows.

A row version carries the transaction that wrote it, ``xmin``. Below the *ceiling*, the oldest
transaction that runs, no row version can appear any more. So the rows below a ceiling can only
become fewer, and those at or above it are the ones that were written since.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.postgres import names
from movies_etl.postgres.source import Source
from movies_etl.state.comparison import TableStatistics

PARTS = 256
"""Links are counted by so many parts of the documents; a hash of its id says a document's part."""

_NUMBERS = 2**32
"""After so many transactions the numbers in ``xmin`` repeat."""


MOST_BETWEEN = 2**31 - 2**24
"""Transactions that may lie between a ceiling and the next one: after more of them ``xmin`` does
not tell which came first."""


class Snapshot(NamedTuple):
    """Which transactions are over.

    :param ceiling: the oldest transaction that runs: those below it are over.
    :param next: the transaction that begins next.
    """

    ceiling: int
    next: int

    def reaches(self, ceiling: int) -> bool:
        """Whether ``xmin`` still tells which rows were written since an earlier ceiling."""
        return 0 <= self.next - ceiling < MOST_BETWEEN


class StandingRows(NamedTuple):
    """How many rows of a link table stand, by part of the documents.

    :param before: below the ceiling of an earlier look.
    :param now: below the ceiling of this one.
    """

    before: list[int]
    now: list[int]


class Stood(NamedTuple):
    """How many links there are, and how many stood at an earlier look already."""

    rows: int
    standing: int


def statistics(source: Source, tables: Collection[str]) -> dict[str, TableStatistics]:
    """Return what PostgreSQL counts of these tables, by table."""
    known = {source.layout.oids[table]: table for table in tables}
    rows = source.queries.rows("trace/statistics.sql", oids=[*map(str, known)])
    return {
        known[oid]: TableStatistics(deleted=deleted, files=files, since=since)
        for oid, deleted, files, since in rows
    }


class Traces:
    """The traces in the tables of one index; each question has a snapshot of its own.

    :param source: the catalogue; see it for the errors of every method.
    """

    def __init__(self, source: Source) -> None:
        self._queries = source.queries
        self._root = source.definition.root.rows.table
        self._lowest = source.layout.lowest_ids[self._root]

    def snapshot(self) -> Snapshot:
        """Look which transactions are over."""
        ((ceiling, following),) = self._queries.rows("trace/snapshot.sql")
        return Snapshot(ceiling, following)

    def standing(self, table: str, root: str, before: int, ceiling: int) -> StandingRows:
        """Count the links that stand, by part.

        :param table: a link table.
        :param root: its column of the document's id.
        :param before: the ceiling of an earlier look.
        :param ceiling: of this one.
        """
        found = StandingRows([0] * PARTS, [0] * PARTS)
        for part, earlier, now in self._queries.rows(
            "trace/standing.sql",
            names.of_hashed(table, root, self._lowest),
            earlier=_short(before),
            ceiling=_short(ceiling),
            parts=PARTS,
        ):
            found.before[part], found.now[part] = earlier, now
        return found

    def stood(self, table: str, root: str, before: int) -> Stood:
        """Count the links of a table, and those that stand below the ceiling of an earlier look."""
        ((rows, standing),) = self._queries.rows(
            "trace/stood.sql", names.of_hashed(table, root, self._lowest), earlier=_short(before)
        )
        return Stood(rows, standing)

    def documents_of(self, parts: Sequence[int], after: str | None, limit: int) -> list[str]:
        """Return a page of the documents of some parts, in the order of their ids."""
        rows = self._queries.rows(
            "trace/part.sql",
            names.of_hashed(self._root, "id", self._lowest),
            numbers=f"{{{','.join(map(str, parts))}}}",
            parts=PARTS,
            after_id=after,
            page_size=limit,
        )
        return [id_ for (id_,) in rows]

    def touched(
        self, stream: Stream, feed: Feed, ceiling: int, after: str | None, limit: int
    ) -> list[str]:
        """Return a page of the documents of rows that were written at or above a ceiling.

        :param feed: of the stream; if its rows are not documents' own, the fan-out is followed.
        """
        if feed.root is None:
            return self._linked("trace/touched_keys.sql", stream, after, limit, ceiling)
        names_of_feed = {"table": feed.table, "root": feed.root}
        rows = self._queries.rows(
            "trace/touched.sql",
            names_of_feed,
            ceiling=_short(ceiling),
            after_root=after,
            page_size=limit,
        )
        return [id_ for (id_,) in rows]

    def dangling(self, stream: Stream, after: str | None, limit: int) -> list[str]:
        """Return a page of the documents with a link to a row of the stream that is not there."""
        return self._linked("trace/dangling.sql", stream, after, limit)

    def _linked(
        self, file: str, stream: Stream, after: str | None, limit: int, ceiling: int | None = None
    ) -> list[str]:
        bound = {} if ceiling is None else {"ceiling": _short(ceiling)}
        found = names.of_fan_out(stream)
        rows = self._queries.rows(file, found, after_root=after, page_size=limit, **bound)
        return [id_ for (id_,) in rows]


def _short(transaction: int) -> str:
    """Return a transaction's number as ``xmin`` has it: its lowest 32 bits."""
    return str(transaction % _NUMBERS)
