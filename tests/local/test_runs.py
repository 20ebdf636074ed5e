"""Waiting for the first run, with an Airflow that answers as the tests want."""

from __future__ import annotations

import pytest

from local import runs
from local.airflow_api import Run
from local.rest import UnreachableError
from tests.local.scripted import NOW, Scripted, run


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    monkeypatch.setattr(runs, "pause", lambda _: None)
    monkeypatch.setattr(runs, "_GRACE", 0.0)


def first(api: Scripted) -> tuple[Run, list[str]]:
    """Wait for the first run; return it with what was told."""
    told: list[str] = []
    return runs.first_run(api, lambda: None, told.append, NOW), told


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
    with pytest.raises(runs.RunError, match="film_work of a: no such index"):
        first(api)


def test_a_task_that_will_be_tried_again_says_why() -> None:
    api = Scripted([run("a", "running", None)], [run("a", "success", 1)])
    api.state = "up_for_retry"
    said = "movies_sync: film_work up_for_retry after 3.2 s: film_work of a: no such index"
    assert said in first(api)[1]


def test_a_dag_that_cannot_be_read_says_why() -> None:
    api = Scripted([])
    api.parsed, api.broken = False, ["dags/movies_sync.py: SyntaxError"]
    with pytest.raises(runs.RunError, match="SyntaxError"):
        first(api)


def test_a_dag_that_can_no_longer_be_read_says_why() -> None:
    api = Scripted([])
    api.refuses, api.broken = True, ["dags/movies_sync.py: SyntaxError"]
    with pytest.raises(runs.RunError, match="SyntaxError"):
        first(api)


def test_a_dead_part_ends_the_waiting() -> None:
    def check() -> None:
        raise RuntimeError("the scheduler ended")

    with pytest.raises(RuntimeError, match="the scheduler ended"):
        runs.first_run(Scripted([]), check, lambda _: None, NOW)


def test_each_later_run_is_told_once() -> None:
    before, one, two, three = (run(name, "success", ended) for ended, name in enumerate("abcd"))
    assert one.ended
    going = run("e", "running", None)
    api = Scripted(
        *(UnreachableError("busy"), [one, before], [going, two, one, before]),
        *(UnreachableError("busy"), [three, two, one, before]),
    )
    later = runs.FinishedRuns(api, one.ended)
    assert [later.new() for _ in range(6)] == [[], [], [two], [], [three], []]
