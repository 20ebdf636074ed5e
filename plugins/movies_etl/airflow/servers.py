"""The servers of one task: connections for its life, threads that send, memory left alone."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

from elasticsearch import Elasticsearch

from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.source import Source
from movies_etl.retries import retrying
from movies_etl.settings import Settings


@contextmanager
def elasticsearch(hook: MoviesElasticsearchHook) -> Iterator[Elasticsearch]:
    """Give out one client for the life of a task: it remembers which nodes failed."""
    logging.getLogger("elastic_transport.transport").setLevel(logging.ERROR)
    with cast("Elasticsearch", hook.get_conn) as client:
        yield client


@contextmanager
def catalogue(
    definition: IndexDefinition, settings: Settings, task_name: str, patience: float = 0.0
) -> Iterator[Source]:
    """Connect to PostgreSQL.

    :param task_name: what PostgreSQL shows of the session, and a waiting task of the lock's holder.
    :param patience: seconds to wait for PostgreSQL.
    """
    hook = MoviesPostgresHook(application=f"movies_etl {task_name}")
    connection = retrying(patience)(hook.connect)
    try:
        yield Source.opened(connection, definition, settings)
    finally:
        connection.close()


@contextmanager
def senders(number: int) -> Iterator[Executor]:
    """Give out threads that send; bodies that none has taken yet are dropped after an error."""
    executor = ThreadPoolExecutor(number, thread_name_prefix="bulk")
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def spare_the_collector() -> None:
    """Keep garbage collection from walking over Airflow's modules again and again.

    A page of documents makes thousands of short-lived containers and no cycles; with Airflow's own
    objects in every walk, collecting would cost about as much as validating.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
