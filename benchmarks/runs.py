"""Runs of a DAG, triggered by REST and waited for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from local.processes import pause, wait_until
from local.rest import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.airflow_api import AirflowApi

Answer = TypeVar("Answer")
_PATIENCE = 4 * 3600.0


class BenchmarkError(RuntimeError):
    """Something that is measured did not do its work; the message says what."""


def finished(
    api: AirflowApi,
    tasks: Sequence[str],
    check: Callable[[], None],
    conf: Mapping[str, object] | None = None,
    *,
    mapped: Sequence[str] = (),
) -> dict[str, Any]:
    """Trigger a run, wait for its end, and return each task's result.

    :param check: called again and again; raises when a part of Airflow has died.
    :param conf: the run's params.
    :param mapped: tasks that are mapped: of each a list of results.

    Raises BenchmarkError when a task failed or needed a second try, with what it said.
    """
    run_id = api.trigger(conf)

    def ended() -> bool:
        check()
        pause(1)  # asking takes CPU time from what is measured
        runs = _patiently(api.runs)
        return next(run for run in runs if run.run_id == run_id).finished

    wait_until(ended, seconds=_PATIENCE, what=f"run {run_id} ends")
    made = _patiently(partial(api.tasks, run_id))
    for task in made:
        if task.state != "success" or task.tries > 1:
            reasons = "; ".join(api.errors(run_id, task))
            msg = f"task {task.name} is {task.state} after {task.tries} tries: {reasons}"
            raise BenchmarkError(msg)
    results: dict[str, Any] = {
        name: _patiently(partial(api.result, run_id, name)) for name in tasks
    }
    for name in mapped:
        number = sum(task.name == name for task in made)
        results[name] = [
            _patiently(partial(api.result, run_id, name, index)) for index in range(number)
        ]
    return results


def _patiently(question: Callable[[], Answer]) -> Answer:
    """Ask Airflow again while it does not answer, as it may beside a load."""
    for _ in range(9):
        try:
            return question()
        except UnreachableError:
            pause(1)
    return question()
