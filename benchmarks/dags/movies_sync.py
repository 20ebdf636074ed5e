"""The real `movies_sync`, each of its task functions measured from outside."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from movies_etl.airflow import dags
from movies_etl.airflow.tasks import init_task, sync_task

from benchmarks.measured import measured
from local.files import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from movies_etl.definitions.definition import IndexDefinition, Stream


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
