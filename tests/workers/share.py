"""A rebuild that two workers share, as it should be and with one of them killed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from movies_etl.rebuild.load import PAGE_SIZE

from benchmarks.catalogue import template
from local.airflow_api import DAG, AirflowApi
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from local.reader import DATABASE, READER, connections, let_read
from local.rest import RestError, UnreachableError, call
from tests.support.scheduled import NEVER, Scheduled, running_airflow
from tests.support.servers import free_port
from tests.workers import rebuild
from tests.workers.processes import Workers, running_redis
from tests.workers.rebuild import PATIENCE, Rebuild, Seen, written

NAMES = ("one", "two")
VICTIM = "two"
CONCURRENCY = 2
AT_ONCE = 3
"""More loads at once than one worker takes, and a slot is left for `movies_sync`."""


def share(folder: Path, films: int) -> dict[str, Any]:
    """Run all of it; return the figures, with `good` for the whole.

    :param folder: for the servers' data.
    :param films: in the catalogue, which is generated once for each number.
    """
    with _servers(folder, films) as (scheduled, elasticsearch, workers):
        api = AirflowApi(scheduled.settings.url, scheduled.settings.password(), rebuild.DAG)
        _first_load(scheduled, elasticsearch.port, films)
        port, check = elasticsearch.port, scheduled.check

        undisturbed = Rebuild(api, workers, check)
        seen = undisturbed.run()
        _say(f"undisturbed: {undisturbed.state()}")
        figures = _shared(undisturbed, seen, films)

        killed = Rebuild(api, workers, check)
        half = _is_written(killed, port, films // 2)
        seen = killed.run(VICTIM, once=half)
        _say(f"with a kill: {killed.state()}")
        checked, sent = killed.checked(), written(port, killed.index())
        lost_pages = (sent - films) / PAGE_SIZE / max(len(seen.killed), 1)
        loss = {
            "killed_tasks": len(seen.killed),
            "sent_twice": sent - films,
            "lost_pages_per_task": round(lost_pages, 2),
            "taken_up_after_s": _taken_up(killed, seen),
            "killed_span_s": round(killed.span(), 1),
            "checked": checked,
        }
    is_equal = (checked["documents"], checked["missing"], checked["different"]) == (films, 0, 0)
    is_cheap = bool(seen.killed) and lost_pages <= 1
    return figures | loss | {"good": is_equal and is_cheap}


@contextmanager
def _servers(folder: Path, films: int) -> Iterator[tuple[Scheduled, Elasticsearch, Workers]]:
    """Run PostgreSQL, Elasticsearch, a queue, Airflow and the workers."""
    folder.mkdir(parents=True, exist_ok=True)
    postgres = Postgres(folder / "postgres", port=free_port())
    elasticsearch = Elasticsearch(folder / "elasticsearch", port=free_port(), report=_say)
    postgres.start()
    try:
        elasticsearch.remove()
        elasticsearch.start()
        postgres.createuser(READER)
        postgres.dropdb(DATABASE)
        postgres.createdb(DATABASE, template=template(postgres, films))
        let_read(postgres.dsn(DATABASE))
        _say(f"{films:,} films are generated")
        known = connections(postgres=postgres.port, elasticsearch=elasticsearch.port)
        with (
            running_redis(folder / "redis") as queue,
            running_airflow(
                folder / "airflow", postgres, known, more=_of_celery(queue, postgres)
            ) as scheduled,
        ):
            environment = scheduled.settings.environment()
            workers = Workers(environment, folder / "celery", CONCURRENCY)
            try:
                for name in NAMES:
                    workers.start(name)
                _say("Airflow and its workers are up")
                yield scheduled, elasticsearch, workers
            finally:
                workers.stop()
    finally:
        elasticsearch.stop()
        postgres.stop()


def _of_celery(queue: int, postgres: Postgres) -> dict[str, str]:
    """Return Airflow's settings."""
    database = f"postgresql+psycopg2://postgres@127.0.0.1:{postgres.port}/airflow_test"
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "16",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{queue}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy machine may take that long
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
        "MOVIES_ETL_REINDEX_TASKS": str(AT_ONCE),
        "MOVIES_ETL_RECONCILE_SCHEDULE": NEVER,
    }


def _first_load(scheduled: Scheduled, port: int, films: int) -> None:
    """Let `movies_sync` load the index, and go on each minute."""
    for dag in (DAG, rebuild.DAG):
        AirflowApi(scheduled.settings.url, scheduled.settings.password(), dag).unpause()

    def is_loaded() -> bool:
        scheduled.check()
        url = f"http://127.0.0.1:{port}/movies/_count?ignore_unavailable=true"
        try:
            return int(call("GET", url)["count"]) == films
        except (RestError, UnreachableError):  # it has just been made; busy
            return False

    wait_until(is_loaded, seconds=PATIENCE, what="the first load")
    _say("movies_sync has loaded the index")


def _is_written(of: Rebuild, port: int, documents: int) -> Callable[[], bool]:
    """Return a question: whether the index that is made has so many documents."""
    return lambda: bool(index := of.index()) and written(port, index) >= documents


def _shared(undisturbed: Rebuild, seen: Seen, films: int) -> dict[str, Any]:
    shares = Counter(seen.by.values())
    seconds = undisturbed.span()
    return {
        "films": films,
        "ranges": len(undisturbed.loads()),
        "ranges_by_worker": dict(sorted(shares.items())),
        "span_s": round(seconds, 1),
        "films_per_second": round(films / seconds),
    }


def _taken_up(killed: Rebuild, seen: Seen) -> float:
    """Return the seconds from the kill until the last of the killed tasks went on."""
    numbers = {one.number for one in seen.killed}
    tries = killed.attempts(one for one in killed.loads() if one["map_index"] in numbers)
    again = [datetime.fromisoformat(one["start_date"]).timestamp() for one in tries]
    return round(max(again) - seen.at, 1)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201 - a command
