"""A transaction that stays open, as an import's does: its rows appear long after their stamps."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from local.edits import change_rating

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

LOCK_TIMEOUT = "lock_timeout = 200"
"""An edit of a row that another transaction has changed is given up."""
_PAUSE = (20.0, 60.0)
_OPEN = (5.0, 30.0)
_FILMS = (5, 50)


class SlowTransaction:
    """Now and then changes the ratings of some films, and commits much later.

    :param dsn: the catalogue.
    :param chance: decides when it begins, what it changes, and how long it stays open.
    :param clock: seconds.
    """

    def __init__(
        self, dsn: str, chance: random.Random, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dsn = dsn
        self._chance = chance
        self._clock = clock
        self._connection: psycopg.Connection[Any] | None = None
        self._since = clock()
        self._until = self._since + chance.uniform(*_PAUSE)

    @property
    def age(self) -> float | None:
        """Seconds for which it has been open; None when it is not."""
        return None if self._connection is None else self._clock() - self._since

    def go_on(self) -> bool:
        """Begin or commit when it is time; return whether it committed."""
        if self._clock() < self._until:
            return False
        committed = self._connection is not None
        if self._connection is not None:
            self._connection.commit()
            self.close()
        else:
            self._begin()
        self._since = self._clock()
        self._until = self._since + self._chance.uniform(*(_PAUSE if committed else _OPEN))
        return committed

    def _begin(self) -> None:
        self._connection = psycopg.connect(self._dsn)
        # The first statement begins the transaction, in which those below are savepoints.
        self._connection.execute(f"SET LOCAL {LOCK_TIMEOUT}".encode())
        for _ in range(self._chance.randint(*_FILMS)):
            with suppress(psycopg.errors.LockNotAvailable), self._connection.transaction():
                change_rating(self._connection, self._chance)

    def close(self) -> None:
        """Roll back what is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
