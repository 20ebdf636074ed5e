"""Servers of the benchmark's own: the catalogue, Airflow's database, Elasticsearch, Airflow.

All data lie under `.local/bench/`. Airflow's metadata are in a cluster of their own, so that the
catalogue's PostgreSQL works for nobody but the sync.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.catalogue import template
from benchmarks.meter import Meter
from benchmarks.runs import BenchmarkError, finished
from local.airflow import Airflow
from local.airflow_api import DAG, AirflowApi
from local.airflow_settings import AirflowSettings
from local.elasticsearch import Elasticsearch
from local.files import CHECKOUT
from local.postgres import DEFAULTS, Postgres
from local.processes import free_port, wait_until
from local.reader import DATABASE, READER, connections, let_read
from local.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FOLDER = CHECKOUT / ".local" / "bench"
EMPTY = "benchmark_empty"
RECONCILE = "movies_reconcile"
PURGE = "benchmark_purge"
REINDEX = "movies_reindex"
_STREAMS = ("film_work", "genre", "person")
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
"""Bytes that the machine has."""

OPTIONS = {**DEFAULTS, "shared_buffers": f"{MEMORY // 4 // 1024**2}MB"}
"""PostgreSQL's settings: the local stack's, with the memory that its manual starts with."""


def drop_slots(dsn: str) -> None:
    """Drop the replication slots that nobody uses."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
        )


@dataclass(frozen=True)
class BenchmarkSettings(AirflowSettings):
    """The local Airflow's settings, with the benchmark's DAGs and fewer looks at their files.

    :param program: settings of the program.
    """

    program: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """Return the local Airflow's variables and what differs here."""
        return super().variables() | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "benchmarks" / "dags"),
            # Airflow's own defaults: nobody edits DAGs here, and parsing them takes CPU time.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "BENCHMARK": str(FOLDER / "order.json"),
            "MOVIES_ETL_SCHEDULE": "0 0 29 2 *",  # it runs when the benchmark triggers it
            "MOVIES_ETL_RECONCILE_SCHEDULE": "0 0 29 2 *",
            "PYTHONPATH": str(CHECKOUT),
            **self.program,
        }


@dataclass(frozen=True)
class Edit:
    """A change that a run shall find: committed at the first moment of one of its tasks.

    :param task: the task that is to find it.
    :param statements: SQL, in one transaction.
    """

    task: str
    statements: tuple[str, ...]


