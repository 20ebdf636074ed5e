"""The tasks of the DAGs: connections and Variables in, counters out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

from airflow.sdk import task
from elasticsearch import Elasticsearch

from movies_etl.airflow_hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.airflow_state import VariableCursorStore, save_horizon
from movies_etl.dead_letters import DeadLetters
from movies_etl.index import Index
from movies_etl.init import open_window
from movies_etl.patience import retrying
from movies_etl.settings import Settings, load_settings
from movies_etl.source import Source
from movies_etl.streams import FILM_WORK, Stream
from movies_etl.sync import Parts, Requests, sync
from movies_etl.window import Window

log = logging.getLogger(__name__)

FIRST_CONTACT = 15.0
"""Seconds that ``init`` waits for a server; with the time-outs of the last try it fails within
half a minute, and says why."""


@contextmanager
def _servers(settings: Settings, name: str) -> Iterator[tuple[Source, Elasticsearch]]:
    """Connect to both servers for the life of a task."""
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
    client = cast("Elasticsearch", MoviesElasticsearchHook().get_conn)
    connection = MoviesPostgresHook(application=f"movies_etl {name}").connect()
    try:
        source = Source(connection, settings.include_dir, zone=settings.timestamp_zone)
        yield source.prepared(), client
    finally:
        connection.close()
        client.close()


@task
def init(params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Check both servers, put index and cursors in order, and return the run's window."""
    settings = load_settings()
    reload = (params or {}).get("reload", "none")

    def opened() -> Window:
        with _servers(settings, "init") as (source, client):
            patient = client.options(request_timeout=5, max_retries=0)
            return open_window(source, patient, VariableCursorStore(), settings, reload)

    window = retrying(FIRST_CONTACT)(opened)
    save_horizon(window.horizon)
    log.info("M2M start %s, horizon %s, index %s", window.m2m_start, window.horizon, window.index)
    return window.model_dump(mode="json")


def sync_task(stream: Stream) -> Callable[..., Any]:
    """Return the task that syncs one stream, named after it."""

    @task(task_id=stream.name)
    def sync_stream(window: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        settings = load_settings()
        run = Window.model_validate(window)
        with (
            _servers(settings, stream.name) as (source, client),
            ThreadPoolExecutor(settings.senders, thread_name_prefix="bulk") as executor,
        ):
            parts = Parts(
                source=source,
                index=Index(client, run.index, settings.patience),
                letters=DeadLetters(client),
                cursors=VariableCursorStore(),
                executor=executor,
            )
            asked = _asked(stream, params or {})
            return asdict(sync(stream, run, parts, settings, asked))

    return sync_stream


def _asked(stream: Stream, params: dict[str, Any]) -> Requests:
    """Read the trigger form; films that are asked for are loaded by the first task."""
    films_first = stream is FILM_WORK
    return Requests(
        page_size=params.get("page_size"),
        ids=params.get("ids") or () if films_first else (),
        replay=params.get("replay") or () if films_first else (),
    )
