"""Waiting for the first run, with an Airflow that answers as the tests want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import summary, watch
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
        self.answers = list(answers)
        self.triggered = 0
        self.paused = False
        self.parsed = True
        self.refuses = False
        self.broken: list[str] = []
        self.sent: dict[str, dict[str, Any]] = {}
        self.silent = False
        self.state = "success"

    def healthy(self) -> bool:
        return True

    def dag(self) -> dict[str, Any] | None:
        return {"is_paused": self.paused} if self.parsed else None

    def unpause(self) -> None:
        self.paused = False

    def trigger(self) -> str:
        if self.refuses:
            raise RestError(404, "no such DAG")
        self.triggered += 1
        return "manual"

    def import_errors(self) -> list[str]:
        return self.broken

    def runs(self, limit: int = 10) -> list[Run]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer[:limit]

    def tasks(self, _: str) -> list[Task]:
        return [Task("init", "success", 1, 1.0), Task("film_work", self.state, 2, 3.25)]

    def result(self, _: str, task: str) -> dict[str, Any]:
        if self.silent:
            raise UnreachableError("timed out")
        return self.sent.get(task, {})

    def errors(self, run_id: str, task: Task) -> list[str]:
        return [f"{task.name} of {run_id}: no such index"]


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    monkeypatch.setattr(watch, "pause", lambda _: None)
    monkeypatch.setattr(watch, "_GRACE", 0.0)


def first(api: Scripted) -> tuple[Run, list[str]]:
    """Wait for the first run; return it with what was told."""
    told: list[str] = []
    return watch.first_run(api, lambda: None, told.append, NOW), told


def test_a_run_that_ended_before_is_not_the_first() -> None:
    old, going, done = run("a", "success", -1), run("b", "running", None), run("b", "success", 1)
    found, told = first(Scripted([old], [going, old], [done, old]))
    assert found == done
    assert "movies_sync: film_work success after 3.2 s" in told


def test_a_run_is_triggered_when_the_schedule_brings_none() -> None:
    api = Scripted([], [], [], [run("manual", "success", 1)])
    assert first(api)[0].run_id == "manual"
    assert api.triggered == 1


def test_a_paused_dag_is_unpaused() -> None:
    api = Scripted([run("a", "success", 1)])
    api.paused = True
    assert "movies_sync was paused: unpaused it" in first(api)[1]
    assert not api.paused


def test_an_airflow_too_busy_to_answer_is_asked_again() -> None:
    busy = UnreachableError("timed out")
    assert first(Scripted(busy, busy, [run("a", "success", 1)]))[0].run_id == "a"


def test_a_failed_run_says_why() -> None:
    api = Scripted([run("a", "failed", 1)])
    api.state = "failed"
    with pytest.raises(watch.RunError, match="film_work of a: no such index"):
        first(api)


def test_a_dag_that_cannot_be_read_says_why() -> None:
    api = Scripted([])
    api.parsed, api.broken = False, ["dags/movies_sync.py: SyntaxError"]
    with pytest.raises(watch.RunError, match="SyntaxError"):
        first(api)


def test_a_dag_that_can_no_longer_be_read_says_why() -> None:
    api = Scripted([])
    api.refuses, api.broken = True, ["dags/movies_sync.py: SyntaxError"]
    with pytest.raises(watch.RunError, match="SyntaxError"):
        first(api)


def test_a_dead_part_ends_the_waiting() -> None:
    def check() -> None:
        raise RuntimeError("the scheduler ended")

    with pytest.raises(RuntimeError, match="the scheduler ended"):
        watch.first_run(Scripted([]), check, lambda _: None, NOW)


def test_each_later_run_is_told_once() -> None:
    before, one, two, three = (run(name, "success", ended) for ended, name in enumerate("abcd"))
    api = Scripted(
        *(UnreachableError("busy"), [one, before], [two, one, before]),
        *(UnreachableError("busy"), [three, two, one, before]),
    )
    later = watch.finished_runs(api, one)
    assert [next(later) for _ in range(6)] == [None, None, two, None, three, None]


def test_a_line_counts_what_was_sent() -> None:
    api = Scripted([])
    api.sent = {"film_work": {"indexed": 1_200}, "person": {"indexed": 3}}
    done = run("a", "success", 0.1)
    assert watch.line(api, done).endswith("success in 6.0 s: sent 1,200 by film_work, 3 by person")
    api.sent = {}
    assert watch.line(api, done).endswith("nothing to send")


def test_a_result_that_cannot_be_read_ends_nothing() -> None:
    api = Scripted([])
    api.silent = True
    said = "its result cannot be read: timed out"
    assert watch.line(api, run("a", "success", 0.1)).endswith(f"success in 6.0 s: {said}")
    assert summary.sent(api, run("a", "success", 0.1)) == said


def test_the_summary_counts_what_the_first_task_sent() -> None:
    api = Scripted([])
    api.sent = {"film_work": {"indexed": 1_200, "seconds": 2.0}}
    first_one = run("a", "success", 1)
    assert summary.sent(api, first_one).strip() == "1,200 sent in 2.0 s, 600 films a second"
    api.sent = {}
    assert summary.sent(api, first_one).strip() == "0 sent in 0.0 s"