class Servers:
    """What is measured.

    :param report: told what has been reached, one short line each.
    :param program: settings of the program, as environment variables.
    """

    def __init__(
        self, report: Callable[[str], None], program: Mapping[str, str] | None = None
    ) -> None:
        self.report = report
        self._state_file = FOLDER / "state.json"
        self._state = State.read(self._state_file)
        self._metadata = Postgres(FOLDER / "metadata", port=free_port(25732))
        self.catalogue = Postgres(FOLDER / "postgres", port=free_port(25632), options=OPTIONS)
        self.elasticsearch = Elasticsearch(
            FOLDER / "elasticsearch", port=free_port(29300), report=report
        )
        self.settings = BenchmarkSettings(
            home=FOLDER / "airflow",
            port=free_port(28180),
            database=f"postgresql+psycopg2://airflow@127.0.0.1:{self._metadata.port}/airflow",
            checkout=CHECKOUT,
            connections=connections(
                postgres=self.catalogue.port, elasticsearch=self.elasticsearch.port
            ),
            program=program or {},
        )
        self._airflow = Airflow(self.settings, self._state)

    @property
    def dsn(self) -> str:
        """The catalogue, as superuser."""
        return self.catalogue.dsn(DATABASE)

    @property
    def meter(self) -> Meter:
        """What reads the servers' clocks. Raises BenchmarkError when one does not run."""
        postgres, elasticsearch = self.catalogue.pid, self.elasticsearch.pid
        if postgres is None or elasticsearch is None:
            msg = "a server has ended; see the logs under .local/bench"
            raise BenchmarkError(msg)
        return Meter(postgres, elasticsearch)

    @contextmanager
    def running(self, films: int) -> Iterator[None]:
        """Keep everything up, with a catalogue of this size, and stop it at the end."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                msg = "another benchmark of this checkout is running"
                raise BenchmarkError(msg) from None
            try:
                self._start(films)
                yield
            finally:
                self._stop()

    def restore(self, films: int, options: Mapping[str, str] | None = None) -> None:
        """Make the catalogue anew, a copy of one that is generated once for each size.

        :param options: settings of PostgreSQL on top of OPTIONS.
        """
        wanted = {**OPTIONS, **(options or {})}
        if self.catalogue.options != wanted:
            self.catalogue.stop()
            self.catalogue.options = wanted
            self.catalogue.start()
        self.catalogue.createuser(READER)
        self.catalogue.dropdb(DATABASE)
        self.catalogue.createdb(DATABASE, template=template(self.catalogue, films))
        let_read(self.dsn)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def run(self, *, edit: Edit | None = None, unprotected: bool = False) -> dict[str, Any]:
        """Run `movies_sync` to its end; return each task's result.

        Raises BenchmarkError when it fails, with the tasks' messages.
        """
        order = {
            "postgres": self.meter.postgres,
            "elasticsearch": self.meter.elasticsearch,
            "unprotected": unprotected,
            "edit_in": edit.task if edit else None,
            "edit": {"dsn": self.dsn, "statements": edit.statements} if edit else None,
        }
        (FOLDER / "order.json").write_text(json.dumps(order))
        return self.run_dag(DAG, ("init", *_STREAMS))

    def run_dag(
        self,
        dag: str,
        tasks: Sequence[str],
        conf: Mapping[str, object] | None = None,
        *,
        mapped: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Run a DAG to its end; return each task's result.

        :param mapped: tasks that are mapped: of each a list of results.

        Raises BenchmarkError when it fails, with the tasks' messages.
        """
        return finished(self._api(dag), tasks, self._airflow.check, conf, mapped=mapped)

    def let_run(self) -> None:
        """Let the schedule run `movies_sync`, with nothing to be measured inside its tasks."""
        meter = self.meter
        order = {
            "postgres": meter.postgres,
            "elasticsearch": meter.elasticsearch,
            "unprotected": False,
            "edit_in": None,
        }
        (FOLDER / "order.json").write_text(json.dumps(order))
        self._api(DAG).unpause()

    def empty_task(self) -> float:
        """Return the peak memory of a task that does nothing, in MB."""
        result = self.run_dag(EMPTY, ("empty",))["empty"]
        return float(result["peak"])

    def _api(self, dag: str) -> AirflowApi:
        return AirflowApi(self.settings.url, self.settings.password(), dag)

    def _start(self, films: int) -> None:
        self._stop()  # what an earlier benchmark left when it was killed
        self._metadata.start()
        self._start_catalogue()
        self.restore(films)
        self.elasticsearch.start()
        self.report(f"PostgreSQL and Elasticsearch are up, {films:,} films generated")
        self._metadata.createuser("airflow")
        fresh = self._metadata.createdb("airflow", owner="airflow")
        self._airflow.migrate(fresh=fresh)
        self._airflow.start("dag-processor", "api-server", "scheduler")
        self._state.write(self._state_file)
        apis = [self._api(dag) for dag in (DAG, RECONCILE, REINDEX, PURGE, EMPTY)]
        wait_until(
            lambda: apis[0].healthy() and all(api.dag() for api in apis),
            seconds=300,
            what="Airflow has read the DAGs",
        )
        self.report(f"Airflow is up: {self.settings.url}")

    def _start_catalogue(self) -> None:
        """Start it without the slots of a benchmark that was killed.

        As long as there is one PostgreSQL starts with no other `wal_level`.
        """
        self.catalogue.options = {**OPTIONS, "wal_level": "logical"}
        self.catalogue.start()
        drop_slots(self.catalogue.dsn())

    def _stop(self) -> None:
        self._airflow.stop(patience=10)
        self.elasticsearch.remove()
        self.catalogue.stop()
        self._metadata.stop()
        self._state.processes.clear()
        self._state.write(self._state_file)
