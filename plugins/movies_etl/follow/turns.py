"""Turns: one task follows at a time, and one more stands by to go on when the first ends.

Between a change-over and the moment at which the next run stands by, the task whose time is over
stands in for that: without it nobody would go on if the new one were killed.
"""

from __future__ import annotations

import logging
import time

from movies_etl.errors import printable
from movies_etl.postgres import lock
from movies_etl.postgres.server import Server

log = logging.getLogger(__name__)

STAND_BY_SECONDS = 10.0
"""Seconds that one statement waits for the turn. While it waits, its snapshot keeps VACUUM from
removing rows."""

LOOK_SECONDS = 1.0
"""Seconds between two looks of a task that stands in for another one that would stand by."""

LOOKS = 30
"""So many looks later a task that stands in has noticed that another one wants its place."""


class Turns:
    """The turns of one task at following an index.

    PostgreSQL gives a turn on within milliseconds, when a task gives it back and when its session
    is gone.

    :param uuid: the concrete index's.
    """

    def __init__(self, server: Server, uuid: str) -> None:
        self._server = server
        self._turn = lock.turn_of(uuid)
        self._stand_by = lock.key_of(f"stand by {uuid}")
        self._stand_in = lock.key_of(f"stand in {uuid}")

    def begin(self, wait: float) -> bool:
        """Take the turn: wait until the task that follows has ended, or was killed.

        :param wait: seconds.
        :returns: False when another task stands by already, or the time is over.
        """
        if self._server.lock(self._turn):
            return True
        if not self._server.lock(self._stand_by) and not self._relieves():
            log.info("A task follows and another one stands by: nothing is left to do")
            return False
        holder = printable(str(self._server.lock_holder(self._turn)))
        log.info("Standing by until this one ends: %s", holder)
        is_ours = self._waited(wait)
        self._server.unlock(self._stand_by)
        return is_ours

    def hand_over(self, wait: float) -> bool:
        """Give the turn to the task that stands by; stand in until another one stands by.

        :param wait: seconds to stand in, 0 for not at all.
        :returns: whether the turn is this task's again, because the other one ended or was killed.
            Nobody stands in where nobody stood by.
        """
        self._server.unlock(self._turn)
        if not wait or not self._takes(self._stand_in, LOOK_SECONDS):
            return False
        is_ours = self._stood_in(wait)
        self._server.unlock(self._stand_in)
        return is_ours

    def _relieves(self) -> bool:
        """Take the place of a task that stands in; False when no such task has it."""
        for _ in range(LOOKS):
            if self._server.lock(self._stand_in):  # nobody stands in
                self._server.unlock(self._stand_in)
                break
            if self._server.wait_for_lock(self._stand_by, LOOK_SECONDS):
                return True
        return self._server.lock(self._stand_by)

    def _takes(self, key: int, wait: float) -> bool:
        return self._server.lock(key) or self._server.wait_for_lock(key, wait)

    def _waited(self, wait: float) -> bool:
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0:
            if self._server.wait_for_lock(self._turn, min(left, STAND_BY_SECONDS)):
                return True
        return False

    def _stood_in(self, wait: float) -> bool:
        # The task that took over gives this place up at once; a later one may have it already.
        if not self._takes(self._stand_by, STAND_BY_SECONDS):
            return False
        is_ours = False
        if self._server.lock(self._turn):
            self._server.unlock(self._turn)  # nobody stood by
        else:
            log.info("The time is over: standing in until the next run stands by")
            is_ours = self._stood_in_for(wait)
        self._server.unlock(self._stand_by)
        return is_ours

    def _stood_in_for(self, wait: float) -> bool:
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and not self._server.is_awaited(self._stand_by):
            if self._server.wait_for_lock(self._turn, LOOK_SECONDS):
                return True
        return False
