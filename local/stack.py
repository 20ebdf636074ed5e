"""The whole local stack: which parts, where, on which ports, in which order they start and stop."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from local.airflow import PARTS, Airflow
from local.airflow_api import AirflowApi
from local.airflow_cleaning import KEPT, CleaningError, clean_when_due
from local.airflow_settings import AirflowSettings
from local.catalogue import CatalogueError, prepare
from local.elasticsearch import Elasticsearch
from local.files import CHECKOUT
from local.generator import generate
from local.postgres import Postgres
from local.processes import wait_until
from local.state import DEFAULT_PORTS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.catalogue import Progress

DATABASE = "movies"
READER = "movies_etl"
READER_GRANTS = (
    f"GRANT pg_read_all_stats TO {READER}",
    f"GRANT USAGE ON SCHEMA content TO {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA content TO {READER}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA content GRANT SELECT ON TABLES TO {READER}",
)


class Stack:
    """PostgreSQL, Elasticsearch and Airflow of one checkout, with their data in `.local/`.

    :param report: told what has been reached, one short line each.
    :param checkout: folder of the project.
    :param progress: told how far the generation of a catalogue is.
    """

    has_catalogue = (
        "there is a catalogue already: leave out --films to use it, or remove it with `make clean`"
    )

    def __init__(
        self,
        report: Callable[[str], None],
        checkout: Path = CHECKOUT,
        *,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._report = report
        self._progress = progress
        self._checkout = checkout
        self.folder = checkout / ".local"
        self._state_file = self.folder / "stack.json"
        self._cancelled = threading.Event()
        self.state = State.read(self._state_file)
        self._connect()

    def refresh(self) -> None:
        """Read again what other processes may have changed."""
        fresh = State.read(self._state_file)
        moved = fresh.ports != self.state.ports
        self.state.ports, self.state.processes = fresh.ports, fresh.processes
        self.state.kept = fresh.kept
        if moved:
            self._connect()

    def _connect(self) -> None:
        """Make the parts with the ports of the state."""
        ports = DEFAULT_PORTS | self.state.ports
        self.postgres = Postgres(self.folder / "postgres", port=ports["postgres"])
        self.elasticsearch = Elasticsearch(
            self.folder / "elasticsearch",
            port=ports["elasticsearch"],
            cache=self.folder / "cache",
            report=self._report,
        )
        self.settings = AirflowSettings(
            home=self.folder / "airflow",
            port=ports["airflow"],
            database=f"postgresql+psycopg2://airflow@127.0.0.1:{ports['postgres']}/airflow",
            checkout=self._checkout,
            connections={
                "movies_postgres": {
                    "conn_type": "postgres",
                    "host": "127.0.0.1",
                    "port": ports["postgres"],
                    "login": READER,
                    "schema": DATABASE,
                },
                "movies_elasticsearch": {
                    "conn_type": "elasticsearch",
                    "host": "127.0.0.1",
                    "port": ports["elasticsearch"],
                    "schema": "http",
                },
            },
        )
        self.airflow = Airflow(self.settings, self.state)

    @property
    def parts(self) -> dict[str, bool]:
        """Which part runs."""
        return {
            "PostgreSQL": self.postgres.running,
            "Elasticsearch": self.elasticsearch.running,
            "Airflow": self.airflow.running,
        }

    @property
    def up(self) -> bool:
        """Whether everything runs."""
        return all(self.parts.values())

    @property
    def dsn(self) -> str:
        """The catalogue's database, as superuser."""
        return self.postgres.dsn(DATABASE)

    def api(self) -> AirflowApi:
        """Return Airflow's REST API."""
        return AirflowApi(self.settings.url, self.settings.password())

    def forget(self) -> None:
        """Remove Airflow's old runs and logs when that is due; nothing depends on its success."""
        try:
            if clean_when_due(self.settings):
                self._report(f"runs and logs of more than {KEPT.days} days ago are removed")
        except CleaningError as error:
            self._report(str(error))

    def keep(self, how: str) -> None:
        """Remember who keeps the stack up: "run", this process until its end, or "up"."""
        self.state.kept = how
        if how == "run":
            self.state.note("run", os.getpid())
        self.state.write(self._state_file)

    def runner(self) -> int | None:
        """Return the process that will stop the stack at its end, None when there is none."""
        known = self.state.alive("run") if self.state.kept == "run" else None
        return None if known is None or known.pid == os.getpid() else known.pid

    def start(self, films: int | None = None) -> None:
        """Start what does not run, load the catalogue once, and return when the parts are started.

        Airflow then still needs some seconds until it works.

        :param films: generate a catalogue of so many films in place of the sample.

        Raises the parts' own errors, PortError, and CatalogueError when films are to be generated
        and there are some.
        """
        with self._alone():
            if not self.airflow.running:
                self.airflow.stop(patience=0)  # what a crash left of it
            self._choose_ports()
            pool = ThreadPoolExecutor(3)
            try:
                index = pool.submit(self._start_elasticsearch)
                fresh = self._start_postgres()
                catalogue = pool.submit(self._load, films)
                api = pool.submit(self._start_api, fresh=fresh)
                for job in (catalogue, api, index):
                    job.result()
                self.airflow.start(*PARTS)
            except BaseException:
                self._cancelled.set()
                self.elasticsearch.cancel()
                self.postgres.stop("fast")  # ends what the threads are doing there
                pool.shutdown()
                self._stop(patience=0)
                raise
            pool.shutdown()
            self.state.write(self._state_file)

    def stop(self, *, patience: float = 20) -> None:
        """Stop everything, Airflow first; harmless when nothing runs.

        :param patience: seconds for a running task to finish; 0 kills at once.
        """
        with self._alone():
            self._stop(patience)

    def end_runner(self) -> None:
        """Ask a `run` in another terminal to stop everything, and wait for that."""
        runner = self.runner()
        if runner is not None:
            self._report(f"stopping the `run` of process {runner}")
            os.kill(runner, signal.SIGTERM)
            wait_until(lambda: self.runner() is None, seconds=90, what=f"process {runner} ends")

    def remove(self) -> None:
        """Stop everything and remove its data and logs, wherever they are.

        The cache stays, and what others keep in `.local/`: their servers may be running.
        """
        with self._alone():
            self._stop(patience=0)
            self.postgres.remove()
            for name in ("postgres", "elasticsearch", "airflow"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self._state_file.unlink()

    def _stop(self, patience: float) -> None:
        running = [name for name, runs in self.parts.items() if runs]
        self.airflow.stop(patience=patience)
        self.elasticsearch.stop(seconds=30 if patience else 0)
        self.postgres.stop("fast" if patience else "immediate")
        self.state.processes.clear()
        self.state.write(self._state_file)
        if running:
            self._report(f"stopped {', '.join(reversed(running))}")

    def _choose_ports(self) -> None:
        runs = {
            "postgres": self.postgres.running,
            "elasticsearch": self.elasticsearch.running,
            "airflow": self.airflow.running,
        }
        for part, running in runs.items():
            if not running or part not in self.state.ports:
                self.state.choose_port(part)
        self.state.write(self._state_file)
        self._connect()

    def _start_elasticsearch(self) -> None:
        if not self.elasticsearch.running:
            self.elasticsearch.start()
            self._report(f"Elasticsearch is up: {self.elasticsearch.url}")

    def _start_postgres(self) -> bool:
        """Start PostgreSQL; return whether Airflow's database has just been created."""
        if not self.postgres.running:
            self.postgres.start()
            self._report(f"PostgreSQL is up: 127.0.0.1:{self.postgres.port}")
        for role in ("airflow", READER):
            self.postgres.createuser(role)
        self.postgres.createdb(DATABASE)
        return self.postgres.createdb("airflow", owner="airflow")

    def _load(self, films: int | None) -> None:
        loaded = self._generate(films) if films else prepare(self.dsn)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for grant in READER_GRANTS:
                connection.execute(grant.encode())
        if loaded:
            self._report(f"{loaded:,} films loaded into PostgreSQL")

    def _generate(self, films: int) -> int:
        try:
            generate(self.dsn, films, self._progress)
        except CatalogueError:
            raise CatalogueError(self.has_catalogue) from None
        return films

    def _start_api(self, *, fresh: bool) -> None:
        """Start Airflow's API and dag-processor, and wait until the API answers."""
        self.airflow.migrate(fresh=fresh)
        self.forget()
        self._go_on()
        self.airflow.start("dag-processor", "api-server")
        self.state.write(self._state_file)

        def answers() -> bool:
            self._go_on()
            self.airflow.check()
            return self.api().answers()

        wait_until(answers, seconds=180, what="Airflow's API answers")
        self._report(f"Airflow's web UI is up: {self.settings.url}")

    def _go_on(self) -> None:
        """Raise InterruptedError when another thread has failed or was interrupted."""
        if self._cancelled.is_set():
            msg = "the start was cancelled"
            raise InterruptedError(msg)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let only one process at a time start or stop parts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refresh()
            yield
