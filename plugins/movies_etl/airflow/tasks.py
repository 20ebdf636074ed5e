"""The tasks of the DAGs: connections and Variables in, counters out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.sdk import task
from airflow.sdk.definitions.retry_policy import RetryPolicy

from movies_etl.airflow import metrics, signals, trigger
from movies_etl.airflow.beside import stores_of
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.questions import fuse_alias, have_asked
from movies_etl.airflow.remembered import (
    VariableDifferenceStore,
    VariableLayoutStore,
    VariableNoticeStore,
    VariableReconcileStore,
)
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
from movies_etl.airflow.variables import VariableCursorStore, VariableHorizonStore
from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.postgres.lock import is_followed
from movies_etl.rebuild.beside import feed_others
from movies_etl.reconcile.each_run import run_stream, without_loading
from movies_etl.retries import retrying
from movies_etl.settings import Settings, load_settings
from movies_etl.state.layout import Layouts
from movies_etl.state.notices import Notices
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams, checked
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import State, prepare_beside, prepare_run
from movies_etl.sync.resources import Resources

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import Task

    TaskOf: TypeAlias = Task[..., dict[str, Any]]

log = logging.getLogger(__name__)

FIRST_CONTACT_SECONDS = 15.0
"""Seconds that ``init`` waits for a server; including the last attempt's time-outs it fails
within 30 s with a reason, except when PostgreSQL accepts the login and then hangs."""


def init_task(definition: IndexDefinition, retry_policy: RetryPolicy) -> TaskOf:
    """Return the task that puts an index and its cursors in order and decides the run's context."""

    @task(task_id="init", retry_policy=retry_policy, show_return_value_in_logs=False)
    @told_on_one_line()
    def init(
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        dag: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        params = trigger.filled_in(params, dag, dag_run)
        asked, reload = trigger.asked_for(params), params.get("reload", "none")
        settings = load_settings()
        steps_aside = _may_step_aside(dag_run, settings)
        hook = MoviesElasticsearchHook()
        in_clear_text = [
            f"The password or key of connection movies_elasticsearch travels in clear text to "
            f"{host}. Set the connection's schema to https"
            for host in hook.in_clear_text
        ]
        with elasticsearch(hook, definition) as client:

            def prepared() -> RunContext:
                layouts = Layouts(VariableLayoutStore(definition))
                state = State(
                    VariableCursorStore(definition),
                    VariableHorizonStore(definition),
                    VariableReconcileStore(definition),
                    Notices(VariableNoticeStore(definition), in_clear_text),
                    layouts,
                )
                name = f"init {run_id}"
                with catalogue(definition, settings, name, known=layouts.known) as source:
                    checked(asked, source)
                    check_replica(settings, name, source)
                    hurried = client.options(request_timeout=5)
                    context = None
                    if steps_aside and reload == "none":
                        context = prepare_beside(source, hurried, state, settings)
                    return context or prepare_run(source, hurried, state, settings, reload)

            context = retrying(FIRST_CONTACT_SECONDS)(prepared)
        log.info(
            "Movies ETL %s: M2M start %s, horizon %s, index %s",
            context.program,
            context.m2m_start,
            context.horizon,
            context.index,
        )
        metrics.of_init(definition, context)
        return context.model_dump(mode="json")

    return init


def sync_task(definition: IndexDefinition, stream: Stream) -> TaskOf:
    """Return the task that syncs one stream of an index, named after the stream."""
    is_last = stream is definition.streams[-1]
    outlets = [signals.changes_of(definition), *([fuse_alias(definition)] if is_last else [])]

    @task(task_id=stream.name, show_return_value_in_logs=False, outlets=outlets)
    @told_on_one_line()
    def sync_stream(
        context: dict[str, Any],
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        outlet_events: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        spare_the_collector()
        settings = load_settings()
        may_step_aside = _may_step_aside(dag_run, settings)
        asked = trigger.asked_for(params or {})
        if stream is not definition.root:  # whose task loads what is asked for
            asked = RunParams(asked.page_size)
        counters, run = Counters(), RunContext.model_validate(context)
        name = f"{stream.name} {run_id}"

        def attempt(servers: Servers) -> dict[str, Any]:
            with resources_of(definition, name, servers, run, counters) as resources:
                store = VariableDifferenceStore(definition)
                before = store.load() if is_last else None
                steps_aside = may_step_aside and is_followed(resources.source.server, run.uuid)
                if steps_aside:
                    horizon = _confirmed(resources, stream)
                    result = without_loading(stream, resources, settings, store, is_followed=True)
                else:
                    horizon = run.horizon
                    result = run_stream(stream, resources, settings, store, asked)
                signals.tell(stream.name, resources, result, outlet_events, horizon)
                signals.announce_what_fails_no_task(definition, settings, result, before, store)
                if is_last:
                    have_asked(resources, settings, outlet_events)
                    if not steps_aside:
                        feed_others(resources, settings, stores_of(definition))
                return result

        with servers_of(definition, settings, name) as servers:
            return going_on(lambda: attempt(servers), counters, settings.patience)

    return sync_stream


def _may_step_aside(dag_run: Any, settings: Settings) -> bool:  # noqa: ANN401 - Airflow's
    """Whether a task may leave its work to one that follows: a run by hand does what it says."""
    is_scheduled = dag_run is not None and dag_run.run_type == "scheduled"
    return is_scheduled and settings.follow_seconds > 0


def _confirmed(resources: Resources, stream: Stream) -> str:
    """Log that a stream is left to the task that follows; return how far that one has come."""
    log.info("A task follows, so %s is left to it", stream.name)
    cursor = resources.cursors.load(stream.name)
    return (cursor and cursor.horizon) or resources.context.horizon
