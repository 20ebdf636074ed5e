"""How much is sent at once: less while Elasticsearch pushes back, more again when it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MIN_BODY_BYTES = 100_000
"""Bytes below which a smaller body does not help."""

RECOVERY = 1.25
"""Growth of the body's size with each request that was taken whole."""


class Throttle:
    """Limits the size of bodies and how many are in flight; shared by the senders' threads.

    :param body_bytes: the size to come back to.
    :param senders: the number of requests in flight to come back to.

    ``permits`` is how many requests may be in flight.
    """

    def __init__(self, body_bytes: int, senders: int) -> None:
        self._most_bytes = body_bytes
        self._most_permits = senders
        self._bytes = float(body_bytes)
        self.permits = senders
        self._in_flight = 0
        self._free = threading.Condition()

    @property
    def body_bytes(self) -> int:
        """The size at which a body is sent."""
        return int(self._bytes)

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Wait for a place among the requests in flight, and keep it for the block."""
        with self._free:
            self._free.wait_for(lambda: self._in_flight < self.permits)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify_all()

    def pushed_back(self) -> None:
        """Halve both: Elasticsearch had no room for something."""
        with self._free:
            self._bytes = max(self._bytes / 2, min(MIN_BODY_BYTES, self._most_bytes))
            self.permits = max(self.permits // 2, 1)

    def taken(self) -> None:
        """Grow a little: a request was taken whole."""
        with self._free:
            self._bytes = min(self._bytes * RECOVERY, self._most_bytes)
            if self._bytes == self._most_bytes and self.permits < self._most_permits:
                self.permits += 1
                self._free.notify_all()
