"""A catalogue that lives: edits at a given rate, as many editors and an import would make them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import psycopg

from local import edits
from local.processes import pause
from local.slow_transaction import LOCK_TIMEOUT, SlowTransaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.edits import Connection, Kind

KINDS: Mapping[str, tuple[float, Kind]] = {
    "ratings": (55, edits.change_rating),
    "films added": (12, edits.add_film),
    "films renamed": (9, edits.rename_film),
    "persons renamed": (8, edits.rename_person),
    "links added": (8, edits.add_actor),
    "links removed": (4, edits.remove_person),
    "films deleted": (3.5, edits.delete_film),
    "genres renamed": (0.5, edits.rename_genre),
}
"""What is done, by the name that it is counted under, with its share of the edits in percent."""

_EVERY = 5.0
"""Seconds between two lines."""
_BEHIND = 1.0
"""Seconds of edits that are made up for after the database was slow."""


@dataclass
class Simulation:
    """Edits a catalogue, and says every five seconds what was done.

    :param dsn: the catalogue.
    :param rate: edits per second on average; fewer are made when the database is slower.
    :param say: called with each line.
    :param seed: decides what is edited, but not when: the database's answers take their time.
    :param clock: seconds.
    :param wait: waits for so many seconds.
    """

    dsn: str
    rate: float
    say: Callable[[str], None]
    seed: int | None = None
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = pause

    def run(self) -> NoReturn:
        """Edit until interrupted.

        Raises LookupError when the catalogue is empty, psycopg.Error when the database is lost.
        """
        chance = random.Random(self.seed)  # noqa: S311 - nothing is secret here
        with (
            psycopg.connect(self.dsn, autocommit=True) as connection,
            closing(SlowTransaction(self.dsn, chance, self.clock)) as slow,
        ):
            connection.execute(f"SET {LOCK_TIMEOUT}".encode())
            done: Counter[str] = Counter()
            began = self.clock()
            try:
                self._run(connection, slow, chance, done)
            finally:
                self.say(f"in all: {_line(done, self.clock() - began, None)}")
                if slow.age is not None:
                    self.say("the transaction that is open is rolled back")

    def _run(
        self,
        connection: Connection,
        slow: SlowTransaction,
        chance: random.Random,
        done: Counter[str],
    ) -> NoReturn:
        before: Counter[str] = Counter()
        due = told = self.clock()
        while True:
            self.wait(max(0.0, min(due, told + _EVERY) - self.clock()))
            if self.clock() >= due:
                done[_one(connection, chance)] += 1
                due = max(due + chance.expovariate(self.rate), self.clock() - _BEHIND)
            done["slow transactions"] += slow.go_on()
            if self.clock() >= told + _EVERY:
                self.say(_line(done - before, self.clock() - told, slow.age))
                before, told = done.copy(), self.clock()


def _one(connection: Connection, chance: random.Random) -> str:
    """Make one edit; return the name that it is counted under."""
    weights = [share for share, _ in KINDS.values()]
    (name,) = chance.choices(list(KINDS), weights)
    _, make = KINDS[name]
    try:
        with connection.transaction():
            make(connection, chance)
    except psycopg.errors.LockNotAvailable:
        return "given up"
    return name


def _line(done: Counter[str], seconds: float, age: float | None) -> str:
    number = done.total() - done["given up"]
    shares = ", ".join(f"{name} {count:,}" for name, count in done.most_common() if count)
    is_open = "" if age is None else f"; a transaction has been open for {age:.0f} s"
    rate = number / max(seconds, 1e-9)
    return f"{number:,} edits, {rate:.1f} per second{': ' if shares else ''}{shares}{is_open}"
