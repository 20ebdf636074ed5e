"""The tasks of the rebuild DAGs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowRuntimeError

from movies_etl.airflow import trigger
from movies_etl.airflow.beside import TaskPosition, candidate_of, stores_of
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.servers import (
    Servers,
    catalogue,
    check_replica,
    elasticsearch,
    going_on,
    resources_of,
    servers_of,
    spare_the_collector,
)
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.ranges import Range
from movies_etl.rebuild import gate
from movies_etl.rebuild.begin import begin
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.load import load_range, of_range
from movies_etl.rebuild.loaded import loaded
from movies_etl.rebuild.plan import Plan, Runs, as_json
from movies_etl.rebuild.split import split as parts_of
from movies_etl.rebuild.swap import swap as swapped
from movies_etl.settings import load_settings
from movies_etl.sync.counters import Counters

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import Task

log = logging.getLogger(__name__)

RETRIES = 10
"""A task goes on from where it was: no outage of some minutes ends a rebuild of hours."""


def prepare_task(definition: IndexDefinition) -> Task[..., dict[str, Any]]:
    """Return the task that checks everything and makes the index."""

    @task(task_id="prepare", show_return_value_in_logs=False)
    @told_on_one_line()
    def prepare(
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        dag: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
        ti: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        params = trigger.filled_in(params, dag, dag_run)
        asked = trigger.to_rebuild(params)
        settings = load_settings()
        name = f"prepare {run_id}"
        runs = Runs(str(run_id), lambda other: _state_of(ti, definition.reindex_dag, other))
        with (
            elasticsearch(MoviesElasticsearchHook(), definition) as client,
            catalogue(definition, settings, name, settings.patience) as source,
        ):
            check_replica(settings, name, source)
            begun = Beginning(source, client, stores_of(definition), settings, runs)
            return begin(begun, asked).model_dump(mode="json")

    return prepare


def _state_of(ti: Any, dag_id: str, run_id: str) -> str | None:  # noqa: ANN401 - Airflow's
    """Return the state of a run, None when Airflow does not know it."""
    try:
        state = ti.get_dagrun_state(dag_id, run_id)
    except AirflowRuntimeError:
        return None
    return str(getattr(state, "value", state))  # typed as a text, in fact a member of an Enum


def split_task(definition: IndexDefinition) -> Task[..., list[list[str | None]]]:
    """Return the task that parts the ids into ranges, each for one task."""

    @task(task_id="split", show_return_value_in_logs=False)
    @told_on_one_line()
    def split(plan: dict[str, Any], run_id: str | None = None) -> list[list[str | None]]:
        settings = load_settings()
        with catalogue(definition, settings, f"split {run_id}", settings.patience) as source:
            parts = parts_of(source, Plan.model_validate(plan))
        log.info("The ids are parted into %d ranges", len(parts))
        return as_json(parts)

    return split


def load_task(definition: IndexDefinition, at_once: int) -> Task[..., dict[str, Any]]:
    """Return the task that loads one range of ids; it is mapped over all of them.

    :param at_once: how many of them run at the same time.
    """

    @task(
        task_id="load",
        show_return_value_in_logs=False,
        retries=RETRIES,
        max_active_tis_per_dag=None,
        max_active_tis_per_dagrun=at_once,
        map_index_template="{{ part[0] or 'the first' }} to {{ part[1] or 'the last' }}",
    )
    @told_on_one_line()
    def load(
        part: list[str | None],
        plan: dict[str, Any],
        run_id: str | None = None,
        task_state_store: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        spare_the_collector()
        settings, counters = load_settings(), Counters()
        of, own = Plan.model_validate(plan), Range(*part)
        position = TaskPosition(task_state_store, f"{of.context.uuid} {own.first} {own.before}")

        name = f"load {own.first or ''} {run_id}"

        def attempt(servers: Servers) -> dict[str, Any]:
            with resources_of(definition, name, servers, of.context, counters) as resources:
                in_range = of_range(resources, position)
                return load_range(own, of, str(run_id), in_range, settings)

        with servers_of(definition, settings, name) as servers:
            return going_on(lambda: attempt(servers), counters, settings.patience)

    return load


def check_task(definition: IndexDefinition) -> Task[..., dict[str, Any]]:
    """Return the task that lets the index catch up and compares it."""

    @task(
        task_id="check",
        show_return_value_in_logs=False,
        retries=RETRIES,
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    @told_on_one_line()
    def check(
        plan: dict[str, Any],
        results: Iterable[dict[str, Any]] | None = None,
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
    ) -> dict[str, Any]:
        spare_the_collector()
        of, settings = Plan.model_validate(plan), load_settings()
        with candidate_of(definition, settings, f"check {run_id}", of) as candidate:
            if of.loads:
                loaded(candidate, str(run_id), [one["version"] for one in results or ()])
            return gate.check(candidate, trigger.to_rebuild(params or {}).checks)

    return check


def swap_task(definition: IndexDefinition) -> Task[..., dict[str, Any]]:
    """Return the task that gives the alias to the index."""

    @task(task_id="swap", show_return_value_in_logs=False, retries=RETRIES)
    @told_on_one_line()
    def swap(plan: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
        settings = load_settings()
        of = Plan.model_validate(plan)
        with candidate_of(definition, settings, f"swap {run_id}", of) as candidate:
            return swapped(candidate)

    return swap
