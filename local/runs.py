"""Waiting for runs of the sync DAGs."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from local.outcome import why
from local.processes import pause
from local.rest import RestError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.airflow_api import AirflowApi, Run, Task

Answer = TypeVar("Answer")
_PATIENCE = 600.0
_GRACE = 20.0  # the scheduler's own first run is there by then


class RunError(RuntimeError):
    """A DAG did not run, or failed; the message says why."""


def await_scheduler(
    api: AirflowApi, check: Callable[[], None], report: Callable[[str], None]
) -> None:
    """Wait until Airflow's parts have reported that they work.

    :param check: called again and again; raises when a part has died.
    """
    ask = _Patient(api.dag_id, check)
    while not api.healthy():
        ask.wait()
    report("Airflow's scheduler is up")


def first_run(
    api: AirflowApi,
    check: Callable[[], None],
    report: Callable[[str], None],
    since: datetime,
    loaded: Callable[[], int] = lambda: 0,
) -> Run:
    """Wait until a run has ended after the moment `since`, telling how far it is; return it.

    :param check: called again and again; raises when a part has died.
    :param loaded: called again and again; returns how many films are loaded. As long as the number
        changes the run may take its time.

    Raises RunError when the run failed, with the tasks' error messages.
    """
    ask = _Patient(api.dag_id, check)
    _make_known(api, ask, report)
    run = _await_run(api, ask, since)
    told: dict[str, str | None] = {}
    while True:
        for task in ask(partial(api.tasks, run.run_id)):
            if _is_news(task, told):
                report(f"{api.dag_id}: {task.name} {task.state}{_after(task, ask, api, run)}")
        if run.finished:
            break
        ask.wait(loaded())
        run = next(known for known in ask(api.runs) if known.run_id == run.run_id)
    if run.state == "failed":
        raise RunError(why(api, run))
    return run


class _Patient:
    """Asks Airflow again while it does not answer, as it may on a busy machine; within a deadline.

    :param dag: what is waited for.
    :param check: raises when Airflow will never answer.
    """

    def __init__(self, dag: str, check: Callable[[], None]) -> None:
        self._dag = dag
        self._check = check
        self._deadline = time.monotonic() + _PATIENCE
        self._loaded = 0

    def __call__(self, question: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return question()
            except UnreachableError:
                self.wait()

    def wait(self, loaded: int = 0) -> None:
        self._check()
        if loaded > self._loaded:
            self._loaded = loaded
            self._deadline = time.monotonic() + _PATIENCE
        if time.monotonic() > self._deadline:
            msg = f"{self._dag} did nothing for {_PATIENCE:.0f} s; see Airflow's web UI"
            raise RunError(msg)
        pause(0.5)


class FinishedRuns:
    """The runs of a DAG that end after a moment, each reported once.

    :param api: about the DAG.
    """

    def __init__(self, api: AirflowApi, since: datetime) -> None:
        self.api = api
        self._since = since
        self._told: set[str] = set()

    def new(self) -> list[Run]:
        """Return those not reported yet, the oldest first; none while Airflow does not answer."""
        try:
            runs = self.api.runs()
        except (UnreachableError, RestError):
            return []
        ended = [
            run
            for run in reversed(runs)
            if run.finished and run.ended and run.ended > self._since
            if run.run_id not in self._told
        ]
        self._told |= {run.run_id for run in ended}
        return ended


def _make_known(api: AirflowApi, ask: _Patient, report: Callable[[str], None]) -> None:
    """Wait until the DAG has been read, and let it run."""
    began = time.monotonic()
    while (dag := ask(api.dag)) is None:
        if time.monotonic() - began > _GRACE:
            _check_files(api, ask)
        ask.wait()
    if dag["is_paused"]:
        ask(api.unpause)
        report(f"{api.dag_id} was paused: unpaused it")


def _await_run(api: AirflowApi, ask: _Patient, since: datetime) -> Run:
    """Return the oldest run that is not over or ended after the moment; trigger one if need be."""
    began = time.monotonic()
    triggered = False
    while True:
        for run in reversed(ask(api.runs)):
            if run.ended is None or run.ended > since:
                return run
        if not triggered and time.monotonic() - began > _GRACE:
            try:
                ask(api.trigger)
                triggered = True
            except RestError:  # it knows the DAG from before, and cannot read it any more
                _check_files(api, ask)
        ask.wait()


def _check_files(api: AirflowApi, ask: _Patient) -> None:
    """Raise RunError when Airflow cannot read a DAG's file."""
    if errors := ask(api.import_errors):
        raise RunError("Airflow cannot read the DAGs:\n" + "\n".join(errors))


def _is_news(task: Task, told: dict[str, str | None]) -> bool:
    """Whether the task has come to a state that was not reported yet; remember it."""
    news = task.state != told.get(task.name) and task.state not in {None, "scheduled", "queued"}
    if news:
        told[task.name] = task.state
    return news


def _after(task: Task, ask: _Patient, api: AirflowApi, run: Run) -> str:
    """Return how long the task took, and why it will be tried again."""
    if task.state == "running":
        return ""
    reasons = ask(partial(api.errors, run.run_id, task)) if task.state == "up_for_retry" else []
    return f" after {task.seconds or 0:.1f} s" + (f": {'; '.join(reasons)}" if reasons else "")
