"""The tasks of the reconcile DAGs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from movies_etl.airflow import form
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.servers import catalogue, elasticsearch, senders, spare_the_collector
from movies_etl.airflow.variables import VariableCursorStore, VariableReconcileStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.reconcile.context import loaded_context
from movies_etl.reconcile.run import TASKS, Reconcile, Result
from movies_etl.settings import load_settings
from movies_etl.sync.resources import Resources

if TYPE_CHECKING:
    from movies_etl.airflow.tasks import TaskOf

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 20.0
"""Seconds that a task waits for a writer before it leaves what it found to the next run."""


def reconcile_task(definition: IndexDefinition, name: str) -> TaskOf:
    """Return one task of the reconcile of an index.

    :param name: one of ``presence``, ``touched``, ``contents``.
    """

    @task(task_id=name, show_return_value_in_logs=False)
    @told_on_one_line()
    def reconcile(
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        dag: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        params = params or {}
        if dag_run and dag_run.conf:
            form.check_conf(dag, dag_run.conf, params)
        spare_the_collector()
        settings = load_settings()
        cursors = VariableCursorStore(definition)
        with (
            elasticsearch(MoviesElasticsearchHook()) as client,
            catalogue(definition, settings, f"{name} {run_id}", settings.patience) as source,
            senders(settings.senders) as executor,
        ):
            context = loaded_context(source, client, cursors, settings.patience)
            if context is None:
                return Result().as_result()
            resources = Resources(
                source=source,
                client=client,
                context=context,
                cursors=cursors,
                executor=executor,
                patience=settings.patience,
                lock_wait=LOCK_WAIT_SECONDS,
            )
            store = VariableReconcileStore(definition)
            asked = form.to_reconcile(params)
            return TASKS[name](Reconcile(resources, settings, store, asked))

    return reconcile
