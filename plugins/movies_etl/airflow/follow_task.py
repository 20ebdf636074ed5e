"""The task that goes on after the streams of a run, where MOVIES_ETL_FOLLOW_SECONDS says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from movies_etl.airflow import signals
from movies_etl.airflow.beside import stores_of
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.remembered import VariableDifferenceStore
from movies_etl.airflow.servers import (
    going_on,
    resources_of,
    servers_of,
    spare_the_collector,
)
from movies_etl.airflow.variables import VariableHorizonStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.follow.others import Feeding
from movies_etl.follow.run import Stores, follow
from movies_etl.rebuild.beside import feed_others_in_steps
from movies_etl.settings import load_settings
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters

if TYPE_CHECKING:
    from movies_etl.airflow.tasks import TaskOf

ACTIVE_RUNS = 4
"""Runs at a time where runs go on: one that follows, one that stands by, the next one, which takes
its place, and one that somebody triggers."""

_RETRY_DELAY = timedelta(0)
"""Until the next attempt begins nobody follows, or nobody stands by."""


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
        impatient = settings.model_copy(update={"patience": 0.0})
        with servers_of(definition, settings, name) as servers:

            def feed_beside(now: RunContext) -> Feeding:
                """Feed the other indexes in a session of its own, which ends with their locks.

                They are not waited for: the next feeding goes on where one failed.
                """
                kept = stores_of(definition)
                if not kept.cursors.indexes():
                    return
                beside = f"{name} beside"
                with resources_of(definition, beside, servers, now, Counters()) as resources:
                    at_once = replace(resources, patience=0.0)
                    yield from feed_others_in_steps(at_once, impatient, kept)

            stores = Stores(VariableHorizonStore(definition), differences, feed_beside)

            def attempt() -> dict[str, Any]:
                with resources_of(definition, name, servers, run, counters) as resources:
                    result = follow(resources, settings, stores)
                    horizon = stores.horizons.load().horizon
                    signals.tell(signals.FOLLOW, resources, result, outlet_events, horizon)
                    signals.announce_what_fails_no_task(
                        definition, settings, result, before, stores.differences
                    )
                    return result

            return going_on(attempt, counters, settings.patience)

    return following
