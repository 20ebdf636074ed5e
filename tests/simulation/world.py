"""One world a history: its clocks, its seed, and whatever happens between any two actions.

Both models, the cursor store and the executor call :meth:`World.step` before each of their actions.
There the site may write, a late request arrive, a sender run, a session be lost, or the task die.
Everything runs in one thread: a task that is paused (a zombie, or one beside its rival) waits in
its own ``step`` while what happens meanwhile runs on top of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tests.support.one_thread import Killed

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
ACTION = 900
"""Microseconds that one action of the program takes."""

ChoiceT = TypeVar("ChoiceT")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_OF_UTC = datetime(1970, 1, 1)  # noqa: DTZ001 - its texts have no zone


def _die() -> None:
    raise Killed


class World:
    """The clocks and the dice of one history.

    :param seed: all that a history depends on.
    :param trace: takes each line of what happened; None when nobody reads it.

    ``hushed`` lets nothing happen by chance; with ``requests_leave`` a task that is killed as it
    sends has sent.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.random = random.Random(f"movies_etl {seed}")  # noqa: S311 - a game
        self.trace = trace
        self.now = 0
        self.behind = 0
        self.clock_steps = 0
        self.steps = 0
        self.calm = True
        self.restlessness = 20
        self.happen: Callable[[str], None] = lambda _action: None
        self.hushed = False
        self.requests_leave = False
        self.doom: tuple[str, Callable[[], None]] | None = None
        self._doom_in = 0
        self._until_next = 0

    @property
    def database_clock(self) -> int:
        """The database's clock in microseconds; it may be set back, the site's own never is."""
        return self.now - self.behind

    def set_back(self, microseconds: int) -> None:
        """Set the database's clock so far behind the site's."""
        self.behind = microseconds
        self.clock_steps += 1

    def step(self, action: str) -> None:
        """Let time pass before an action, and the world move."""
        self.steps += 1
        self.now += ACTION
        if self.calm:
            return
        if self.doom and self.doom[0] == action:
            self._meet_doom()
        if self.hushed:
            return
        self._until_next -= 1
        if self._until_next <= 0:
            self._until_next = 1 + int(self.random.random() * self.restlessness)
            self.happen(action)

    def doom_at(self, action: str, times: int) -> None:
        """Kill the task that comes to an action for so many times."""
        self.doom, self._doom_in = (action, _die), times

    def meanwhile_at(self, action: str, times: int, happening: Callable[[], None]) -> None:
        """Let something happen when a task comes to an action for so many times."""
        self.doom, self._doom_in = (action, happening), times

    def _meet_doom(self) -> None:
        self._doom_in -= 1
        if self.doom and self._doom_in <= 0:
            _action, happening = self.doom
            self.doom = None
            happening()

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self.random.random() < probability

    def pick(self, choices: Sequence[ChoiceT]) -> ChoiceT:
        """Return one of the choices; three times as fast as ``random.choice``."""
        return choices[int(self.random.random() * len(choices))]

    # -- a stand-in for the module ``time``: waiting moves the model's clock ---------------------

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now / SECOND

    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        self.now += int(seconds * SECOND)
        self.step("sleep")


def weighted(*choices: tuple[ChoiceT, int]) -> list[ChoiceT]:
    """Return each choice as many times as it weighs, for :meth:`World.pick`."""
    return [choice for choice, weight in choices for _ in range(weight)]


def microseconds(moment: str) -> int:
    """Read ISO 8601."""
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)


def utc(moment: int) -> str:
    """Write microseconds as PostgreSQL shows a ``timestamptz`` in UTC, without the zone."""
    return (_EPOCH_OF_UTC + timedelta(microseconds=moment)).isoformat(timespec="microseconds")


def on_the_wall(moment: int, zone: str) -> str:
    """Write microseconds as the wall clock of a zone shows them."""
    shown = (_EPOCH + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))
    return shown.replace(tzinfo=None).isoformat(timespec="microseconds")


def described(value: Any) -> str:
    """Write a value for a trace, short and on one line."""
    text = " ".join(str(value).split())
    return text if len(text) < 160 else text[:157] + "..."
