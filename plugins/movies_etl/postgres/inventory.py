"""What the root table holds as a whole: rows by ranges of ids, the ids of a range, checksums.

Ids have the order that Elasticsearch gives them: that of their texts, by bytes. Every id lies in
exactly one range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import NamedTuple

from movies_etl.definitions.ranges import Range
from movies_etl.errors import CancelledStatementError, ConfigurationError
from movies_etl.postgres import names
from movies_etl.postgres.assembly import OF_ONE_DOCUMENT, Assembled, assembled
from movies_etl.postgres.layout import LOWEST_IDS
from movies_etl.postgres.source import FETCHED_ROWS, Source

SAMPLED_PER_RANGE = 100
"""Rows of the sample for each range, about: ranges are then of equal size by a third."""

READ_TOGETHER = 20_000
"""Ids, or documents, that are read by one query; PostgreSQL takes longer per document for fewer."""

SCANNED_TOGETHER = 100_000
"""The same where each query reads the whole table."""

_LONGEST_ENDING = 40
"""Bytes of a document's end that hold its checksum: ``,"checksum":-9223372036854775808}``."""

_ENDINGS = (
    b"built.id, substr(built.document, octet_length(built.document) - %d) AS ending,"
    b" CASE WHEN built.id = ANY(%%(whole)s) THEN built.document END AS document"
) % (_LONGEST_ENDING - 1)


class Built(NamedTuple):
    """A document as its row has it now.

    :param checksum: None where PostgreSQL cannot build it.
    :param text: all of it, where that was asked for.
    """

    checksum: int | None
    text: bytes | None


class RowInventory:
    """The rows of the root table; each question has a snapshot of its own.

    :param source: the catalogue; see it for the errors of every method.

    ``share_ids`` says whether rows may have the same id.
    """

    def __init__(self, source: Source) -> None:
        self._queries = source.queries
        self._names = names.of_root(source.definition)
        self._table = source.definition.root.rows.table
        self._documents = f"{source.definition.name}/documents.sql"
        self.share_ids = self._table in source.layout.ambiguous
        lowest = source.layout.lowest_ids[self._table]
        self._folder = f"root/{'uuid' if lowest == LOWEST_IDS['uuid'] else 'text'}"

    @property
    def is_read_by_id(self) -> bool:
        """Whether an index has the ids in their order; else the table is read for each range."""
        return self._folder == "root/uuid"

    def bounds(self, ranges: int) -> list[str]:
        """Return ids that divide the rows into at most so many ranges of about equal size."""
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

    def pages(self, part: Range) -> Iterator[tuple[Range, list[str]]]:
        """Yield the ids of a range in their order, a page at a time.

        :returns: the smaller ranges that make up this one, each with all of its ids.
        """
        size = READ_TOGETHER if self.is_read_by_id else SCANNED_TOGETHER
        ids = self.ids(part, size + 1)
        while len(ids) > size:
            yield Range(part.first, ids[size]), ids[:size]
            part = Range(ids[size], part.before)
            ids = self.ids(part, size + 1)
        yield part, ids

    def built(self, ids: Sequence[str], whole: Sequence[str] = ()) -> dict[str, Built]:
        """Build the documents of these ids that exist; return their checksums.

        Where that takes too long for one statement, several do it.

        :param whole: the documents of which the text is wanted, too.
        """
        try:
            rows = self._queries.around(self._documents, _ENDINGS, ids=[*ids], whole=[*whole])
        except CancelledStatementError:
            if len(ids) < 2:
                raise
            middle = len(ids) // 2
            return self.built(ids[:middle], whole) | self.built(ids[middle:], whole)
        except ConfigurationError as error:
            if not isinstance(error.__cause__, OF_ONE_DOCUMENT):
                raise
            return self._built_one_by_one(ids, frozenset(whole))
        return {id_: Built(_checksum(ending), text) for id_, ending, text in rows}

    def _built_one_by_one(self, ids: Sequence[str], whole: Iterable[str]) -> dict[str, Built]:
        """Build documents one by one where PostgreSQL cannot build some of them."""
        with closing(assembled(self._queries, self._documents, FETCHED_ROWS, ids)) as pieces:
            return {one.id: _built(one, one.id in whole) for one in chain.from_iterable(pieces)}


def _built(one: Assembled, is_whole: bool) -> Built:
    if one.problem:
        return Built(None, None)
    return Built(_checksum(one.text[-_LONGEST_ENDING:]), one.text if is_whole else None)


def _checksum(ending: bytes) -> int:
    return int(ending.rpartition(b":")[2].rstrip(b"}"))
