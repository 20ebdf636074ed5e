"""Runs of the program: init and its three tasks, each tried again when it fails or is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from movies_etl.definitions.definition import Stream
from movies_etl.definitions.movies import STREAMS
from movies_etl.errors import MoviesEtlError
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counts import compared
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.run import Counters, Resources, RunParams, sync
from movies_etl.sync.starting_points import Reload

from tests.histories.fate import Killed
from tests.histories.tasks import FatefulCursors, Surroundings, Task
from tests.site import MemoryDifference, MemoryHorizons

ResultT = TypeVar("ResultT")


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

    def run(self, trigger: Trigger) -> list[Counters] | None:
        """Do one run; return each stream's counters, None when a task came to no good end."""
        self.runs += 1

        def opened(task: Task) -> RunContext:
            state = State(self.cursors, self.horizons)
            settings = self.around.settings
            return prepare_run(task.source, task.client, state, settings, trigger.reload)

        context = self._attempts("init", opened, trigger)
        if context is None:
            return None
        done = []
        for stream in STREAMS:
            counters = self._stream(stream, context, trigger)
            if counters is None:
                return None
            done.append(counters)
        return done

    def _stream(self, stream: Stream, context: RunContext, trigger: Trigger) -> Counters | None:
        asked = trigger.asked if stream is STREAMS[0] else None
        counters = Counters()

        def synced(task: Task) -> Counters:
            patience = self.around.settings.patience
            resources = Resources(
                source=task.source,
                index=Index(task.client, context.index, patience),
                letters=DeadLetters(task.client, patience),
                cursors=self.cursors,
                executor=task.executor,
                counters=counters,
                lock_wait=0.0,
            )
            sync(stream, context, resources, self.around.settings, asked)
            if stream is STREAMS[-1]:
                compared(context, resources, self.differences)
            return counters

        return self._attempts(stream.name, synced, trigger)

    def _attempts(
        self, name: str, body: Callable[[Task], ResultT], trigger: Trigger
    ) -> ResultT | None:
        for _ in range(trigger.retries + 1):
            result = self._attempt(name, body, trigger)
            if result is not None:
                return result
        return None

    def _attempt(
        self, name: str, body: Callable[[Task], ResultT], trigger: Trigger
    ) -> ResultT | None:
        task = Task(self.around, name, threads=trigger.threads, at_once=trigger.at_once)
        self.tasks.append(task)
        vanishes = False
        try:
            try:
                task.source.prepared()
                return body(task)
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
