"""What `run` prints after the first run, of each DAG and of each part."""

from __future__ import annotations

import pytest

from local import run as running
from local.airflow_api import DAG
from local.indexes import indexes
from tests.local.scripted import Scripted, run


class Stack:
    """A stack with an Airflow for each DAG, of which each has had a run."""

    def __init__(self) -> None:
        self.apis: dict[str, Scripted] = {}
        self.parts = {"PostgreSQL": True, "Elasticsearch": True}

    def api(self, dag: str) -> Scripted:
        api = self.apis[dag] = Scripted([run("first", "success", 1)])
        api.dag_id = dag
        return api

    def refresh(self) -> None:
        pass


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def follower(stack: Stack) -> running._Follower:
    before = {index.sync_dag: run("before", "success", 0) for index in indexes()}
    return running._Follower(stack, before)  # type: ignore[arg-type]


def told(follower: running._Follower, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Look once; return the lines without the time of day."""
    follower.look()
    lines = capsys.readouterr().out.splitlines()
    return [line[9:] if line[:1].isdigit() else line.strip() for line in lines]


def test_of_other_dags_only_what_they_did_is_told(
    stack: Stack, follower: running._Follower, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.apis["persons_sync"].results = {"person": {"indexed": 3}}
    assert told(follower, capsys) == [
        "movies_sync success in 60.0 s: nothing to send",
        "persons_sync success in 60.0 s: sent 3 by person",
    ]
    assert told(follower, capsys) == []


def test_an_idle_run_of_another_dag_that_warns_or_fails_is_told(
    stack: Stack, follower: running._Follower, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.apis["genres_sync"].script = [[run("first", "failed", 1)]]
    stack.apis["persons_sync"].warned = {"init": ["the horizon is held"]}
    lines = told(follower, capsys)
    assert lines[1].startswith("genres_sync failed in 60.0 s: run first failed")
    assert lines[2:] == [
        "persons_sync success in 60.0 s: nothing to send",
        "init: the horizon is held",
    ]


def test_a_warning_that_stays_is_told_once(
    stack: Stack, follower: running._Follower, capsys: pytest.CaptureFixture[str]
) -> None:
    api = stack.apis[DAG]
    api.warned = {"init": ["an index is missing"]}
    assert "init: an index is missing" in told(follower, capsys)
    api.script = [[run("second", "success", 2)]]
    assert told(follower, capsys) == ["movies_sync success in 120.0 s: nothing to send"]


def test_a_lost_part_is_told_once(
    stack: Stack, follower: running._Follower, capsys: pytest.CaptureFixture[str]
) -> None:
    told(follower, capsys)
    stack.parts["Elasticsearch"] = False
    gone = "Elasticsearch is gone: `python -m local up` starts it again"
    assert told(follower, capsys) == [gone]
    assert told(follower, capsys) == []
    stack.parts["Elasticsearch"] = True
    assert told(follower, capsys) == []
    stack.parts["Elasticsearch"] = False
    assert told(follower, capsys) == [gone]
