"""Runs of the program: init and its three tasks, each tried again when it fails or is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from movies_etl.definitions.definition import Stream
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import MoviesEtlError
from movies_etl.postgres.source import Source
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import run_stream
from movies_etl.sync.starting_points import Reload

from tests.histories.fate import Killed
from tests.histories.tasks import FatefulCursors, Surroundings, Task
from tests.support.site import MemoryDifference, MemoryHorizons

ResultT = TypeVar("ResultT")
Results = list[dict[str, Any]]
"""What the tasks of a run return, in the order of its streams."""


@dataclass(frozen=True)
class Trigger:
    """How a run is started.

    :param retries: of each task.
    :param threads: send from threads; then nothing may disturb the run.
    :param at_once: send bodies when they are full, or only when they are waited for.
    """

    reload: Reload = "none"
    asked: RunParams | None = None
    retries: int = 0
    threads: bool = False
    at_once: bool = True


class Program:
    """Does what the DAG does.

    :param note: takes what failed, for the story of a history.
    """

    def __init__(self, around: Surroundings, note: Callable[[str], None]) -> None:
        self.around = around
        self.cursors = FatefulCursors()
        self.cursors.fate = around.fate
        self.horizons = MemoryHorizons()
        self.differences = MemoryDifference()
        self.tasks: list[Task] = []
        self.vanished: list[Task] = []
        self.runs = 0
        self.kills = 0
        self._note = note
        self.leave_session_open = False

    def run(self, trigger: Trigger) -> Results | None:
        """Do one run; return each stream's result, None when a task came to no good end."""
        self.runs += 1

        def prepared(task: Task, source: Source) -> RunContext:
            state = State(self.cursors, self.horizons)
            settings = self.around.settings
            return prepare_run(source, task.client, state, settings, trigger.reload)

        context = self._attempts("init", prepared, trigger)
        if context is None:
            return None
        done = []
        for stream in MOVIES.streams:
            result = self._stream(stream, context, trigger)
            if result is None:
                return None
            done.append(result)
        return done

    def _stream(
        self, stream: Stream, context: RunContext, trigger: Trigger
    ) -> dict[str, Any] | None:
        asked = trigger.asked if stream is MOVIES.root else None
        settings = self.around.settings
        counters = Counters()

        def synced(task: Task, source: Source) -> dict[str, Any]:
            resources = Resources(
                source=source,
                client=task.client,
                context=context,
                cursors=self.cursors,
                executor=task.executor,
                patience=settings.patience,
                counters=counters,
                lock_wait=0.0,
            )
            return run_stream(stream, resources, settings, self.differences, asked)

        return self._attempts(stream.name, synced, trigger)

    def _attempts(
        self, name: str, body: Callable[[Task, Source], ResultT], trigger: Trigger
    ) -> ResultT | None:
        for _ in range(trigger.retries + 1):
            result = self._attempt(name, body, trigger)
            if result is not None:
                return result
        return None

    def _attempt(
        self, name: str, body: Callable[[Task, Source], ResultT], trigger: Trigger
    ) -> ResultT | None:
        task = Task(self.around, name, threads=trigger.threads, at_once=trigger.at_once)
        self.tasks.append(task)
        vanishes = False
        try:
            try:
                return body(task, task.source())
            except MoviesEtlError as error:
                self._note(f"{name} failed: {error!r}")
                task.executor.shutdown()  # as leaving the executor's block does
                return None
        except Killed:
            self.kills += 1
            vanishes, self.leave_session_open = self.leave_session_open, False
            self._note(f"{name} was killed")
            task.die()
            return None
        finally:
            self.tasks.remove(task)
            if vanishes:
                self.vanished.append(task)
            else:
                task.end()
