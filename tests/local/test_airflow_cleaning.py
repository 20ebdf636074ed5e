"""Old runs and logs of the local Airflow; `tests/test_scheduler.py` removes real ones."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local import airflow_cleaning
from local.stack import Stack

NOW = datetime.now(UTC)


@pytest.fixture
def told() -> list[str]:
    """What the stack reports."""
    return []


@pytest.fixture
def stack(told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that was cleaned two days ago, with an `airflow` that does nothing."""
    monkeypatch.setattr(airflow_cleaning, "PROGRAM", Path("/bin/true"))
    stack = Stack(told.append, tmp_path)
    stack.settings.home.mkdir(parents=True)
    (stack.settings.home / "cleaned").write_text((NOW - timedelta(days=2)).isoformat())
    return stack


def log_of(stack: Stack, run: str, age: timedelta) -> Path:
    """Write the log of a run that ended so long ago."""
    file = stack.settings.home / "logs" / "dag_id=movies_sync" / f"run_id={run}" / "attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_text("done")
    moment = (NOW - age).timestamp()
    os.utime(file, (moment, moment))
    os.utime(file.parent, (moment, moment))
    return file


def test_logs_of_old_runs_are_removed_with_their_folders(stack: Stack) -> None:
    old = log_of(stack, "old", airflow_cleaning.KEPT + timedelta(minutes=1))
    young = log_of(stack, "young", airflow_cleaning.KEPT - timedelta(hours=1))
    stack.forget()
    assert not old.parent.exists()
    assert young.exists()


def test_a_folder_that_a_task_has_just_made_stays(stack: Stack) -> None:
    folder = stack.settings.home / "logs" / "dag_id=movies_sync" / "run_id=starting"
    folder.mkdir(parents=True)
    stack.forget()
    assert folder.exists()


def test_a_parts_own_log_is_emptied_when_it_is_long(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_cleaning, "LONGEST_LOG", 10)
    (parts := stack.settings.home / "parts").mkdir()
    (parts / "api-server.log").write_text("12345678901")
    (parts / "scheduler.log").write_text("1234567890")
    stack.forget()
    assert (parts / "api-server.log").read_text() == ""
    assert (parts / "scheduler.log").read_text() == "1234567890"


def test_a_failure_is_told_and_not_repeated_at_once(
    stack: Stack, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_cleaning, "PROGRAM", Path("/bin/false"))
    stack.forget()
    stack.forget()
    assert [text.strip() for text in told] == ["airflow db clean failed:"]


def test_what_was_cleaned_lately_is_left_alone(stack: Stack, told: list[str]) -> None:
    stack.forget()
    old = log_of(stack, "old", airflow_cleaning.KEPT + timedelta(minutes=1))
    stack.forget()
    assert old.exists()
    assert told == ["runs and logs of more than 3 days ago are removed"]
