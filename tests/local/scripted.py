"""An Airflow that answers as a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from local.airflow_api import AirflowApi, Run, Task
from local.rest import RestError, UnreachableError

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def run(name: str, state: str, minutes: float | None) -> Run:
    """A run that ended so many minutes after NOW."""
    ended = None if minutes is None else NOW + timedelta(minutes=minutes)
    return Run(name, state, NOW, ended)


class Scripted(AirflowApi):
    """Answers `runs` from a list, the last one for ever; has what else a test gives it."""

    def __init__(self, *answers: list[Run] | Exception) -> None:
        super().__init__("http://nowhere", "")
        self.script = list(answers)
        self.triggered = 0
        self.paused = False
        self.parsed = True
        self.refuses = False
        self.broken: list[str] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.warned: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        self.silent = False
        self.state = "success"

    def healthy(self) -> bool:
        return True

    def dag(self) -> dict[str, Any] | None:
        return {"is_paused": self.paused} if self.parsed else None

    def unpause(self) -> None:
        self.paused = False

    def trigger(self, conf: Mapping[str, object] | None = None) -> str:  # noqa: ARG002
        if self.refuses:
            raise RestError(404, "no such DAG")
        self.triggered += 1
        return "manual"

    def import_errors(self) -> list[str]:
        return self.broken

    def runs(self, limit: int = 10) -> list[Run]:
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer[:limit]

    def tasks(self, _: str) -> list[Task]:
        first = [Task("init", "success", 1, 1.0), Task("film_work", self.state, 2, 3.25)]
        others = (name for name in self.results if name != "film_work")
        return first + [Task(name, "success", 1, 1.0) for name in others]

    def result(self, _: str, task: str, map_index: int = -1) -> dict[str, Any]:  # noqa: ARG002
        if self.silent:
            raise UnreachableError("timed out")
        return self.results.get(task, {})

    def errors(self, run_id: str, task: Task) -> list[str]:
        return [f"{task.name} of {run_id}: no such index"]

    def warnings(self, _: str, task: Task) -> list[str]:
        return self.warned.get(task.name, [])

    def variables(self, prefix: str) -> dict[str, str]:
        return {key: text for key, text in self.texts.items() if key.startswith(prefix)}
