"""The task that goes on after the streams of a run, where MOVIES_ETL_FOLLOW_SECONDS says so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from movies_etl.airflow import signals
from movies_etl.airflow.beside import stores_of
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.remembered import VariableDifferenceStore
from movies_etl.airflow.servers import (
    elasticsearch,
    going_on,
    resources_of,
    spare_the_collector,
)
from movies_etl.airflow.variables import VariableHorizonStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.follow.run import Stores, follow
from movies_etl.rebuild.beside import feed_others
from movies_etl.settings import load_settings
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters

if TYPE_CHECKING:
    from movies_etl.airflow.tasks import TaskOf

ACTIVE_RUNS = 3
"""Runs at a time where runs go on: one that follows, one that stands by, one that somebody
triggers."""

_RETRY_DELAY = timedelta(seconds=1)
"""Nobody follows until the next attempt begins, unless another run stands by."""


def follow_task(definition: IndexDefinition) -> TaskOf:
    """Return the task ``follow`` of an index."""

    @task(
        task_id=signals.FOLLOW,
        outlets=[signals.changes_of(definition)],
        show_return_value_in_logs=False,
        max_active_tis_per_dag=ACTIVE_RUNS,
        retry_delay=_RETRY_DELAY,
        retry_exponential_backoff=False,
    )
    @told_on_one_line()
    def following(
        context: dict[str, Any],
        run_id: str | None = None,
        outlet_events: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        spare_the_collector()
        settings = load_settings()
        counters, run = Counters(), RunContext.model_validate(context)
        name = f"follow {run_id}"
        differences = VariableDifferenceStore(definition)
        before = differences.load()
        with elasticsearch(MoviesElasticsearchHook(), definition) as client:

            def feed_beside(now: RunContext) -> None:
                """Feed the other indexes in a session of its own, which ends with their locks."""
                kept = stores_of(definition)
                if not kept.cursors.indexes():
                    return
                with resources_of(definition, f"{name} beside", client, now, Counters()) as own:
                    feed_others(own, settings, kept)

            stores = Stores(VariableHorizonStore(definition), differences, feed_beside)

            def attempt() -> dict[str, Any]:
                with resources_of(definition, name, client, run, counters) as resources:
                    result = follow(resources, settings, stores)
                    horizon = stores.horizons.load().horizon
                    signals.tell(signals.FOLLOW, resources, result, outlet_events, horizon)
                    signals.announce_what_fails_no_task(
                        definition, settings, result, before, stores.differences
                    )
                    return result

            return going_on(attempt, counters, settings.patience)

    return following
