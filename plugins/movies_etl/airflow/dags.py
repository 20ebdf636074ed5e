"""The DAGs of a declared index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from airflow.sdk import DAG, Asset, Param
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from movies_etl.airflow import deadline, form, mail
from movies_etl.airflow.follow_task import ACTIVE_RUNS, follow_task
from movies_etl.airflow.purge_tasks import approval, find_task, purge_task, remember_task
from movies_etl.airflow.questions import fuse_asset
from movies_etl.airflow.reconcile_tasks import reconcile_task
from movies_etl.airflow.reindex_tasks import (
    check_task,
    load_task,
    prepare_task,
    split_task,
    swap_task,
)
from movies_etl.airflow.swap_approval import approve_task
from movies_etl.airflow.tasks import init_task, sync_task
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.reconcile.run import TASKS
from movies_etl.settings import load_settings

_NO_RETRY_HELPS = RetryRule(
    exception=[
        "movies_etl.errors.ConfigurationError",
        "movies_etl.errors.RefusedDocumentsError",
    ],
    action=RetryAction.FAIL,
    reason="somebody has to fix something first",
)
ONLY_WHAT_MAY_PASS = ExceptionRetryPolicy(rules=[_NO_RETRY_HELPS])
NEVER = ExceptionRetryPolicy(
    rules=[
        _NO_RETRY_HELPS,
        RetryRule(
            exception="movies_etl.errors.MoviesEtlError",
            action=RetryAction.FAIL,
            reason="the servers were waited for; the next run tries again",
        ),
    ]
)

MAX_LISTS_AT_ONCE = 8
"""Lists of one index that a person may be asked about at once."""

RUN_TYPES = ["scheduled", "manual", "operator_triggered"]
"""Not ``backfill``: a run loads what changed since the last one, whatever its date."""


def sync_dag(definition: IndexDefinition, doc_md: str | None) -> DAG:
    """Return the DAG that keeps one index equal to the catalogue.

    Its tasks are ``init`` and one per stream, one after the other, and ``follow`` where runs go on.

    :param doc_md: what the DAG's page shows; its first line is the description in lists.
    """
    settings = load_settings()
    definition = definition.prefixed(settings.index_prefix)
    params = form.fields_of_sync(definition, settings)
    with _dag(definition, definition.sync_dag, doc_md, settings.schedule, params) as dag:
        dag.deadline = deadline.of_runs(settings, go_on=True)
        context = init_task(definition, NEVER)()
        before = context
        for stream in definition.streams:
            loaded = sync_task(definition, stream)(context)
            before >> loaded
            before = loaded
        if settings.follow_seconds:
            dag.max_active_runs = ACTIVE_RUNS
            before >> follow_task(definition)(context)
    return dag


def reconcile_dag(definition: IndexDefinition, doc_md: str | None) -> DAG:
    """Return the DAG that finds what leaves no trace in ``modified``.

    Its tasks ask one question each, the cheapest first.

    :param doc_md: what the DAG's page shows; its first line is the description in lists.
    """
    settings = load_settings()
    definition = definition.prefixed(settings.index_prefix)
    schedule = settings.reconcile_schedule
    params = form.fields_of_reconcile(definition)
    with _dag(definition, definition.reconcile_dag, doc_md, schedule, params) as dag:
        dag.deadline = deadline.of_runs(settings, go_on=False)
        for before, after in pairwise([reconcile_task(definition, name)() for name in TASKS]):
            before >> after
    return dag


def purge_dag(definition: IndexDefinition, doc_md: str | None) -> DAG:
    """Return the DAG that asks a person about a fuse list, and carries out the answer.

    It runs when there is a list about which nobody was asked, and which the sync does not load.

    :param doc_md: what the DAG's page shows; its first line is the description in lists.
    """
    settings = load_settings()
    definition = definition.prefixed(settings.index_prefix)
    params = form.fields_of_purge(definition)
    schedule = fuse_asset(definition)
    with _dag(definition, definition.purge_dag, doc_md, schedule, params) as dag:
        dag.max_active_runs = MAX_LISTS_AT_ONCE
        found = find_task(definition)()
        ask = approval(settings)
        done = purge_task(definition)(found, ask.output)
        found >> ask
        done >> remember_task(definition)(found)
    return dag


def reindex_dag(definition: IndexDefinition, doc_md: str | None) -> DAG:
    """Return the DAG that makes an index anew and gives it the alias, without downtime.

    :param doc_md: what the DAG's page shows; its first line is the description in lists.
    """
    settings = load_settings()
    definition = definition.prefixed(settings.index_prefix)
    at_once = settings.reindex_tasks
    params = form.fields_of_rebuild(definition)
    with _dag(definition, definition.reindex_dag, doc_md, None, params) as dag:
        dag.max_active_tasks = max(dag.max_active_tasks, at_once)
        plan = prepare_task(definition)()
        loaded = (
            load_task(definition, at_once)
            .partial(plan=plan)
            .expand(part=split_task(definition)(plan))
        )
        checked = check_task(definition)(plan, loaded)
        checked >> approve_task(definition, settings) >> swap_task(definition)(plan)
    return dag


def _dag(
    definition: IndexDefinition,
    dag_id: str,
    doc_md: str | None,
    schedule: str | Asset | None,
    params: dict[str, Param],
) -> DAG:
    """Return a DAG of which one run at a time goes on."""
    run_types = [*RUN_TYPES, *(["asset_triggered"] if isinstance(schedule, Asset) else [])]
    return DAG(
        dag_id=dag_id,
        description=(doc_md or "").partition("\n")[0].replace("`", ""),
        doc_md=doc_md,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        allowed_run_types=run_types,  # type: ignore[arg-type]  # documented so
        tags=[definition.name, "elasticsearch", "postgresql"],
        default_args={
            "owner": "movies-etl",
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(seconds=60),
            "retry_policy": ONLY_WHAT_MAY_PASS,
            "max_active_tis_per_dag": 1,
            "on_failure_callback": mail.of_failures(load_settings()),
        },
        params=params,
    )
