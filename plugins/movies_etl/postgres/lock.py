"""One writer per index: an advisory lock in PostgreSQL, held for as long as the task's session.

Versions keep an older reading from overwriting a newer one only while readings do not overlap, so
two tasks must not load into one index at once: a second run, a cleared old task, or
``airflow tasks test`` during a run. The lock lives on the primary, in the session that reads the
catalogue: losing the session releases the lock, and the next holder reads only after that.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from movies_etl.errors import WriterBusyError, printable

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
"""Seconds that one statement waits for the lock. While it waits, its snapshot keeps VACUUM from
removing rows."""


class LockHolder(NamedTuple):
    """The session that holds the lock.

    :param application: what it calls itself; None when this role may not see it.
    """

    pid: int
    role: str | None
    application: str | None
    address: str | None
    since: str | None

    def __str__(self) -> str:
        name = self.application or "a session that this role may not look into"
        place = f" from {self.address}" if self.address else ""
        since = f", since {self.since}" if self.since else ""
        return f"{name} (pid {self.pid}, role {self.role}{place}{since})"


class Lockable(Protocol):
    """A session that can take the lock several times; each `unlock` undoes one taking."""

    def lock(self, key: int) -> bool:
        """Take the lock if it is free."""

    def wait_for_lock(self, key: int, seconds: float) -> bool:
        """Take the lock as soon as it is free; say whether it was in time."""

    def unlock(self, key: int) -> None:
        """Undo one taking of the lock."""

    def lock_holder(self, key: int) -> LockHolder | None:
        """Return the session that holds it, None when it is free."""


def key_of(uuid: str) -> int:
    """Return the lock's key for an index: 64 bits of a digest of its uuid, with sign."""
    digest = hashlib.sha256(f"movies_etl {uuid}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def turn_of(uuid: str) -> int:
    """Return the key of the lock that the task that follows an index holds all the time."""
    return key_of(f"follow {uuid}")


def is_followed(session: Lockable, uuid: str) -> bool:
    """Whether a task that follows holds the writer's lock: it loads what changes in all streams.

    :param uuid: the concrete index's.
    """
    follower = session.lock_holder(turn_of(uuid))
    if follower is None:
        return False
    writer = session.lock_holder(key_of(uuid))
    return writer is not None and writer.pid == follower.pid


def take(session: Lockable, uuid: str, wait: float) -> None:
    """Take the lock of an index for the rest of the session.

    :param uuid: the concrete index's.
    :param wait: seconds to wait for another writer to end.
    :raises WriterBusyError: another session holds it; says which.
    """
    key = key_of(uuid)
    deadline = time.monotonic() + wait
    told = None
    is_taken = session.lock(key)
    while not is_taken:
        holder = session.lock_holder(key)
        left = deadline - time.monotonic()
        if left <= 0:
            raise WriterBusyError(
                f"Another task writes to this index: {holder or 'it ended just now'}. This "
                "attempt changed nothing. Wait for it to end, or stop it; a worker that vanished "
                "is let go within two minutes."
            )
        if holder != told:
            log.info("Waiting for another writer: %s", printable(str(holder)))
            told = holder
        is_taken = session.wait_for_lock(key, min(left, WAIT_SECONDS))


@contextmanager
def held(session: Lockable, uuid: str, wait: float) -> Iterator[None]:
    """Hold the lock of an index for a block; an error ends the session, and with it the lock.

    :param wait: see ``take``.
    :raises WriterBusyError: another session holds it; says which.
    """
    take(session, uuid, wait)
    yield
    session.unlock(key_of(uuid))
