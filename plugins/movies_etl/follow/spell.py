"""A spell of following: the writer's lock is held, and each change is loaded when it is visible.

A cycle does what a run does: it measures a horizon of its own, and loads what changed in each
stream. It costs less, because nobody else writes meanwhile: the cursors, the versions and the dead
letters are those of the cycle before.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from movies_etl.definitions.definition import Stream
from movies_etl.follow.cursors import HeldCursors
from movies_etl.postgres import horizon, lock
from movies_etl.postgres.horizon import HorizonStore, Known
from movies_etl.postgres.timestamps import parse
from movies_etl.settings import Settings
from movies_etl.state.cursors import Seen
from movies_etl.state.run_context import RunContext
from movies_etl.sync.batches import MAX_UNDATED_ROWS, Batch, Reading, batches
from movies_etl.sync.compared import Compared
from movies_etl.sync.resources import Resources
from movies_etl.sync.stream_run import StreamRun, opened
from movies_etl.sync.versions import first_version

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Seconds between two looks for a task that waits for the writer's lock."""

OTHERS_FIRST_SECONDS = 0.2
"""Seconds that a fan-out goes on before changes of other streams are looked for again."""

PAGE_SIZE = 100
"""Most documents of a page: another change waits until those that are on their way have arrived."""

BODY_BYTES = 60_000
"""Size of a bulk request at most, for the same reason: what is sent meanwhile need not wait."""

KEEP_SECONDS = 10.0
"""Seconds after which cursors are written even if nothing demands it: a crash repeats as much."""


class ClockSetBackError(Exception):
    """The database's clock is behind a horizon: the next ``init`` decides what to do."""


class _Standing(NamedTuple):
    """What stood above a horizon before a stream was read: two numbers per feed."""

    horizon: str
    digests: list[tuple[int, str | None]]


