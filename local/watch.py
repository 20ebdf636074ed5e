"""Waiting for runs of movies_sync, and telling of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.airflow_api import DAG, Run
from local.processes import pause
from local.rest import RestError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.airflow_api import AirflowApi

STREAMS = ("film_work", "genre", "person")
_PATIENCE = 600.0
_GRACE = 20.0  # the scheduler's own first run is there by then


class RunError(RuntimeError):
    """movies_sync did not run, or failed; the message says why."""


def first_run(
    api: AirflowApi, check: Callable[[], None], report: Callable[[str], None], since: datetime
) -> Run:
    """Wait until a run has ended after the moment `since`, telling how far it is; return it.

    :param check: called again and again; raises when a part has died.

    Raises RunError when the run failed, with the tasks' error messages.
    """
    deadline = time.monotonic() + _PATIENCE

    def wait() -> None:
        check()
        if time.monotonic() > deadline:
            msg = f"{DAG} did not finish within {_PATIENCE:.0f} s; see Airflow's web UI"
            raise RunError(msg)
        pause(0.5)

    while not api.healthy():
        wait()
    report("Airflow is up")
    _make_known(api, wait, report)
    run = _await_run(api, wait, since)
    told: dict[str, str | None] = {}
    while not run.finished:
        _tell_tasks(api, run, told, report)
        wait()
        run = next(known for known in api.runs() if known.run_id == run.run_id)
    _tell_tasks(api, run, told, report)
    if run.state == "failed":
        raise RunError(_why(api, run))
    return run


def finished_runs(api: AirflowApi, after: Run) -> Iterator[Run | None]:
    """Yield each run that ends after this one, and None for each look that found nothing."""
    told = {run.run_id for run in api.runs() if run.finished} | {after.run_id}
    while True:
        try:
            ended = [run for run in api.runs() if run.finished and run.run_id not in told]
        except (UnreachableError, RestError):
            ended = []
        for run in reversed(ended):
            told.add(run.run_id)
            yield run
        if not ended:
            yield None
        pause(2)


def line(api: AirflowApi, run: Run) -> str:
    """Return a line about a finished run: when, how, what was sent."""
    ended = (run.ended or datetime.now(UTC)).astimezone()
    seconds = (run.ended - run.started).total_seconds() if run.ended and run.started else 0
    text = f"{ended:%H:%M:%S} {run.state} in {seconds:.1f} s"
    if run.state == "failed":
        return f"{text}: {_why(api, run)}"
    results = {stream: api.result(run.run_id, stream) for stream in STREAMS}
    sent = {stream: int(result.get("indexed", 0)) for stream, result in results.items()}
    if not any(sent.values()):
        return f"{text}: nothing to send"
    shares = ", ".join(f"{number:,} by {name}" for name, number in sent.items() if number)
    return f"{text}: sent {shares}"


def _make_known(api: AirflowApi, wait: Callable[[], None], report: Callable[[str], None]) -> None:
    """Wait until the DAG has been read, and let it run."""
    began = time.monotonic()
    while (dag := api.dag()) is None:
        if time.monotonic() - began > _GRACE and (errors := api.import_errors()):
            raise RunError("Airflow cannot read the DAGs:\n" + "\n".join(errors))
        wait()
    if dag["is_paused"]:
        api.unpause()
        report(f"{DAG} was paused: unpaused it")


def _await_run(api: AirflowApi, wait: Callable[[], None], since: datetime) -> Run:
    """Return the oldest run that is not over or ended after the moment; trigger one if need be."""
    began = time.monotonic()
    triggered = False
    while True:
        for run in reversed(api.runs()):
            if run.ended is None or run.ended > since:
                return run
        if not triggered and time.monotonic() - began > _GRACE:
            api.trigger()
            triggered = True
        wait()


def _tell_tasks(
    api: AirflowApi, run: Run, told: dict[str, str | None], report: Callable[[str], None]
) -> None:
    for task in api.tasks(run.run_id):
        if task.state != told.get(task.name) and task.state not in {None, "scheduled", "queued"}:
            told[task.name] = task.state
            seconds = "" if task.state == "running" else f" after {task.seconds or 0:.1f} s"
            report(f"{DAG}: {task.name} {task.state}{seconds}")


def _why(api: AirflowApi, run: Run) -> str:
    """Return the error messages of a failed run's failed tasks."""
    try:
        failed = [task for task in api.tasks(run.run_id) if task.state == "failed"]
        parts = [f"task {task.name}: {'; '.join(api.errors(run.run_id, task))}" for task in failed]
    except (UnreachableError, RestError) as error:
        parts = [f"its log cannot be read: {error}"]
    return f"run {run.run_id} failed: " + ("; ".join(parts) or "no task of it says why")
