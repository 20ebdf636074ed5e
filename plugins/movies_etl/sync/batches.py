"""Which documents a stream loads, in which order, and where its cursor stands after each page."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.postgres.source import Row, Source
from movies_etl.state.cursors import (
    Cursor,
    FanOutProgress,
    LinkPosition,
    RowPosition,
    Seen,
    SentRow,
)
from movies_etl.state.run_context import RunContext
from movies_etl.state.visible import Visible
from movies_etl.sync.compared import Compared, Place
from movies_etl.sync.ids import in_pages
from movies_etl.sync.page_size import PageSize

MAX_REMEMBERED_ROWS = 1000
"""Rows above the horizon that a cursor remembers as fanned out."""

MAX_UNDATED_ROWS = 10_000
"""How many rows without a usable timestamp an ordinary run reads. A first load or a reload reads
all of them."""

NOTHING_NEW = "nothing was committed since the stream was read last"
"""Why a stream is not read at all."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Documents to be loaded together.

    :param ids: their ids, a page at most.
    :param reached: where the cursor stands once these documents and all before are settled.
    :param skip_unchanged: skip documents of which the index has the same text.
    :param delete_absent: delete the documents whose row is gone. Such a batch may name ids that no
        row can have.
    :param unless_read_since: skip documents whose indexed version is at least this: they were read
        after the change. 0 skips nothing.
    :param decision: what is to be told of how the stream was read.
    """

    ids: list[str]
    reached: Cursor | None = None
    skip_unchanged: bool = True
    unless_read_since: int = 0
    delete_absent: bool = False
    decision: str = ""


@dataclass(frozen=True)
class Reading:
    """How far a stream is read, and by how much at once.

    :param context: the run's; it may be older than the cursor when a task was cleared.
    :param page_size: rows, and documents, per page.
    :param visible: what was visible before anything is read; None where that is not known.
    :param compared: the row versions that a task that goes on has compared already: they are left
        out.
    """

    context: RunContext
    page_size: int
    visible: Visible | None = None
    compared: Compared = field(default_factory=Compared)

    def has_nothing_for(self, cursor: Cursor) -> bool:
        """Whether nothing became visible since the stream was last read to its end."""
        return self.visible is not None and cursor.has_read(self.visible, self.context.horizon)


def batches(stream: Stream, cursor: Cursor, source: Source, reading: Reading) -> Iterator[Batch]:
    """Page through everything that a stream has to load now.

    Stable rows come first and move the cursor; then rows that no position in time reaches; then
    the tail, which is sent at once but read again by the next run. The last batch carries the
    cursor of a stream that came to its end.

    Nothing is read where nothing became visible since the stream was last read to its end.
    """
    if reading.has_nothing_for(cursor):
        yield Batch([], cursor.moved(horizon=reading.context.horizon), decision=NOTHING_NEW)
        return
    reader = _Reader(stream, cursor, source, reading)
    for feed in stream.feeds:
        cursor = yield from reader.stable(feed, cursor)
    for feed in stream.feeds:
        yield from reader.undated(feed)
    for feed in stream.feeds:
        yield from reader.tail(feed)
    yield Batch([], reader.ended(cursor), decision=reader.decision)


def whatever_the_index_has(ids: Sequence[str], page_size: int) -> Iterator[Batch]:
    """Page through documents that are sent even if the index has the same text."""
    for page in in_pages(ids, page_size):
        yield Batch(page, skip_unchanged=False)


class _Reader:
    """Reads one stream for one run.

    :param cursor: where the run begins.

    ``above`` are the rows above the horizon that were fanned out.
    """

    def __init__(self, stream: Stream, cursor: Cursor, source: Source, reading: Reading) -> None:
        self._stream = stream
        self._source = source
        self._horizon = reading.context.horizon
        self._since = reading.context.version
        self._page_size = reading.page_size
        self._visible = reading.visible
        self._compared = reading.compared
        self._skip_unchanged = cursor.horizon is not None
        self._remembered = {(row.id, row.xmin) for row in cursor.tail}
        self.above: list[SentRow] = []
        self._left_at: str | None = None
        self._left = 0

    @property
    def decision(self) -> str:
        """Say which rows are read again by the next run; empty where there are none."""
        if not self._left:
            return ""
        rows = "1 row" if self._left == 1 else f"{self._left:,} rows"
        return f"{rows} above the horizon {self._horizon} for the next run to read again"

    def ended(self, cursor: Cursor) -> Cursor:
        """Return a stream's cursor when everything that there was is read."""
        seen = self._visible and Seen(
            **self._visible.model_dump(),
            rows=cursor.rows,
            links=cursor.links,
            left_at=self._left_at,
        )
        return cursor.moved(horizon=self._horizon, tail=tuple(self.above), seen=seen)

    def stable(self, feed: Feed, cursor: Cursor) -> Generator[Batch, None, Cursor]:
        """Page through a feed up to the horizon; the cursor follows."""
        if feed is not self._stream.rows:
            return (yield from self._stable_links(feed, cursor))
        if self._stream.fan_out is None:
            return (yield from self._stable_roots(feed, cursor))
        return (yield from self._stable_fan_out(feed, cursor))

    def _stable_roots(self, feed: Feed, cursor: Cursor) -> Generator[Batch, None, Cursor]:
        if self._compared.knows(Place(feed.table, "tail")):
            return (yield from self._passed_roots(feed, cursor))
        upto = self._source.below(feed, self._horizon)
        size = PageSize(self._page_size)
        while page := self._source.changed_ids(feed, cursor.rows, upto, size.documents):
            cursor = cursor.moved(rows=RowPosition.at(page.last))
            yield Batch(page.ids, cursor, skip_unchanged=self._skip_unchanged)
            if not self._skip_unchanged:
                size.next()
        return cursor

    def _passed_roots(self, feed: Feed, cursor: Cursor) -> Generator[Batch, None, Cursor]:
        """Page through rows of which most were compared while they stood above the horizon.

        Versions are read with them, which takes longer than ids alone.
        """
        upto, place = self._source.below(feed, self._horizon), Place(feed.table, "tail")
        while rows := self._source.changed(feed, cursor.rows, upto, self._page_size):
            cursor = cursor.moved(rows=RowPosition.at(self._source.position(feed, rows[-1])))
            ids = _roots(self._compared.fresh(place, rows))
            yield Batch(ids, cursor, skip_unchanged=self._skip_unchanged)
        return cursor

    def _stable_links(self, feed: Feed, cursor: Cursor) -> Generator[Batch, None, Cursor]:
        upto = self._source.below(feed, self._horizon)
        while rows := self._source.changed(feed, cursor.links, upto, self._page_size):
            last = self._source.position(feed, rows[-1])
            cursor = cursor.moved(links=LinkPosition.at(last))
            fresh = self._compared.fresh(Place(feed.table, "tail"), rows)
            yield self._batch(_roots(fresh), cursor, since=self._since)
        return cursor

    def _stable_fan_out(self, feed: Feed, cursor: Cursor) -> Generator[Batch, None, Cursor]:
        upto = self._source.below(feed, self._horizon)
        while True:
            if page := cursor.fan_out:
                rows = self._source.changed(feed, page.start, page.end, None)
            elif rows := self._source.changed(feed, cursor.rows, upto, self._page_size):
                end = RowPosition.at(self._source.position(feed, rows[-1]))
                page = FanOutProgress(
                    start=cursor.rows, end=end, after_root=None, since=self._since
                )
            else:
                return cursor
            rows = [row for row in rows if (row.id, row.xmin) not in self._remembered]
            for ids in self._fan_out(rows, page.after_root):
                page = page.model_copy(update={"after_root": ids[-1]})
                # The page may be of a later run than this task, when that was cleared.
                since = max(page.since, self._since)
                yield self._batch(ids, cursor.moved(fan_out=page), since=since)
            cursor = cursor.moved(rows=page.end, fan_out=None)
            yield Batch([], cursor)

    def _batch(self, ids: list[str], reached: Cursor, *, since: int) -> Batch:
        return Batch(ids, reached, self._skip_unchanged, since)

    def undated(self, feed: Feed) -> Iterator[Batch]:
        """Page through the rows that no position in time reaches.

        A first load or a reload takes all of them, any other run the first ``MAX_UNDATED_ROWS``.
        """
        after, place = None, Place(feed.table, "undated")
        self._compared.begin(place)
        while rows := self._source.undated(feed, after, MAX_UNDATED_ROWS + 1):
            first = rows[:MAX_UNDATED_ROWS]
            for page in in_pages(first, self._page_size):
                yield from self._above(feed, place, page, skip_unchanged=self._skip_unchanged)
            if len(rows) == len(first):
                break
            if self._skip_unchanged:
                self._warn_of_undated(feed)
                break
            after = first[-1].id
        self._compared.end(place)

    def _warn_of_undated(self, feed: Feed) -> None:
        log.warning(
            "More than %d rows of table %s have no usable %s: only the first %d by id are looked "
            "at in each run. Give them a time, or trigger with reload=%s to load all of them",
            MAX_UNDATED_ROWS,
            feed.table,
            feed.stamp,
            MAX_UNDATED_ROWS,
            self._stream.name if feed is self._stream.rows else "all",
        )

    def tail(self, feed: Feed) -> Iterator[Batch]:
        """Page through the rows at or above the horizon; the cursor stays.

        As many are read as there are at the beginning: what is written meanwhile belongs to the
        next run, or a stream would not end while somebody writes.
        """
        after, place = self._source.below(feed, self._horizon), Place(feed.table, "tail")
        left = None
        self._compared.begin(place)
        while rows := self._source.changed(feed, after, None, self._page_size):
            self._left_at = self._horizon
            self._left += len(rows)
            if left is None and len(rows) == self._page_size:
                left = self._source.count_changed(feed, after)
            yield from self._above(feed, place, rows, skip_unchanged=True)
            if left is None or (left := left - len(rows)) <= 0:
                break
            after = self._source.position(feed, rows[-1])
        self._compared.end(place)

    def _above(
        self, feed: Feed, place: Place, rows: list[Row], *, skip_unchanged: bool
    ) -> Iterator[Batch]:
        """Load the documents of rows that move no cursor."""
        fresh = self._compared.fresh(place, rows)
        lasting = self._source.lasting(feed, rows)
        if feed.root is not None:
            if ids := _roots(fresh):
                yield Batch(ids, skip_unchanged=skip_unchanged)
        else:
            fresh = [row for row in fresh if (row.id, row.xmin) not in self._remembered]
            remembered = lasting[: MAX_REMEMBERED_ROWS - len(self.above)]
            self.above += (SentRow(id=row.id, xmin=row.xmin) for row in remembered)
            for linked in self._fan_out(fresh, None):
                yield Batch(linked, skip_unchanged=skip_unchanged)
        self._compared.note(place, lasting)  # last: a reading that is cut short repeats the page

    def _fan_out(self, rows: list[Row], after: str | None) -> Iterator[list[str]]:
        if not rows:
            return
        while ids := self._source.fanned_out(self._stream, rows, after, self._page_size):
            yield ids
            after = ids[-1]


def _roots(rows: list[Row]) -> list[str]:
    """Return the ids of the documents that these rows are or point to, each once."""
    return list(dict.fromkeys(row.root for row in rows if row.root is not None))
