"""What is told of a run that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from local import outcome, summary
from local.airflow_api import AirflowApi, Task
from tests.local.scripted import Scripted, run

DONE = run("a", "success", 0.1)


def told(results: dict[str, dict[str, Any]]) -> str:
    """Return the line about a run with these results."""
    api = Scripted([])
    api.results = results
    (line,) = outcome.lines(api, DONE)
    return line


def test_a_line_counts_what_was_sent() -> None:
    line = told({"film_work": {"indexed": 1_200}, "person": {"indexed": 3}})
    assert line.endswith(" movies_sync success in 6.0 s: sent 1,200 by film_work, 3 by person")


def test_a_run_that_found_nothing_says_so() -> None:
    found = {"read": 2, "unchanged": 2, "indexed": 0, "refused": 0}
    assert told({"film_work": found, "person": {"difference": 0}}).endswith("nothing to send")


def test_a_run_with_dead_letters_counts_them() -> None:
    line = told({"film_work": {"refused": 1_001}, "genre": {"refused": 1, "indexed": 2}})
    assert line.endswith(": sent 2 by genre; 1,002 refused and kept as dead letters")


@pytest.mark.parametrize(
    ("difference", "words"),
    [(-1, "1 document too many"), (-2, "2 documents too many"), (1_500, "1,500 documents missing")],
)
def test_a_run_that_found_drift_says_so(difference: int, words: str) -> None:
    line = told({"person": {"difference": difference}})
    assert line.endswith(f" s: {words}")


def test_warnings_stand_below_the_line() -> None:
    api = Scripted([])
    api.warned = {"film_work": [f"film {number} is kept" for number in range(1, 6)]}
    assert outcome.lines(api, DONE)[1:] == [
        "         film_work: film 1 is kept",
        "         film_work: film 2 is kept",
        "         film_work: film 3 is kept",
        "         film_work: 2 more in its log",
    ]


def test_a_failed_run_says_why() -> None:
    api = Scripted([])
    api.state = "failed"
    (line,) = outcome.lines(api, run("a", "failed", 0.1))
    assert line.endswith("run a failed: task film_work: film_work of a: no such index")


def test_a_result_that_cannot_be_read_ends_nothing() -> None:
    api = Scripted([])
    api.silent = True
    said = "its result cannot be read: timed out"
    assert outcome.lines(api, DONE)[0].endswith(f"success in 6.0 s: {said}")
    assert summary.result(api, DONE, "film_work") == [f"movies_sync    {said}"]


def test_the_summary_counts_what_the_first_task_sent() -> None:
    api = Scripted([])
    api.results = {"film_work": {"indexed": 1_200, "seconds": 2.0}}
    assert summary.result(api, DONE, "film_work") == [
        "movies_sync    1,200 sent by film_work in 2.0 s, 600 per second"
    ]
    api.results = {}
    nothing = ["movies_sync    0 sent by film_work in 0.0 s"]
    assert summary.result(api, DONE, "film_work") == nothing


def test_the_summary_says_what_the_run_warned_of() -> None:
    api = Scripted([])
    api.warned = {"film_work": ["film 1 is kept"]}
    assert summary.result(api, DONE, "film_work")[1:] == ["         film_work: film 1 is kept"]


def test_only_the_programs_own_warnings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    log = [
        {"event": "::group::Log message source details"},
        {"event": "deprecated", "level": "warning", "category": "DeprecationWarning"},
        {"event": "slow", "level": "warning", "logger": "airflow.task"},
        {"event": "1 film less", "level": "warning", "logger": "movies_etl.counts"},
        {"event": "person is done", "level": "info", "logger": "movies_etl.sync"},
        "a line of text",
    ]
    monkeypatch.setattr(AirflowApi, "_call", lambda *_: {"content": log})
    api = AirflowApi("http://nowhere", "")
    assert api.warnings("a", Task("person", "success", 1, 1.0)) == ["1 film less"]
