"""The whole local stack: which parts, where, on which ports, in which order they start and stop."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.airflow import Airflow
from local.airflow_api import DAG, AirflowApi
from local.airflow_cleaning import KEPT, CleaningError, clean_when_due
from local.airflow_settings import AirflowSettings
from local.elasticsearch import Elasticsearch
from local.files import CHECKOUT
from local.postgres import Postgres
from local.processes import wait_until
from local.reader import DATABASE, connections
from local.starting import Starting
from local.state import DEFAULT_PORTS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.catalogue import Progress


class Stack:
    """PostgreSQL, Elasticsearch and Airflow of one checkout, with their data in `.local/`.

    :param report: called with a short line for each step that is done.
    :param checkout: folder of the project.
    :param progress: called with how far the generation of a catalogue is.
    """

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
            connections=connections(
                postgres=ports["postgres"], elasticsearch=ports["elasticsearch"]
            ),
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

    def api(self, dag: str = DAG) -> AirflowApi:
        """Return Airflow's REST API, for questions about a DAG."""
        return AirflowApi(self.settings.url, self.settings.password(), dag)

    def forget(self) -> None:
        """Remove Airflow's old runs and logs when that is due; nothing depends on its success."""
        try:
            if clean_when_due(self.settings):
                self._report(f"runs and logs of more than {KEPT.days} days ago are removed")
        except CleaningError as error:
            self._report(str(error))

    def remember(self) -> None:
        """Write down ports and processes, for other commands."""
        self.state.write(self._state_file)

    def keep(self, how: str) -> None:
        """Remember what keeps the stack up: "run", this process until its end, or "up"."""
        self.state.kept = how
        if how == "run":
            self.state.note("run", os.getpid())
        self.remember()

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
            try:
                Starting(self, self._report, self._progress, films).run()
            except BaseException:
                self._stop(patience=0)
                raise
            self.remember()

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

        The cache stays, and so does what others keep in `.local/`: their servers may be running.
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
        self.remember()
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
        self.remember()
        self._connect()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let only one process at a time start or stop parts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refresh()
            yield
