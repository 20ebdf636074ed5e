"""What stands in for the machine's clock and dice, and for what would only take time."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

import tenacity
import tenacity.nap
import tenacity.wait
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import IndexUnavailableError, SourceUnavailableError
from movies_etl.es import admin, client, throttle
from movies_etl.follow import hints, spell, turns
from movies_etl.follow import run as follow_run
from movies_etl.postgres import horizon, lock, replica, source, timestamps
from movies_etl.rebuild import begin, candidate, gate, load, preflight, refusals, split, swap
from movies_etl.reconcile import closing, contents, fuses, presence, purge, repair
from movies_etl.reconcile import task as reconcile_task
from movies_etl.retries import retrying
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.sync import exchange, prepare

from tests.simulation.check import MOST_DELETED, MOST_REWRITTEN
from tests.simulation.fuse_lists import SimulatedFuseLists
from tests.simulation.switches import always
from tests.simulation.world import World

ResultT = TypeVar("ResultT")


TIMED = (candidate, gate, swap)
"""Modules of the rebuild that look at the clock."""

OF_REBUILDS: tuple[tuple[Any, str, object], ...] = (
    (begin, "LOCK_WAIT_SECONDS", 1.0),
    (begin, "EXCHANGE_WAIT_SECONDS", 1.0),
    (candidate, "MAX_PASSES", 3),
    (exchange, "LOCK_WAIT_SECONDS", 1.0),
    (gate, "compare_searches", always([])),
    (load, "PAGE_SIZE", 1),
    (load, "SCANNED_TOGETHER", 2),
    (preflight, "lacking_room", always([])),
    (split, "SMALL_RANGE", 2),
    (split, "FEW_RANGES", 2),
    (swap, "LOCK_WAIT_SECONDS", 1.0),
)
"""What a rebuild is patched with: few documents are many ranges and pages, and waiting is short."""


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


def _described_once() -> Callable[[IndexDefinition, Path], dict[str, Any]]:
    """Return what reads the files of an index, as they were read once."""
    folder = Settings().include_dir
    read = {one.name: admin.described(one, folder) for one in (MOVIES, PERSONS)}

    def described(definition: IndexDefinition, include_dir: Path) -> dict[str, Any]:
        del include_dir
        return read[definition.name]

    return described


def _lists_of(resources: Any) -> SimulatedFuseLists:
    lists: SimulatedFuseLists = resources.client.node.fuse_lists
    return lists


def _copied(cursor: Cursor, **changes: object) -> Cursor:
    return cursor.model_copy(update=changes)


@contextmanager
def simulated() -> Iterator[None]:
    """Give the program the world's clock and dice in place of the machine's."""
    program = logging.getLogger("movies_etl")
    level, thresholds = program.level, gc.get_threshold()
    program.setLevel(logging.CRITICAL)
    gc.set_threshold(20_000)  # a history's objects live for a moment
    with ExitStack() as stack:
        waiting = (tenacity, tenacity.nap, lock, horizon, replica, reconcile_task, repair)
        for module in (*waiting, follow_run, hints, spell, turns, *TIMED):
            stack.enter_context(mock.patch.object(module, "time", CLOCK))
        stack.enter_context(mock.patch.object(tenacity.wait, "random", _Dice()))
        one_thread = SimpleNamespace(Condition=_Unlocked)
        stack.enter_context(mock.patch.object(throttle, "threading", one_thread))
        stack.enter_context(mock.patch.object(prepare, "LOCK_WAIT_SECONDS", 1.0))
        stack.enter_context(mock.patch.object(source, "FETCHED_ROWS", 2))
        for module in (fuses, hints):
            stack.enter_context(mock.patch.object(module, "FEW_DELETIONS", MOST_DELETED))
        stack.enter_context(mock.patch.object(fuses, "FEW_REWRITES", MOST_REWRITTEN))
        for module in (closing, fuses, purge, refusals):
            stack.enter_context(mock.patch.object(module, "lists_of", _lists_of))
        stack.enter_context(mock.patch.object(presence, "FEW_DOCUMENTS", 2))
        stack.enter_context(mock.patch.object(presence, "DOCUMENTS_PER_RANGE", 1))
        stack.enter_context(mock.patch.object(contents, "READ_TOGETHER", 2))
        stack.enter_context(mock.patch.object(contents, "SCANNED_TOGETHER", 4))
        for owner, name, value in OF_REBUILDS:
            stack.enter_context(mock.patch.object(owner, name, value))
        for module in (admin, client):
            stack.enter_context(mock.patch.object(module, "retrying", _Retrying))
        stack.enter_context(mock.patch.object(admin, "described", _described_once()))
        pure: tuple[tuple[Any, str], ...] = (
            (timestamps, "on_the_wall"),
            (timestamps, "parse"),
            (horizon, "parse"),
            (lock, "key_of"),
            (source, "Position"),
            (Cursor, "from_json"),
            *((one.document, "model_validate_json") for one in (MOVIES, PERSONS)),
        )
        for owner, name in pure:
            stack.enter_context(
                mock.patch.object(owner, name, lru_cache(500)(getattr(owner, name)))
            )
        # What a cursor is moved to is validated when it is read again.
        stack.enter_context(mock.patch.object(Cursor, "moved", _copied))
        try:
            yield
        finally:
            program.setLevel(level)
            gc.set_threshold(*thresholds)