class Spell:
    """One spell; the writer's lock is held.

    :param resources: of the task.
    :param horizons: where the horizon is kept.
    :param cursors: those of all streams, all loaded once.

    ``context`` is that of the newest cycle. ``is_awaited`` says that another task waits for the
    lock.
    """

    def __init__(
        self, resources: Resources, settings: Settings, horizons: HorizonStore, cursors: HeldCursors
    ) -> None:
        page_size, body = min(settings.page_size, PAGE_SIZE), min(settings.bulk_bytes, BODY_BYTES)
        settings = settings.model_copy(update={"page_size": page_size, "bulk_bytes": body})
        self._resources = resources
        self._settings = settings
        self._horizons = horizons
        self._cursors = cursors
        self._source = resources.source
        self._server = resources.source.server
        streams = resources.definition.streams
        known = {stream.name: cursors.load(stream.name) for stream in streams}
        version = first_version(self._server.clock(), known.values(), is_fresh=False)
        self.context = resources.context.model_copy(update={"version": version})
        own = replace(resources, cursors=cursors, context=self.context, is_quiet=True)
        self._settlement = opened(own, settings, known.values())
        self._versions = self._settlement.versions
        self._root, *self._others = streams
        self._runs = {
            stream.name: StreamRun.begun(stream, own, settings, self._settlement)
            for stream in streams
        }
        self._known = horizons.load()
        self._counters = resources.counters
        self._key = lock.key_of(self.context.uuid)
        self.is_awaited = False
        self._seen: str | None = None
        self._is_whole = False
        self._above: dict[str, _Standing] = {}
        self._compared = {stream.name: Compared() for stream in streams}
        self._read_at: str | None = None
        self._passed: str | None = None
        self._settles_at = self._looked_at = self._others_at = 0.0
        self._kept_at = time.monotonic()

    def look(self) -> bool:
        """Load what became visible since the last look.

        :returns: whether there was anything to look for.
        :raises ClockSetBackError: the database's clock is behind a horizon.
        """
        self._look_for_others()
        snapshot = self._server.snapshot()  # before anything is read: a later change then shows
        is_changed = snapshot != self._seen
        settles = 0 < self._settles_at <= time.monotonic()
        if is_changed or settles:
            self._seen = snapshot
            self._cycle(settles=settles)
        if time.monotonic() - self._kept_at >= KEEP_SECONDS:
            self._cursors.keep()
            self._kept_at = time.monotonic()
        return is_changed

    def delete(self, ids: list[str]) -> int:
        """Delete those of these documents whose rows are gone, as the primary has it.

        :returns: how many were deleted.
        """
        deleted, run = self._counters.deleted, self._runs[self._root.name]
        run.read_on(self._resources.source)
        self._settlement.begin_anew()
        run.load(Batch(ids, delete_absent=True))
        run.pause()
        self._settlement.show()
        return self._counters.deleted - deleted

    def wait_until_visible(self) -> None:
        """Return when searches see everything: else they find what was deleted."""
        self._settlement.wait_until_visible()

    def close(self) -> None:
        """Settle everything and close the cursors: another task may write."""
        for run in self._runs.values():
            run.finish()
        self._note_what_was_seen()
        self._cursors.keep()
        if self._known.horizon:
            self._horizons.save(self._known.horizon, self._known.epochs)

    def _note_what_was_seen(self) -> None:
        """Let the next run read nothing, if nothing became visible since the last cycle began."""
        primary = self._resources.source
        visible = primary.visible() if self._is_whole and primary.layout.visible else None
        if visible is None or visible.snapshot != self._seen:
            return
        for name, run in self._runs.items():
            above, cursor = self._above[name], run.cursor
            is_left = any(rows for rows, _ in above.digests)
            seen = Seen(
                **visible.model_dump(),
                rows=cursor.rows,
                links=cursor.links,
                left_at=above.horizon if is_left else None,
            )
            self._cursors.save(name, cursor.moved(seen=seen))

    def _cycle(self, *, settles: bool) -> None:
        """Load what changed in each stream.

        :param settles: what was read above a horizon is read once more, though nothing became
            visible: a later horizon may have passed it. A transaction that is open leaves it to
            the next time.
        """
        self._is_whole = False
        context = self._measured()
        self._others_at = time.monotonic()
        passes = settles and context.horizon != self._passed
        for stream in (self._root, *self._others):
            if self.is_awaited:
                return
            has_news = self._has_news(stream)
            if has_news or passes:
                read = self._counters.read
                self._settlement.begin_anew()  # else one good film would let all bad ones pass
                self._load(stream, context)
                if has_news and self._counters.read > read:
                    self._read_at = self.context.m2m_start
        self._is_whole = not self.is_awaited
        if passes:
            self._passed = context.horizon
        if settles or not self._settles_at:
            self._settle_later()

    def _settle_later(self) -> None:
        """Note when to look whether the horizon has passed what was read, if it has not yet."""
        is_left = self._read_at and parse(self.context.horizon) <= parse(self._read_at)
        wait = self._settings.horizon_margin + LOOK_SECONDS
        self._settles_at = time.monotonic() + wait if is_left else 0.0

    def _has_news(self, stream: Stream) -> bool:
        """Whether there are row versions above the last reading's horizon that it did not see.

        A look costs no more than this on a server that commits all the time. Below that horizon
        nothing can have appeared.
        """
        known = self._above.get(stream.name)
        return known is None or self._standing(stream, known.horizon) != known

    def _standing(self, stream: Stream, horizon: str) -> _Standing:
        digests = [
            self._source.above(feed, self._source.below(feed, horizon), MAX_UNDATED_ROWS + 1)
            for feed in stream.feeds
        ]
        return _Standing(horizon, digests)

    def _measured(self) -> RunContext:
        """Return the context of a cycle: it is measured before anything is read."""
        margin = timedelta(seconds=self._settings.horizon_margin)
        found = horizon.measure(self._server, margin, self._known, timedelta(0))
        before = self._known.horizon
        if before and parse(found.now) < parse(before):
            raise ClockSetBackError
        self._known = Known(found.horizon, found.epochs)
        version = max(self._server.clock(), self._versions.reading + 1)
        self.context = self.context.model_copy(
            update={"m2m_start": found.now, "horizon": found.horizon, "version": version}
        )
        self._catch_up()
        return self.context

    def _catch_up(self) -> None:
        """Decide what is read; elsewhere a row version may not be seen that was compared here."""
        source, primary = self._resources.caught_up(), self._resources.source
        if (source is primary) != (self._source is primary):
            self._compared = {name: Compared() for name in self._runs}
        self._source = source

    def _load(self, stream: Stream, context: RunContext, *within: Stream) -> None:
        """Load what changed in a stream, until another task wants to write.

        A changed root does not wait for a fan-out, nor a small fan-out for a large one.

        :param within: streams whose fan-outs go on when this one is done.
        """
        run = self._runs[stream.name]
        run.read_on(self._source)
        # Before anything is read: a later change then shows.
        self._above[stream.name] = self._standing(stream, context.horizon)
        compared = self._compared[stream.name]
        reading = Reading(context, self._settings.page_size, compared=compared)
        for batch in batches(stream, run.cursor, self._source, reading):
            run.load(batch)
            if self._look_for_others():
                break
            if batch.ids and stream is not self._root:
                for other in self._changed_meanwhile(stream, *within):
                    run.pause()  # two readings of a document are never on their way side by side
                    self._load(other, self._measured(), stream, *within)
                    self._read_at = self.context.m2m_start
        run.pause()
        # Not before: what goes first would wait for a refresh of what went on.
        self._settlement.show()

    def _changed_meanwhile(self, *loading: Stream) -> list[Stream]:
        """Return the other streams that have news, where it is time to look."""
        now = time.monotonic()
        if now - self._others_at < OTHERS_FIRST_SECONDS:
            return []
        self._others_at = now
        streams = (self._root, *self._others)
        return [one for one in streams if one not in loading and self._has_news(one)]

    def _look_for_others(self) -> bool:
        now = time.monotonic()
        if not self.is_awaited and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self.is_awaited = self._server.is_awaited(self._key)
        return self.is_awaited
