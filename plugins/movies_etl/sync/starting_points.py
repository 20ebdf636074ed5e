"""Where streams begin: before the first load, when asked to load again, when a cursor is void."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.state.cursors import Cursor, CursorStore, LinkPosition, Position, RowPosition
from movies_etl.state.run_context import RunContext
from movies_etl.sync.versions import at_the_beginning

log = logging.getLogger(__name__)

_WALL = len("2001-01-01T00:00:00.000000")

Reload = str
"""``none``, ``all``, or the name of a stream."""


class StartingPoints:
    """Puts the cursors in order at the beginning of a run.

    :param context: the run's: a cursor counts only for its index and its database.
    """

    def __init__(self, context: RunContext, source: Source, store: CursorStore) -> None:
        self._context = context
        self._source = source
        self._root = source.definition.root
        self._streams = source.definition.streams
        self._store = store

    def put_in_order(
        self, cursors: Mapping[str, Cursor | None], reload: Reload, *, lost: str | None
    ) -> None:
        """Write a start for each stream whose cursor does not count.

        :param cursors: the cursor of each stream, as kept.
        :param reload: the stream to be loaded again, or all.
        :param lost: why the index lacks what the cursors have passed; None when it does not.
        """
        root = cursors[self._root.name]
        if reason := self._reason_to_start_over(root, reload, lost):
            log.log(logging.WARNING if root else logging.INFO, "Everything is loaded: %s", reason)
            counts = self._void(self._root, root) is None
            self._start_over(self._beginning(cursors), root_cursor_counts=counts)
            return
        self._tell_of_promotion(root)
        for stream in self._streams:
            cursor = cursors[stream.name]
            if stream.name == reload:
                log.info("%s is loaded again: reload is %s", stream.name, reload)
            elif reason := self._void(stream, cursor):
                log.warning("%s is loaded again: %s", stream.name, reason)
            elif cursor:
                if (completed := self._completed(stream, cursor)) != cursor:
                    self._save(stream, completed)
                continue
            self._save(stream, self._beginning(cursors))

    def are_in_order(self, cursors: Mapping[str, Cursor | None], *, lost: str | None) -> bool:
        """Whether every cursor counts as it is, so that nothing is to be written.

        :param cursors: see :meth:`put_in_order`, as ``lost``.
        """
        return lost is None and all(
            (cursor := cursors[stream.name]) is not None
            and self._void(stream, cursor) is None
            and self._completed(stream, cursor) == cursor
            for stream in self._streams
        )

    def _reason_to_start_over(
        self, root: Cursor | None, reload: Reload, lost: str | None
    ) -> str | None:
        return "reload is all" if reload == "all" else self._void(self._root, root) or lost

    def _tell_of_promotion(self, root: Cursor | None) -> None:
        before, now = root and root.database.timeline, self._context.database.timeline
        if before and now and before != now:
            log.warning(
                "PostgreSQL was promoted or restored (timeline %d, now %d). Changes that were lost "
                "with the server before may still be in the index: reload=all corrects them, but "
                "leaves %s that only that server had",
                before,
                now,
                self._source.definition.nouns,
            )

    def _completed(self, stream: Stream, cursor: Cursor) -> Cursor:
        """Return a cursor with what an older version of the program did not note.

        A server that was promoted or restored may give the numbers of lost transactions again: the
        rows of the tail are looked at anew.
        """
        database = cursor.database.completed_by(self._context.database)
        changes: dict[str, object] = {"database": database}
        if database.timeline != cursor.database.timeline:
            changes["tail"] = ()
        if stream is self._root and cursor.history is None:
            changes["history"] = self._context.history
        return cursor.moved(**changes)

    def _void(self, stream: Stream, cursor: Cursor | None) -> str | None:
        """Say why a cursor does not count, None when it does."""
        if cursor is None:
            return "there is no cursor"
        if cursor.index != self._context.uuid:
            return f"the cursor belongs to another index than {self._context.index}"
        if difference := self._context.database.difference_from(cursor.database):
            return difference
        for feed, position in zip(stream.feeds, (cursor.rows, cursor.links), strict=False):
            if position and self._is_ahead(feed, position):
                return (
                    f"the cursor stands at {position.stamp}, ahead of the database's clock: that "
                    "was set back, or MOVIES_ETL_TIMESTAMP_ZONE was changed"
                )
        return None

    def _is_ahead(self, feed: Feed, position: Position) -> bool:
        """Whether a position lies beyond the clock, in the column's own type."""
        clock, stamp = self._source.below(feed, self._context.m2m_start).stamp, position.stamp
        if feed.table in self._source.layout.without_zone:
            return stamp[:_WALL] > clock[:_WALL]
        return parse(stamp) > parse(clock)

    def _beginning(self, cursors: Mapping[str, Cursor | None]) -> Cursor:
        """Return a cursor that forgets positions, but not what a dead task may have left behind."""
        reserved = at_the_beginning(self._context.version, cursors)
        return Cursor(index=self._context.uuid, database=self._context.database).moved(
            **reserved._asdict()
        )

    def _start_over(self, beginning: Cursor, *, root_cursor_counts: bool) -> None:
        """Write the cursors before everything is loaded.

        A start that skips what changed is good only with documents that are loaded from the
        beginning, and a task may die between any two of the writes. So a root cursor that counts
        is put back first, and one that does not is written last: until then the next run starts
        over again.
        """
        linked = [stream for stream in self._streams if stream is not self._root]
        for stream in (self._root, *linked) if root_cursor_counts else (*linked, self._root):
            self._save(stream, self._start(stream, beginning))

    def at_the_ends(self) -> None:
        """Write the cursors of an index that is loaded from now on, but not by its streams.

        All of them start at their last stable rows, the root stream, too. They are open, because
        nobody knows which versions are sent until the streams come to their turn.
        """
        beginning = Cursor(
            index=self._context.uuid,
            database=self._context.database,
            version=self._context.version,
            open=True,
        )
        for stream in reversed(self._streams):
            rows = self._last(stream.rows)
            links = self._last(stream.links) if stream.links else None
            start = beginning.moved(
                rows=rows and RowPosition.at(rows),
                links=links and LinkPosition.at(links),
                horizon=self._context.horizon,
            )
            self._save(stream, start)

    def _start(self, stream: Stream, beginning: Cursor) -> Cursor:
        """Return where a stream starts when everything is loaded.

        What linked rows were before the M2M start is contained in the documents as they are
        loaded, so linked rows, and links, start at their last stable rows.
        """
        rows = None if stream is self._root else self._last(stream.rows)
        links = self._last(stream.links) if stream.links else None
        if stream is self._root and links is None:
            return beginning
        return beginning.moved(
            rows=rows and RowPosition.at(rows),
            links=links and LinkPosition.at(links),
            horizon=None if stream is self._root else self._context.horizon,
        )

    def _save(self, stream: Stream, cursor: Cursor) -> None:
        self._source.server.now()  # raises when the session is lost, and with it the lock
        if stream is self._root and self._context.history:
            cursor = cursor.moved(history=self._context.history)
        self._store.save(stream.name, cursor)

    def _last(self, feed: Feed) -> Position | None:
        return self._source.last(feed, self._source.below(feed, self._context.horizon))
