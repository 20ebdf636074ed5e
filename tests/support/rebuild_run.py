"""What Airflow does with the DAG of a rebuild: its tasks, each of which may die."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from movies_etl.definitions.ranges import Range
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.rebuild.begin import begin
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.gate import check
from movies_etl.rebuild.load import load_range, of_range
from movies_etl.rebuild.loaded import loaded
from movies_etl.rebuild.plan import Asked, Plan, Runs, Stores
from movies_etl.rebuild.split import split
from movies_etl.rebuild.swap import swap
from movies_etl.sync.resources import Resources

from tests.support.dag_run import DagRun, TaskT
from tests.support.rebuild import MemoryPosition


class RebuildRun(DagRun[TaskT]):
    """One run of the rebuild."""

    asked: Asked
    """What somebody asked for."""
    stores: Stores
    """What is kept of all indexes."""
    states: dict[str, str]
    """The states of the runs that Airflow knows, by their names."""

    def position(self) -> MemoryPosition:
        """Return the state of a new task that loads a range."""
        return MemoryPosition()

    def failed(self, name: str, error: MoviesEtlError) -> None:
        """Take note; that a rebuild is refused is no fault."""
        if not isinstance(error, ConfigurationError):
            super().failed(name, error)

    def play(self, between: Callable[[], None]) -> bool:
        """Do all tasks; say whether the alias has moved.

        :param between: happens when the index was checked.
        """
        self.states[self.name] = "running"
        is_done = False
        try:
            is_done = self._is_done(between)
        finally:
            self.states[self.name] = "success" if is_done else "failed"
        return is_done

    def _is_done(self, between: Callable[[], None]) -> bool:
        plan = self._attempts("prepare", None, self._begun)
        if plan is None or not self._is_loaded(plan):
            return False
        if self._attempts("check", plan.context, partial(self._checked, plan)) is None:
            return False
        between()
        return self._attempts("swap", plan.context, partial(self._swapped, plan)) is not None

    def _begun(self, task: TaskT) -> Plan:
        runs = Runs(self.name, self.states.get)
        beginning = Beginning(task.source, task.client, self.stores, self.settings, runs)
        return begin(beginning, self.asked)

    def _is_loaded(self, plan: Plan) -> bool:
        parts = self._attempts("split", plan.context, lambda task: split(task.source, plan))
        if parts is None:
            return False
        versions = []
        for part in parts:
            load = partial(self._loaded, plan, part, self.position())
            result = self._attempts("load", plan.context, load)
            if result is None:
                return False
            versions.append(result["version"])
        done = partial(self._noted, plan, versions)
        return not plan.loads or self._attempts("check", plan.context, done) is not None

    def _loaded(
        self, plan: Plan, part: Range, position: MemoryPosition, task: TaskT
    ) -> dict[str, Any]:
        own = of_range(self._beside(task, plan), position)
        return load_range(part, plan, self.name, own, self.settings)

    def _noted(self, plan: Plan, versions: list[int], task: TaskT) -> bool:
        loaded(self._candidate(task, plan), self.name, versions)
        return True

    def _checked(self, plan: Plan, task: TaskT) -> dict[str, Any]:
        return check(self._candidate(task, plan), self.asked.checks)

    def _swapped(self, plan: Plan, task: TaskT) -> dict[str, Any]:
        return swap(self._candidate(task, plan))

    def _candidate(self, task: TaskT, plan: Plan) -> Candidate:
        return Candidate(plan, self._beside(task, plan), self.stores, self.settings)

    def _beside(self, task: TaskT, plan: Plan) -> Resources:
        return Resources(
            source=task.source,
            client=task.client,
            context=plan.context,
            cursors=self.stores.cursors.beside(plan.context.index),
            executor=task.executor,
            patience=self.settings.patience,
            lock_wait=self.lock_wait,
        )
