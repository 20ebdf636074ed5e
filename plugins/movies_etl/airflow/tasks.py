"""The tasks of the DAGs: connections and Variables in, counters out."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

from airflow.sdk import task
from elasticsearch import Elasticsearch

from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.airflow.variables import (
    VariableCursorStore,
    VariableDifferenceStore,
    VariableHorizonStore,
)
from movies_etl.definitions.definition import Stream
from movies_etl.definitions.movies import FILM_WORK, STREAMS
from movies_etl.errors import SourceUnavailableError
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source
from movies_etl.retries import retrying
from movies_etl.settings import Settings, load_settings
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counts import compared
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.run import RunParams, sync
from movies_etl.sync.settlement import Counters
from movies_etl.sync.stream_run import Resources

log = logging.getLogger(__name__)

FIRST_CONTACT_SECONDS = 15.0
"""Seconds that ``init`` waits for a server; with the time-outs of the last try it fails within
half a minute, and says why, unless PostgreSQL accepts the login and then stands still."""

RECONNECT_PAUSE_SECONDS = 1.0
"""Seconds between the loss of PostgreSQL and the next attempt, which waits for a connection."""


@contextmanager
def _servers(
    settings: Settings, name: str, patience: float = 0.0
) -> Iterator[tuple[Source, Elasticsearch]]:
    """Connect to both servers for the life of a task.

    :param name: what PostgreSQL shows of the session, and a waiting task of the lock's holder.
    :param patience: seconds to wait for PostgreSQL.
    """
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
    connected = cast("Elasticsearch", MoviesElasticsearchHook().get_conn)
    client = connected.options(max_retries=0)  # patience.py says how a lost server is waited for
    hook = MoviesPostgresHook(application=f"movies_etl {name}")
    connection = retrying(patience)(hook.connect)
    try:
        source = Source(
            connection,
            settings.include_dir,
            zone=settings.timestamp_zone,
            ignored_roles=settings.horizon_ignore,
        )
        yield source.prepared(), client
    finally:
        connection.close()
        client.close()


@task
def init(params: dict[str, Any] | None = None, run_id: str | None = None) -> dict[str, Any]:
    """Check both servers, put index and cursors in order, and return the run's context."""
    settings = load_settings()
    reload = (params or {}).get("reload", "none")

    def opened() -> RunContext:
        with _servers(settings, f"init {run_id}") as (source, client):
            return prepare_run(
                source,
                client.options(request_timeout=5),
                State(VariableCursorStore(), VariableHorizonStore()),
                settings,
                reload,
            )

    context = retrying(FIRST_CONTACT_SECONDS)(opened)
    log.info(
        "M2M start %s, horizon %s, index %s", context.m2m_start, context.horizon, context.index
    )
    return context.model_dump(mode="json")


def sync_task(stream: Stream) -> Callable[..., Any]:
    """Return the task that syncs one stream, named after it."""

    @task(task_id=stream.name)
    def sync_stream(
        context: dict[str, Any], params: dict[str, Any] | None = None, run_id: str | None = None
    ) -> dict[str, Any]:
        _spare_the_collector()
        settings = load_settings()
        run = RunContext.model_validate(context)
        counters = Counters()

        def attempt() -> dict[str, Any]:
            with (
                _servers(settings, f"{stream.name} {run_id}", settings.patience) as servers,
                _executor(settings.senders) as executor,
            ):
                resources = _resources(settings, run, servers, executor, counters)
                sync(stream, run, resources, settings, _asked(stream, params or {}))
                if stream is STREAMS[-1]:
                    return asdict(counters) | compared(run, resources, VariableDifferenceStore())
                return asdict(counters)

        return _going_on(attempt, counters, settings.patience)

    return sync_stream


@contextmanager
def _executor(senders: int) -> Iterator[Executor]:
    """Give out threads that send; bodies that none has taken yet are dropped after an error."""
    executor = ThreadPoolExecutor(senders, thread_name_prefix="bulk")
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _spare_the_collector() -> None:
    """Keep garbage collection from walking over Airflow's modules again and again.

    A page of documents makes thousands of short-lived containers and no cycles; with Airflow's own
    objects in every walk, collecting would cost about as much as validating.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _going_on(
    attempt: Callable[[], dict[str, Any]], counters: Counters, patience: float
) -> dict[str, Any]:
    """Begin again from the cursor when PostgreSQL was lost, as long as that leads anywhere.

    :param patience: seconds without a film read after which the loss is an error.
    """
    since = time.monotonic()
    while True:
        done = counters.read
        try:
            return attempt()
        except SourceUnavailableError as error:
            if counters.read > done:
                since = time.monotonic()
            elif time.monotonic() - since >= patience:
                raise
            log.warning("%s", error)
            time.sleep(RECONNECT_PAUSE_SECONDS)


def _resources(
    settings: Settings,
    run: RunContext,
    servers: tuple[Source, Elasticsearch],
    executor: Executor,
    counters: Counters,
) -> Resources:
    source, client = servers
    return Resources(
        source=source,
        index=Index(client, run.index, settings.patience),
        letters=DeadLetters(client, settings.patience),
        cursors=VariableCursorStore(),
        executor=executor,
        counters=counters,
    )


def _asked(stream: Stream, params: dict[str, Any]) -> RunParams:
    """Read the trigger form; films that are asked for are loaded by the first task."""
    films_first = stream is FILM_WORK
    return RunParams(
        page_size=params.get("page_size"),
        ids=params.get("ids") or () if films_first else (),
        replay=params.get("replay") or () if films_first else (),
    )
