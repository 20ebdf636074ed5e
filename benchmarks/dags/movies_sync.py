"""The real `movies_sync`, each of its task functions measured from outside.

The functions run as they are; around each call stand two readings of the clocks, and the task's
result gains the entry `benchmark`. `BENCHMARK` names a file with the servers' process ids, with
what is to be done at the first moment of a task (a change that the task shall find), and with what
is to be patched.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movies_etl.airflow import dags
from movies_etl.airflow.tasks import init_task, sync_task

from benchmarks import unprotected
from benchmarks.edits import commit
from benchmarks.meter import Meter, peak_memory
from local.files import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from movies_etl.definitions.definition import IndexDefinition, Stream


def measured(decorated: Any, name: str) -> Any:  # noqa: ANN401 - Airflow's decorator
    """Put the two readings around the function of a task."""
    function = decorated.function

    @functools.wraps(function)
    def around(*args: object, **kwargs: object) -> dict[str, Any]:
        order = json.loads(Path(os.environ["BENCHMARK"]).read_text())
        meter = Meter(order["postgres"], order["elasticsearch"])
        if order["unprotected"]:
            unprotected.patch()
        committed = commit(order["edit"]) if order["edit_in"] == name else None
        before = meter.read()
        result: dict[str, Any] = function(*args, **kwargs)
        spent = meter.read().since(before)
        return result | {
            "benchmark": {
                **vars(spent),
                "began": before.at,
                "committed": committed,
                "peak": peak_memory(),
            }
        }

    decorated.function = around
    return decorated


def measured_init_task(*arguments: Any) -> Callable[..., Any]:  # noqa: ANN401 - the program's
    """Return what the program's `init_task` returns, measured."""
    task: Callable[..., Any] = measured(init_task(*arguments), "init")
    return task


def measured_sync_task(definition: IndexDefinition, stream: Stream) -> Callable[..., Any]:
    """Return what the program's `sync_task` returns, measured."""
    task: Callable[..., Any] = measured(sync_task(definition, stream), stream.name)
    return task


vars(dags).update(init_task=measured_init_task, sync_task=measured_sync_task)
runpy.run_path(str(CHECKOUT / "dags" / "movies_sync.py"), run_name="movies_sync")
