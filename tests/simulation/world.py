"""One world a history: its clocks, its seed, and whatever happens between any two actions.

Both models, the cursor store and the executor call :meth:`World.step` before each of their actions.
There the site may write, a late request arrive, a sender run, a session be lost, or the task die.
Everything runs in one thread: a task that is paused (a zombie, or one beside its rival) waits in
its own ``step`` while what happens meanwhile runs on top of it.
"""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock
from zoneinfo import ZoneInfo

import tenacity
import tenacity.nap
import tenacity.wait
from movies_etl import dead_letters, horizon, init, lock, throttle
from movies_etl import index as elastic
from movies_etl.cursors import Cursor
from movies_etl.errors import IndexUnavailableError, SourceUnavailableError
from movies_etl.patience import retrying

SECOND = 1_000_000
MINUTE = 60 * SECOND
ACTION = 900
"""Microseconds that one action of the program takes."""

ChoiceT = TypeVar("ChoiceT")
ResultT = TypeVar("ResultT")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The task's process ended here: SIGKILL, so nothing of it runs any more."""


def _die() -> None:
    raise Killed


class Divergence(AssertionError):  # noqa: N818 - it is what a history ends with
    """The index is not what it should be, or a cursor stands where it must not."""


class World:
    """The clocks and the dice of one history.

    :param seed: all that a history depends on.
    :param trace: takes each line of what happened; None when nobody reads it.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.random = random.Random(f"movies_etl {seed}")  # noqa: S311 - a game
        self.trace = trace
        self.now = 0
        self.behind = 0
        self.steps = 0
        self.calm = True
        self.restlessness = 20
        self.happen: Callable[[str], None] = lambda _action: None
        self.hushed = False
        self.doom: tuple[str, Callable[[], None]] | None = None
        self._doom_in = 0
        self._until_next = 0

    @property
    def database_clock(self) -> int:
        """The database's clock in microseconds; it may be set back, the site's own never is."""
        return self.now - self.behind

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


def microseconds(moment: str) -> int:
    """Read ISO 8601."""
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)


def utc(moment: int) -> str:
    """Write microseconds as PostgreSQL shows a ``timestamptz`` in UTC, without the zone."""
    return (
        (_EPOCH + timedelta(microseconds=moment))
        .replace(tzinfo=None)
        .isoformat(timespec="microseconds")
    )


def on_the_wall(moment: int, zone: str) -> str:
    """Write microseconds as the wall clock of a zone shows them."""
    shown = (_EPOCH + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))
    return shown.replace(tzinfo=None).isoformat(timespec="microseconds")


class Clock:
    """The module ``time`` of the program while it is simulated."""

    world: World

    def monotonic(self) -> float:
        """Return the world's seconds."""
        return self.world.monotonic()

    def sleep(self, seconds: float) -> None:
        """Move the world's clock."""
        self.world.sleep(seconds)


CLOCK = Clock()


class _Retrying:
    """A retry that costs little as long as nothing goes wrong; the program's own from then on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, call: Callable[..., ResultT], *arguments: Any) -> ResultT:
        try:
            return call(*arguments)
        except (IndexUnavailableError, SourceUnavailableError):
            if not self._seconds:
                raise
        return retrying(self._seconds)(call, *arguments)


class _Dice:
    """The module ``random`` of the retries while they are simulated."""

    def uniform(self, low: float, high: float) -> float:
        return CLOCK.world.random.uniform(low, high)


class _Unlocked:
    """A condition for one thread: a sender on top of another cannot wait for it to end."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        pass

    def wait_for(self, _condition: object) -> None:
        pass

    def notify_all(self) -> None:
        pass


def _none_is_missing(_indexes: object) -> list[str]:
    return []


@contextmanager
def simulated() -> Iterator[None]:
    """Give the program the world's clock and dice in place of the machine's."""
    program = logging.getLogger("movies_etl")
    level, thresholds = program.level, gc.get_threshold()
    program.setLevel(logging.CRITICAL)
    gc.set_threshold(20_000)  # a history's objects live for a moment
    with ExitStack() as stack:
        for module in (tenacity, tenacity.nap, lock, horizon):
            stack.enter_context(mock.patch.object(module, "time", CLOCK))
        stack.enter_context(mock.patch.object(tenacity.wait, "random", _Dice()))
        one_thread = SimpleNamespace(Condition=_Unlocked)
        stack.enter_context(mock.patch.object(throttle, "threading", one_thread))
        stack.enter_context(mock.patch.object(init, "LOCK_WAIT", 1.0))
        for module in (elastic, dead_letters):
            stack.enter_context(mock.patch.object(module, "retrying", _Retrying))
        stack.enter_context(mock.patch.object(init, "missing_indexes", _none_is_missing))
        for owner, name in ((elastic, "definition"), (horizon, "on_the_wall"), (horizon, "parse")):
            stack.enter_context(
                mock.patch.object(owner, name, lru_cache(500)(getattr(owner, name)))
            )
        stack.enter_context(
            mock.patch.object(Cursor, "from_json", lru_cache(500)(Cursor.from_json))
        )
        try:
            yield
        finally:
            program.setLevel(level)
            gc.set_threshold(*thresholds)


def described(value: Any) -> str:
    """Write a value for a trace, short."""
    text = str(value)
    return text if len(text) < 160 else text[:157] + "..."
