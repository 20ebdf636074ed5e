"""The tasks of the rebuild DAGs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowRuntimeError
from elasticsearch import Elasticsearch

from movies_etl.airflow import trigger
from movies_etl.airflow.beside import stores_of
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.servers import (
    catalogue,
    elasticsearch,
    going_on,
    senders,
    spare_the_collector,
)
from movies_etl.airflow.variables import VariableCursorStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.ranges import Range
from movies_etl.rebuild import gate
from movies_etl.rebuild.begin import begin
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.load import load_range, of_range
from movies_etl.rebuild.loaded import loaded
from movies_etl.rebuild.plan import Plan, Runs, as_json
from movies_etl.rebuild.split import split as parts_of
from movies_etl.rebuild.swap import swap as swapped
from movies_etl.settings import Settings, load_settings
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import Task

log = logging.getLogger(__name__)

LOAD_RETRIES = 10
"""A range is tried again from where it was: a long outage ends no rebuild of hours."""


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
        runs = Runs(str(run_id), lambda other: _state_of(ti, definition.reindex_dag, other))
        with (
            elasticsearch(MoviesElasticsearchHook(), definition) as client,
            catalogue(definition, settings, f"prepare {run_id}", settings.patience) as source,
        ):
            begun = Beginning(source, client, stores_of(definition), settings, runs)
            return begin(begun, asked).model_dump(mode="json")

    return prepare


def _state_of(ti: Any, dag_id: str, run_id: str) -> str | None:  # noqa: ANN401 - Airflow's
    """Return the state of a run, None when Airflow does not know it."""
    try:
        return str(ti.get_dagrun_state(dag_id, run_id))
    except AirflowRuntimeError:
        return None


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
        retries=LOAD_RETRIES,
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
        position = _TaskPosition(task_state_store, f"{of.context.uuid} {own.first} {own.before}")

        def attempt(client: Elasticsearch) -> dict[str, Any]:
            name = f"load {own.first or ''} {run_id}"
            with _resources(definition, settings, name, of, client) as resources:
                counted = replace(of_range(resources, position), counters=counters)
                return load_range(own, of, str(run_id), counted, settings)

        with elasticsearch(MoviesElasticsearchHook(), definition) as client:
            return going_on(lambda: attempt(client), counters, settings.patience)

    return load


class _TaskPosition:
    """Keeps how far a range is loaded in the state of the task, which its retries find."""

    def __init__(self, store: Any, key: str) -> None:  # noqa: ANN401 - Airflow's
        self._store = store
        self._key = key

    def load(self) -> str | None:
        kept = self._store.get(self._key)
        return None if kept is None else str(kept)

    def save(self, position: str) -> None:
        self._store.set(self._key, position)


def check_task(definition: IndexDefinition) -> Task[..., dict[str, Any]]:
    """Return the task that lets the index catch up and compares it."""

    @task(task_id="check", show_return_value_in_logs=False, trigger_rule=TriggerRule.NONE_FAILED)
    @told_on_one_line()
    def check(
        plan: dict[str, Any],
        results: Iterable[dict[str, Any]] | None = None,
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
    ) -> dict[str, Any]:
        spare_the_collector()
        of, settings = Plan.model_validate(plan), load_settings()
        with _candidate(definition, settings, f"check {run_id}", of) as candidate:
            if of.loads:
                loaded(candidate, str(run_id), [one["version"] for one in results or ()])
            return gate.check(candidate, trigger.to_rebuild(params or {}).checks)

    return check


class SwapApproval(ApprovalOperator):
    """Asks a person before the swap, if the run was triggered with ``pause_before_swap``."""

    def execute(self, context: Any) -> Any:  # noqa: ANN401 - Airflow's
        """Ask, or go on."""
        if not context["params"]["pause_before_swap"]:
            return None
        return super().execute(context)


def approve_task(definition: IndexDefinition, settings: Settings) -> SwapApproval:
    """Return the task that asks a person before the swap, if the param says so."""
    approvers = [{"id": one, "name": one} for one in settings.approvers]
    return SwapApproval(
        task_id="approve",
        subject=f"Give alias {definition.alias} to the new index?",
        body="What `check` found: {{ ti.xcom_pull(task_ids='check') }}",
        defaults=SwapApproval.REJECT,
        response_timeout=timedelta(hours=settings.approval_hours),
        assigned_users=approvers or None,
    )


def swap_task(definition: IndexDefinition) -> Task[..., dict[str, Any]]:
    """Return the task that gives the alias to the index."""

    @task(task_id="swap", show_return_value_in_logs=False)
    @told_on_one_line()
    def swap(plan: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
        settings = load_settings()
        of = Plan.model_validate(plan)
        with _candidate(definition, settings, f"swap {run_id}", of) as candidate:
            return swapped(candidate)

    return swap


@contextmanager
def _candidate(
    definition: IndexDefinition, settings: Settings, name: str, plan: Plan
) -> Iterator[Candidate]:
    with (
        elasticsearch(MoviesElasticsearchHook(), definition) as client,
        _resources(definition, settings, name, plan, client) as resources,
    ):
        yield Candidate(plan, resources, stores_of(definition), settings)


@contextmanager
def _resources(
    definition: IndexDefinition, settings: Settings, name: str, plan: Plan, client: Elasticsearch
) -> Iterator[Resources]:
    with (
        catalogue(definition, settings, name, settings.patience) as source,
        senders(settings.senders) as executor,
    ):
        yield Resources(
            source=source,
            client=client,
            context=plan.context,
            cursors=VariableCursorStore(definition).beside(plan.context.index),
            executor=executor,
            patience=settings.patience,
        )
