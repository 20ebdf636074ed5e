"""The tasks of the reconcile DAGs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from movies_etl.airflow import metrics, trigger
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.questions import fuse_alias, have_asked
from movies_etl.airflow.remembered import VariableReconcileStore
from movies_etl.airflow.servers import catalogue, elasticsearch, senders, spare_the_collector
from movies_etl.airflow.variables import VariableCursorStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.reconcile.context import loaded_context
from movies_etl.reconcile.result import Result
from movies_etl.reconcile.run import run_task
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.settings import Settings, load_settings
from movies_etl.sync.exchange import is_replaced
from movies_etl.sync.resources import Resources

if TYPE_CHECKING:
    from movies_etl.airflow.tasks import TaskOf

LOCK_WAIT_SECONDS = 20.0
"""Seconds that a task waits for a writer before it leaves what it found to the next run."""


def reconcile_task(definition: IndexDefinition, name: str) -> TaskOf:
    """Return one task of the reconcile of an index.

    :param name: one of ``presence``, ``touched``, ``contents``.
    """

    @task(task_id=name, show_return_value_in_logs=False, outlets=[fuse_alias(definition)])
    @told_on_one_line()
    def reconcile(
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        dag: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
        outlet_events: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        params = trigger.filled_in(params, dag, dag_run)
        spare_the_collector()
        settings = load_settings()
        with working_resources(definition, settings, f"{name} {run_id}") as resources:
            if resources is None:
                return Result().as_result()
            store = VariableReconcileStore(definition)
            asked = trigger.to_reconcile(params)
            try:
                result = run_task(name, ReconcileTask(resources, settings, store, asked))
            except ConfigurationError:
                if not is_replaced(resources):
                    raise
                return Result().as_result()
            have_asked(resources, settings, outlet_events)
            metrics.of_reconcile(definition, result)
            return result

    return reconcile


@contextmanager
def working_resources(
    definition: IndexDefinition, settings: Settings, task_name: str
) -> Iterator[Resources | None]:
    """Give out the servers of a task beside the sync; None, with a log line, before a load.

    :param task_name: what PostgreSQL shows of the session.
    """
    cursors = VariableCursorStore(definition)
    with (
        elasticsearch(MoviesElasticsearchHook(), definition) as client,
        catalogue(definition, settings, task_name, settings.patience) as source,
        senders(settings.senders) as executor,
    ):
        context = loaded_context(source, client, cursors, settings.patience)
        if context is None:
            yield None
            return
        yield Resources(
            source=source,
            client=client,
            context=context,
            cursors=cursors,
            executor=executor,
            patience=settings.patience,
            lock_wait=LOCK_WAIT_SECONDS,
        )
