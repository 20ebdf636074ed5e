"""A run of ``movies_reindex`` as its tasks on several workers are seen from outside."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from local.airflow_api import AirflowApi
from local.processes import pause
from local.rest import RestError, UnreachableError, call
from tests.workers.processes import Workers

DAG = "movies_reindex"
PATIENCE = 4 * 3600.0


class Try(NamedTuple):
    """One attempt at a range."""

    number: int
    attempt: int


@dataclass
class Seen:
    """What was seen of a rebuild.

    :param by: the worker that made each attempt.
    :param killed: the attempts that ran on the worker that was killed, and when that was.
    """

    by: dict[Try, str] = field(default_factory=dict)
    killed: set[Try] = field(default_factory=set)
    at: float = 0.0


class Rebuild:
    """One run of the DAG.

    :param workers: that share it.
    :param check: raises when a part of Airflow has ended.
    """

    def __init__(self, api: AirflowApi, workers: Workers, check: Callable[[], None]) -> None:
        self._api = api
        self._workers = workers
        self._check = check
        self._run = ""

    def run(self, victim: str = "", once: Callable[[], bool] = lambda: False) -> Seen:
        """Trigger it and wait for its end.

        :param victim: a worker that is killed.
        :param once: says when, of a moment at which it and another one load.
        """
        self._run = self._api.trigger()
        seen = Seen()
        deadline = time.monotonic() + PATIENCE
        while not self._has_ended():
            assert time.monotonic() < deadline, "the rebuild does not end"
            self._check()
            running = dict(self._running())
            seen.by |= running
            shared = {victim} < {*running.values()}
            if victim and not seen.killed and shared and once():
                self._workers.kill(victim)
                seen.at = time.time()
                seen.killed = {one for one, name in running.items() if name == victim}
            pause(0.3)
        return seen

    def index(self) -> str:
        """Return the index that is made, empty before it is there."""
        plan = self._api.result(self._run, "prepare")
        return str(plan["context"]["index"]) if plan else ""

    def checked(self) -> dict[str, Any]:
        """Return what the comparison found."""
        return self._api.result(self._run, "check")

    def loads(self) -> list[dict[str, Any]]:
        """Return each range's last attempt, as Airflow knows it."""
        return [one for one in self._instances() if one["task_id"] == "load"]

    def state(self) -> str:
        """Return the run's state, and the errors of what failed."""
        states = {task.name: task.state for task in self._api.tasks(self._run)}
        failed = [task for task in self._api.tasks(self._run) if task.state == "failed"]
        said = [text for task in failed for text in self._api.errors(self._run, task)]
        return ", ".join([f"{name} {state}" for name, state in states.items()] + said)

    def span(self) -> float:
        """Return the seconds from the first load to the end of the last one."""
        loads = self.loads()
        return max(_moments(loads, "end_date")) - min(_moments(self.attempts(loads), "start_date"))

    def attempts(self, loads: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return every attempt at some ranges."""
        return [
            one
            for load in loads
            for one in self._ask(f"taskInstances/load/{load['map_index']}/tries")["task_instances"]
        ]

    def _has_ended(self) -> bool:
        try:
            runs = {run.run_id: run for run in self._api.runs()}
        except (RestError, UnreachableError):  # busy
            return False
        return runs[self._run].finished

    def _running(self) -> list[tuple[Try, str]]:
        try:
            running = [one for one in self._instances() if one["state"] == "running"]
        except (RestError, UnreachableError):  # busy
            return []
        return [
            (Try(one["map_index"], one["try_number"]), name)
            for one in running
            if one["task_id"] == "load" and (name := self._workers.of(one["pid"]))
        ]

    def _instances(self) -> list[dict[str, Any]]:
        return [*self._ask("taskInstances?limit=1000")["task_instances"]]

    def _ask(self, path: str) -> dict[str, Any]:
        run = urllib.parse.quote(self._run, safe="")
        return dict(self._api._call("GET", f"dags/{DAG}/dagRuns/{run}/{path}"))


def _moments(instances: Iterable[dict[str, Any]], name: str) -> list[float]:
    return [datetime.fromisoformat(one[name]).timestamp() for one in instances if one[name]]


def written(port: int, index: str) -> int:
    """Return how many documents were sent to an index, those that were sent twice counted twice."""
    stats = call("GET", f"http://127.0.0.1:{port}/{index}/_stats/indexing")
    indexing = stats["indices"][index]["primaries"]["indexing"]
    return int(indexing["index_total"]) + int(indexing["index_failed"])
