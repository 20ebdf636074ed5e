"""What the task ``follow`` does: spells, turns for others, deletions when they are hinted at."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from movies_etl.errors import ConfigurationError, MoviesEtlError, WriterBusyError
from movies_etl.follow.cursors import CursorChangedError, HeldCursors
from movies_etl.follow.spell import ClockSetBackError, Spell
from movies_etl.follow.turns import turn
from movies_etl.postgres import lock
from movies_etl.postgres.horizon import HorizonStore
from movies_etl.postgres.traces import statistics
from movies_etl.reconcile.each_run import checked
from movies_etl.settings import Settings
from movies_etl.state.comparison import DifferenceStore, TableStatistics
from movies_etl.state.run_context import RunContext
from movies_etl.sync.exchange import is_replaced
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context

log = logging.getLogger(__name__)

STAND_BY_LIMIT = 60.0
"""Seconds that a task stands by longer than another one follows."""

TELL_SECONDS = 60.0
"""Seconds between two lines of progress."""

HINT_SECONDS = 1.0
"""Seconds between two looks at what PostgreSQL counts of deleted rows."""

HINTS_LAST_SECONDS = 20.0
"""Seconds after a commit within which PostgreSQL has counted what was deleted: a session that goes
idle tells it after ten."""

REST_TIMES = 9.0
"""How many times as long as a search for deleted rows took the next one is left alone: where rows
are deleted all the time, that takes a tenth of the time."""

MAX_REST_SECONDS = 60.0
"""How long that is at most."""

FIRST_LOAD_SECONDS = 1.0
"""Seconds between two looks whether a load of everything has come to its end."""


OTHERS_SECONDS = 10.0
"""Seconds between two feedings of the indexes beside the live one."""


@dataclass(frozen=True)
class Stores:
    """What is kept between tasks, beside the cursors.

    :param feed_others: feeds the indexes beside the live one; takes the context of the newest
        cycle.
    """

    horizons: HorizonStore
    differences: DifferenceStore
    feed_others: Callable[[RunContext], None]


def follow(resources: Resources, settings: Settings, stores: Stores) -> dict[str, Any]:
    """Follow the catalogue for ``follow_seconds``, alone.

    :returns: the counters; ``cycles`` in which something was looked for, ``spells`` between turns
        of other tasks, and the ``difference`` where counts were compared.
    :raises MoviesEtlError: see ``sync``.
    """
    server, uuid = resources.source.server, resources.context.uuid
    follower = _Follower(resources, settings, stores)
    with turn(server, uuid, settings.follow_seconds + STAND_BY_LIMIT) as is_ours:
        if is_ours:
            follower.follow()
    resources.counters.tick()
    done = {"cycles": follower.cycles, "spells": follower.spells}
    return resources.counters.as_result() | done | follower.compared


class _Follower:
    """Follows for a time.

    ``cycles`` and ``spells`` count what was done; ``compared`` is the last ``difference``.
    """

    def __init__(self, resources: Resources, settings: Settings, stores: Stores) -> None:
        self._resources = resources
        self._settings = settings
        self._stores = stores
        self._server = resources.source.server
        self._table = resources.definition.root.rows.table
        last = stores.differences.load()
        self._statistics = last and last.statistics
        self._hint_at = self._hints_until = 0.0
        self._told_at = self._fed_at = time.monotonic()
        self._others_are_behind = False
        self._deadline = 0.0
        self._hinted: RunContext | None = None
        self.cycles = self.spells = 0
        self.compared: dict[str, int] = {}

    def follow(self) -> None:
        """Follow until the time is over, or something is for the next ``init`` to decide.

        When a rebuild has given the alias to another index, the next run goes on with that.
        """
        try:
            self._take_turns()
        except ConfigurationError:
            if not is_replaced(self._resources):
                raise

    def _take_turns(self) -> None:
        uuid = self._resources.context.uuid
        self._deadline = time.monotonic() + self._settings.follow_seconds
        log.info("Following for %.0f s", self._settings.follow_seconds)
        while (left := self._deadline - time.monotonic()) > 0:
            try:
                lock.take(self._server, uuid, wait=left)
                check_context(self._resources)
            except WriterBusyError as error:
                log.info("The time is over: %s", error)
                return
            except ConfigurationError as error:
                self._server.unlock(lock.key_of(uuid))
                if not self.spells:
                    raise
                log.warning("Following ends, the next run goes on: %s", error)
                return
            try:
                is_loaded = self._spell()
            except CursorChangedError as error:
                # The lock goes with the session, after what was sent.
                log.warning("Following ends, the next run goes on: %s", error)
                return
            self._server.unlock(lock.key_of(uuid))
            if self._hinted:
                self._delete(self._hinted)
            if not is_loaded:
                time.sleep(FIRST_LOAD_SECONDS)

    def _spell(self) -> bool:
        """Follow until another task wants to write, rows were deleted, or the time is over.

        :returns: False while a load of everything is under way: that is for its own run.
        """
        streams = self._resources.definition.streams
        cursors = HeldCursors(self._resources.cursors, streams)
        known = [cursors.load(stream.name) for stream in streams]
        if not all(cursor and cursor.horizon for cursor in known):
            return False
        self.spells += 1
        self._hinted = None
        spell = Spell(self._resources, self._settings, self._stores.horizons, cursors)
        try:
            self._hinted = spell.context if self._looks(spell) else None
        except ClockSetBackError:
            log.warning("The database's clock was set back: following ends, the next run goes on")
            self._deadline = 0.0
        spell.close()
        return True

    def _looks(self, spell: Spell) -> bool:
        """Look again and again; say whether PostgreSQL counts rows that were deleted."""
        while (began := time.monotonic()) < self._deadline and not spell.is_awaited:
            if spell.look():
                self.cycles += 1
                self._hints_until = max(self._hints_until, began + HINTS_LAST_SECONDS)
                self._others_are_behind = True
            self._resources.counters.looks += 1
            self._feed_others(spell)
            if self._is_hinted():
                return True
            self._tell()
            time.sleep(max(0.0, began + self._settings.poll_seconds - time.monotonic()))
        return False

    def _feed_others(self, spell: Spell) -> None:
        """Feed the indexes beside the live one, if something changed since and nobody waits."""
        context, is_due = spell.context, time.monotonic() - self._fed_at >= OTHERS_SECONDS
        if self._others_are_behind and is_due and not spell.is_awaited:
            try:
                self._stores.feed_others(context)
                self._others_are_behind = False
            except MoviesEtlError as error:
                log.warning("The indexes beside %s were not fed: %s", context.index, error)
            self._fed_at = time.monotonic()

    def _is_hinted(self) -> bool:
        now = time.monotonic()
        if not self._hint_at <= now <= self._hints_until:
            return False
        self._hint_at = now + HINT_SECONDS
        return self._counted() != self._statistics

    def _counted(self) -> TableStatistics | None:
        return statistics(self._resources.source.queries, [self._table]).get(self._table)

    def _delete(self, context: RunContext) -> None:
        """Have the documents deleted whose rows are gone.

        The lock is taken for each batch of them: many take longer than others wait. Then they are
        left alone for a while that grows with the time that it took.
        """
        self._hinted = None
        began = time.monotonic()
        self._statistics = self._counted()
        resources = replace(self._resources, context=context)
        done = checked(resources, self._settings, self._stores.differences)
        self._resources.counters.deleted += done.pop("deleted", 0)
        self.compared |= done
        now = time.monotonic()
        self._hint_at = now + min(REST_TIMES * (now - began), MAX_REST_SECONDS)
        self._hints_until = self._hint_at + HINTS_LAST_SECONDS

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        counters = self._resources.counters
        log.info(
            "Following: %d cycles, %d indexed, %d deleted, %d refused; %.0f s are left",
            self.cycles,
            counters.indexed,
            counters.deleted,
            counters.refused,
            self._deadline - now,
        )
