"""Where streams begin: before the first load, when asked to load again, when a cursor is void."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.definitions.movies import FILM_WORK, GENRE, PERSON, STREAMS
from movies_etl.postgres import horizon
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import Cursor, CursorStore, LinkPosition, Position, RowPosition
from movies_etl.state.run_context import RunContext

log = logging.getLogger(__name__)

_WALL = len("2001-01-01T00:00:00.000000")

Reload = Literal["none", "all", "film_work", "genre", "person"]


class StartingPoints:
    """Puts the cursors in order at the beginning of a run.

    :param context: the run's: a cursor counts only for its index and its database.
    """

    def __init__(self, context: RunContext, source: Source, cursors: CursorStore) -> None:
        self._context = context
        self._source = source
        self._cursors = cursors

    def put_in_order(
        self, held: Mapping[str, Cursor | None], reload: Reload, *, lost: str | None
    ) -> None:
        """Write a start for each stream whose cursor does not count.

        :param held: the cursor of each stream, as kept.
        :param reload: the stream to be loaded again, or all.
        :param lost: why the index lacks what the cursors have passed; None when it does not.
        """
        films = held[FILM_WORK.name]
        if reason := self._reason_to_start_over(films, reload, lost):
            log.log(logging.WARNING if films else logging.INFO, "Everything is loaded: %s", reason)
            counts = self._void(FILM_WORK, films) is None
            self._start_over(self._beginning(held), film_cursor_counts=counts)
            return
        self._tell_of_promotion(films)
        for stream in STREAMS:
            cursor = held[stream.name]
            if stream.name == reload:
                log.info("%s is loaded again: reload is %s", stream.name, reload)
            elif reason := self._void(stream, cursor):
                log.warning("%s is loaded again: %s", stream.name, reason)
            elif cursor:
                self._follow_timeline(stream, cursor)
                continue
            self._save(stream, self._beginning(held))

    def _reason_to_start_over(
        self, films: Cursor | None, reload: Reload, lost: str | None
    ) -> str | None:
        return "reload is all" if reload == "all" else self._void(FILM_WORK, films) or lost

    def _tell_of_promotion(self, films: Cursor | None) -> None:
        before, now = films and films.database.timeline, self._context.database.timeline
        if before and now and before != now:
            log.warning(
                "PostgreSQL was promoted or restored (timeline %d, now %d). Changes that were lost "
                "with the server before may still be in the index: reload=all corrects them",
                before,
                now,
            )

    def _follow_timeline(self, stream: Stream, cursor: Cursor) -> None:
        """Note the timeline of a server that was promoted or restored.

        Its transactions may have the numbers of lost ones: the rows of the tail are looked at anew.
        """
        database = self._context.database
        if database.timeline not in {None, cursor.database.timeline}:
            self._save(stream, cursor.moved(database=database, tail=()))

    def _void(self, stream: Stream, cursor: Cursor | None) -> str | None:
        """Say why a cursor does not count, None when it does."""
        if cursor is None:
            return "there is no cursor"
        if cursor.index != self._context.uuid:
            return f"the cursor belongs to another index than {self._context.index}"
        if not cursor.database.same_as(self._context.database):
            return f"the cursor belongs to another database ({cursor.database.name})"
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
        if feed.table in self._source.without_zone:
            return stamp[:_WALL] > clock[:_WALL]
        return horizon.parse(stamp) > horizon.parse(clock)

    def _beginning(self, held: Mapping[str, Cursor | None]) -> Cursor:
        """Return a cursor that forgets positions, but not what a dead task may have left behind.

        A cursor that is missing may have been open.
        """
        known = [cursor for cursor in held.values() if cursor]
        unclean = any(cursor is None or cursor.open for cursor in held.values())
        fences = [cursor.trusted_from for cursor in known] + [self._context.version] * unclean
        return Cursor(
            index=self._context.uuid,
            database=self._context.database,
            version=max([self._context.version - 1, *(cursor.version for cursor in known)]),
            trusted_from=max(fences, default=0),
        )

    def _start_over(self, beginning: Cursor, *, film_cursor_counts: bool) -> None:
        """Write the cursors before everything is loaded.

        A start that skips what changed is good only with films that are loaded from the beginning,
        also when ``init`` dies between two cursors. So a film cursor that counts goes first; one
        that is missing or void goes last: until then the starts are written again.
        """
        linked = (GENRE, PERSON)
        for stream in (FILM_WORK, *linked) if film_cursor_counts else (*linked, FILM_WORK):
            self._save(stream, self._start(stream, beginning))

    def _start(self, stream: Stream, beginning: Cursor) -> Cursor:
        """Return where a stream starts when all films are loaded.

        What genres and persons were before the M2M start is contained in the films as they are
        loaded, so their streams start at their last settled rows.
        """
        if stream.links is None:
            return beginning
        rows, links = self._last(stream.rows), self._last(stream.links)
        return beginning.moved(
            rows=rows and RowPosition.at(rows),
            links=links and LinkPosition.at(links),
            horizon=self._context.horizon,
        )

    def _save(self, stream: Stream, cursor: Cursor) -> None:
        self._source.now()  # raises when the session is lost, and with it the lock
        self._cursors.save(stream.name, cursor)

    def _last(self, feed: Feed) -> Position | None:
        return self._source.last(feed, self._source.below(feed, self._context.horizon))
