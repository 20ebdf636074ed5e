"""Who follows: one task at a time, and one more that stands by and goes on when the first ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from movies_etl.postgres import lock
from movies_etl.postgres.server import Server

log = logging.getLogger(__name__)

STAND_BY_SECONDS = 10.0
"""Seconds that one statement waits for the turn: it holds a snapshot, which VACUUM minds."""


@contextmanager
def turn(server: Server, uuid: str, wait: float) -> Iterator[bool]:
    """Follow alone: wait until the task that follows has ended, or was killed.

    PostgreSQL gives the turn on within milliseconds, when a task gives it back and when its session
    is gone.

    :param uuid: the concrete index's.
    :param wait: seconds.
    :returns: False when another task stands by already, or the time is over.
    """
    turn_key, stand_by_key = lock.key_of(f"follow {uuid}"), lock.key_of(f"stand by {uuid}")
    is_ours = server.lock(turn_key)
    if not is_ours:
        if not server.lock(stand_by_key):
            log.info("A task follows and another one stands by: nothing is left to do")
            yield False
            return
        log.info("Standing by until this one ends: %s", server.lock_holder(turn_key))
        is_ours = _waited(server, turn_key, wait)
        server.unlock(stand_by_key)
    yield is_ours
    if is_ours:
        server.unlock(turn_key)


def _waited(server: Server, key: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while (left := deadline - time.monotonic()) > 0:
        if server.wait_for_lock(key, min(left, STAND_BY_SECONDS)):
            return True
    return False
