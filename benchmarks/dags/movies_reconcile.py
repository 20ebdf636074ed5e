"""The real `movies_reconcile`, each of its task functions measured from outside."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from movies_etl.airflow import dags
from movies_etl.airflow.reconcile_tasks import reconcile_task

from benchmarks.measured import measured
from local.files import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from movies_etl.definitions.definition import IndexDefinition


def measured_reconcile_task(definition: IndexDefinition, name: str) -> Callable[..., Any]:
    """Return what the program's `reconcile_task` returns, measured."""
    task: Callable[..., Any] = measured(reconcile_task(definition, name), name)
    return task


vars(dags).update(reconcile_task=measured_reconcile_task)
runpy.run_path(str(CHECKOUT / "dags" / "movies_reconcile.py"), run_name="movies_reconcile")
