"""What the task ``follow`` does: spells, turns for others, and deletions when there is a hint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from movies_etl.errors import ConfigurationError, WriterBusyError, on_one_line
from movies_etl.follow.cursors import CursorChangedError, HeldCursors
from movies_etl.follow.gone import Gone
from movies_etl.follow.hints import Hint, Hints
from movies_etl.follow.others import Feeding, Others
from movies_etl.follow.spell import ClockSetBackError, Spell
from movies_etl.follow.turns import Turns
from movies_etl.postgres import lock
from movies_etl.postgres.horizon import HorizonStore
from movies_etl.reconcile.each_run import Search, checked, searched
from movies_etl.settings import Settings
from movies_etl.state.comparison import DifferenceStore
from movies_etl.state.run_context import RunContext
from movies_etl.steps import ResultT, Steps
from movies_etl.sync.exchange import is_replaced
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context

log = logging.getLogger(__name__)

MAX_STAND_BY_SECONDS = 60.0
"""A task stands by for so many seconds longer than another one may follow."""

TELL_SECONDS = 60.0
"""Seconds between two lines of progress."""

FIRST_LOAD_SECONDS = 1.0
"""Seconds between two checks whether a load of everything has ended."""


@dataclass(frozen=True)
class Stores:
    """What is kept between tasks, besides the cursors.

    :param feed_others: begins to feed the indexes beside the live one; see :class:`Others`.
    """

    horizons: HorizonStore
    differences: DifferenceStore
    feed_others: Callable[[RunContext], Feeding]


def follow(resources: Resources, settings: Settings, stores: Stores) -> dict[str, Any]:
    """Follow the catalogue for ``follow_seconds``, alone; again if the next task is killed early.

    :returns: the counters; ``cycles`` that looked for something, ``spells`` between turns of other
        tasks, and the ``difference`` where counts were compared.
    :raises MoviesEtlError: see ``sync``.
    """
    server, uuid = resources.source.server, resources.context.uuid
    follower, turns = _Follower(resources, settings, stores), Turns(server, uuid)
    is_ours = turns.begin(settings.follow_seconds + MAX_STAND_BY_SECONDS)
    while is_ours:
        may_go_on = follower.follow()
        is_ours = turns.hand_over(settings.follow_seconds if may_go_on else 0)
    counters = resources.counters
    counters.tick()
    log.info(
        "follow is done: %s, in %d cycles, after %.1f s",
        counters.outcomes() or "nothing to load",
        follower.cycles,
        counters.seconds,
    )
    done = {"cycles": follower.cycles, "spells": follower.spells}
    return counters.as_result() | done | follower.compared


class _Follower:
    """Follows for a time.

    ``cycles`` and ``spells`` are counted; ``compared`` is the last ``difference``.
    """

    def __init__(self, resources: Resources, settings: Settings, stores: Stores) -> None:
        self._resources = resources
        self._settings = settings
        self._stores = stores
        self._server = resources.source.server
        self._hints = Hints(resources, stores.differences)
        self._gone = Gone(resources)
        self._others = Others(stores.feed_others)
        self._told_at = time.monotonic()
        self._deadline = 0.0
        self._may_go_on = True
        self._searching: Steps[Search] | None = None
        self._search: Search | None = None
        self._context = resources.context
        self.cycles = self.spells = 0
        self.compared: dict[str, int] = {}

    def follow(self) -> bool:
        """Follow until the time is over, or until only the next ``init`` can decide something.

        When a rebuild has given the alias to another index, the next run goes on with that.

        :returns: False when this run may not go on.
        """
        try:
            self._take_turns()
            self._hints.keep()
        except ConfigurationError:
            if not is_replaced(self._resources):
                raise
            self._may_go_on = False
        finally:
            self._others.pause()
            if self._searching:
                self._searching.close()
        return self._may_go_on

    def _take_turns(self) -> None:
        uuid = self._resources.context.uuid
        self._deadline = time.monotonic() + self._settings.follow_seconds
        log.info("Following for %.0f s", self._settings.follow_seconds)
        while (left := self._deadline - time.monotonic()) > 0:
            try:
                lock.take(self._server, uuid, wait=left)
                check_context(self._resources)
            except WriterBusyError as error:
                log.info("The time is over: %s", on_one_line(error))
                return
            except ConfigurationError as error:
                self._server.unlock(lock.key_of(uuid))
                if not self.spells:
                    raise
                log.warning("Following ends, the next run goes on: %s", on_one_line(error))
                self._may_go_on = False
                return
            try:
                is_loaded = self._spell()
            except CursorChangedError as error:
                # The session ends, and with it the lock, after everything that was sent.
                log.warning("Following ends, the next run goes on: %s", on_one_line(error))
                self._may_go_on = False
                return
            self._server.unlock(lock.key_of(uuid))
            if self._search:
                self._delete(self._search)
            if not is_loaded:
                time.sleep(FIRST_LOAD_SECONDS)

    def _spell(self) -> bool:
        """Follow until another task wants to write, rows were deleted, or the time is over.

        :returns: False while a load of everything is under way: another run does that.
        """
        streams = self._resources.definition.streams
        cursors = HeldCursors(self._resources.cursors, streams)
        known = [cursors.load(stream.name) for stream in streams]
        if not all(cursor and cursor.horizon for cursor in known):
            return False
        self.spells += 1
        self._hints.begin()
        self._search = None
        spell = Spell(self._resources, self._settings, self._stores.horizons, cursors)
        try:
            self._looks(spell)
        except ClockSetBackError:
            log.warning("The database's clock was set back: following ends, the next run goes on")
            self._deadline, self._may_go_on = 0.0, False
        self._others.pause()
        spell.close()
        self._context = spell.context
        return True

    def _looks(self, spell: Spell) -> None:
        """Look again and again, until deleted rows have been searched for in everything."""
        while (began := time.monotonic()) < self._deadline and not spell.is_awaited:
            self._look(spell)
            if not self._gone.is_noted:
                self._note(spell)
            if not spell.is_awaited:
                self._others.step(spell.context)
            hint = self._hints.look()
            is_missed = hint is Hint.MANY or (hint is Hint.FEW and not self._deleted_some(spell))
            if (is_missed or self._searching) and self._has_searched(spell):
                return
            time.sleep(max(0.0, began + self._settings.poll_seconds - time.monotonic()))
        self._deleted_some(spell)  # the next task does not know which ranges to look at

    def _look(self, spell: Spell) -> None:
        began = time.monotonic()
        if spell.look():
            self.cycles += 1
            self._hints.changed(began)
            self._others.changed()
        self._resources.counters.looks += 1
        self._tell()

    def _meanwhile(self, spell: Spell, steps: Steps[ResultT]) -> ResultT | None:
        """Look for deleted rows step by step, and for changes between two steps.

        :returns: None where another task wants to write.
        """
        seconds = 0.0
        while not spell.is_awaited:
            began = time.monotonic()
            try:
                next(steps)
            except StopIteration as end:
                result: ResultT = end.value
                return result
            finally:
                seconds += time.monotonic() - began
                self._hints.rest(seconds)
            self._look(spell)
        return None

    def _has_searched(self, spell: Spell) -> bool:
        """Search everything for deleted rows; what another task interrupts the next spell ends."""
        if not self._searching:
            self._note(spell)
            resources = replace(self._resources, context=spell.context)
            self._searching = searched(resources)
        self._search = self._meanwhile(spell, self._searching)
        if self._search:
            self._searching = None
        return self._search is not None

    def _note(self, spell: Spell) -> None:
        with closing(self._gone.note(self._hints.rows)) as steps:
            self._meanwhile(spell, steps)

    def _deleted_some(self, spell: Spell) -> bool:
        """Delete a few documents whose rows are gone; say whether there were any."""
        spell.wait_until_visible()
        with closing(self._gone.find()) as steps:
            gone = self._meanwhile(spell, steps) or []
        deleted = spell.delete(gone) if gone and self._hints.allows(len(gone)) else 0
        self._hints.found(deleted)
        return deleted > 0

    def _delete(self, search: Search) -> None:
        """Delete the documents whose rows are gone, as a search of everything has found.

        The lock is taken for each batch of them: many take longer than others wait.
        """
        self._search = None
        began = time.monotonic()
        resources = replace(self._resources, context=self._context)
        done = checked(resources, self._settings, self._stores.differences, search=search)
        self._hints.rest(time.monotonic() - began)
        self._resources.counters.deleted += done.pop("deleted", 0)
        self.compared |= done

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
