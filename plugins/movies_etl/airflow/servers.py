"""The servers of one task: connections for its life, threads that send, memory left alone."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, NamedTuple, cast

from elasticsearch import Elasticsearch

from movies_etl.airflow import lineage
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.airflow.variables import VariableCursorStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import SourceUnavailableError, on_one_line
from movies_etl.postgres.replica import Replica
from movies_etl.postgres.source import Source
from movies_etl.retries import retrying
from movies_etl.settings import Settings, load_settings
from movies_etl.state.layout import Layout
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

RECONNECT_PAUSE_SECONDS = 1.0
"""Seconds between the loss of PostgreSQL and the next attempt, which waits for a connection."""


class Servers(NamedTuple):
    """What a task keeps through all of its attempts.

    :param client: of Elasticsearch: it remembers which nodes failed.
    :param replica: on which pages and documents are read, where there is one.
    """

    client: Elasticsearch
    replica: Replica | None = None


@contextmanager
def servers_of(definition: IndexDefinition, settings: Settings, name: str) -> Iterator[Servers]:
    """Give out Elasticsearch, and the replica where there is one, for the life of a task.

    :param name: what PostgreSQL shows of the task.
    """
    with (
        elasticsearch(MoviesElasticsearchHook(), definition) as client,
        _replica_of(settings, name) as replica,
    ):
        yield Servers(client, replica)


@contextmanager
def elasticsearch(
    hook: MoviesElasticsearchHook, definition: IndexDefinition
) -> Iterator[Elasticsearch]:
    """Give out one client for the life of a task: it remembers which nodes failed.

    :param definition: the index that the task writes.
    """
    lineage.add_index(hook, definition)
    logging.getLogger("elastic_transport.transport").setLevel(logging.ERROR)
    with cast("Elasticsearch", hook.get_conn) as client:
        yield client


@contextmanager
def catalogue(
    definition: IndexDefinition,
    settings: Settings,
    task_name: str,
    patience: float = 0.0,
    known: Layout | None = None,
) -> Iterator[Source]:
    """Connect to PostgreSQL.

    :param task_name: what PostgreSQL shows of the session, and a waiting task of the lock's holder.
    :param patience: seconds to wait for PostgreSQL.
    :param known: what the run's ``init``, or an earlier one, learned of the catalogue.
    """
    hook = MoviesPostgresHook(application=f"movies_etl {task_name}")
    connection = retrying(patience)(hook.connect)
    try:
        source = Source.opened(connection, definition, settings, known)
        lineage.add_tables(hook, connection, source)
        yield source
    finally:
        connection.close()


@contextmanager
def _replica_of(settings: Settings, task_name: str) -> Iterator[Replica | None]:
    """Give out the replica; it is not connected to before something is to be read."""
    if not settings.replica_conn_id:
        yield None
        return
    hook = MoviesPostgresHook(settings.replica_conn_id, f"movies_etl {task_name}")
    with closing(Replica(hook.connect, settings)) as replica:
        yield replica


def check_replica(settings: Settings, task_name: str, primary: Source) -> None:
    """Refuse a replica's connection that leads elsewhere, before anything is written.

    :param task_name: what PostgreSQL shows of the session.
    :raises ConfigurationError: says what to fix.
    """
    with _replica_of(settings, task_name) as replica:
        if replica:
            replica.check(primary)


@contextmanager
def senders(number: int) -> Iterator[Executor]:
    """Give out threads that send; after an error they drop the bodies that wait."""
    executor = ThreadPoolExecutor(number, thread_name_prefix="bulk")
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def resources_of(
    definition: IndexDefinition,
    name: str,
    servers: Servers,
    context: RunContext,
    counters: Counters,
) -> Iterator[Resources]:
    """Give out what a task of a run works with.

    When PostgreSQL is lost meanwhile, whichever server it was, the next attempt reads the primary.

    :param name: what PostgreSQL shows of the task.
    :param context: what the first task decided, of an index with the alias or of one beside it.
    """
    settings, cursors = load_settings(), VariableCursorStore(definition)
    with (
        catalogue(definition, settings, name, settings.patience, context.layout) as source,
        senders(settings.senders) as executor,
        _resting_after_a_loss(servers.replica),
    ):
        yield Resources(
            source=source,
            client=servers.client,
            context=context,
            cursors=cursors.beside(context.index) if context.beside else cursors,
            executor=executor,
            patience=settings.patience,
            counters=counters,
            replica=servers.replica,
        )


@contextmanager
def _resting_after_a_loss(replica: Replica | None) -> Iterator[None]:
    try:
        yield
    except SourceUnavailableError:
        if replica:
            replica.rest()
        raise


def spare_the_collector() -> None:
    """Keep the garbage collector from walking over Airflow's modules again and again.

    A page of documents makes thousands of short-lived containers and no cycles; with Airflow's own
    objects in every walk, collecting would cost about as much as validating.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def going_on(
    attempt: Callable[[], dict[str, Any]], counters: Counters, patience: float
) -> dict[str, Any]:
    """When PostgreSQL is lost, retry from the saved cursor for as long as attempts make progress.

    :param patience: seconds without progress (a document that is read; of a task that follows, a
        look for changes) after which the loss is an error.
    """
    since = time.monotonic()
    while True:
        done = counters.progress
        try:
            return attempt()
        except SourceUnavailableError as error:
            if counters.progress > done:
                since = time.monotonic()
            elif time.monotonic() - since >= patience:
                raise
            log.warning("%s", on_one_line(error))
            time.sleep(RECONNECT_PAUSE_SECONDS)
