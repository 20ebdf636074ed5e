"""A real Airflow for tests, with all of its parts."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from local.airflow import PARTS, PROGRAM, Airflow
from local.airflow_api import AirflowApi, Run
from local.airflow_cleaning import EVERY, KEPT, clean_when_due
from local.airflow_settings import AirflowSettings
from local.postgres import Postgres
from local.processes import kill, wait_until
from local.rest import UnreachableError
from local.state import Known, State
from tests.support.servers import ROOT, free_port

DATABASE = "airflow_test"
NEVER = "0 0 29 2 *"
"""Not since the DAG's start, and not before 2028."""

STREAMS = ("film_work", "genre", "person")

PATIENCE = 600.0
"""Seconds that a very busy machine may take for what is waited for."""


@dataclass(frozen=True)
class Settings(AirflowSettings):
    """The local stack's settings, and some on top."""

    more: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        return super().variables() | dict(self.more)


class Scheduled:
    """An Airflow with a home of its own, whose dag-processor can be started anew by itself."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.settings = settings
        self.api = AirflowApi(settings.url, settings.password())
        self._states = State(), State()
        self._killed: list[Known] = []
        self._servers, self._processor = (Airflow(settings, state) for state in self._states)

    def start(self) -> None:
        self._servers.migrate(fresh=True)
        self._servers.start("api-server")
        self._processor.start("dag-processor")
        self._wait(self.api.answers, "the API answers")
        self._servers.start(*(part for part in PARTS if part != "dag-processor"))
        self._wait(lambda: self.api.healthy() and bool(self.api.dag()), "Airflow knows the DAG")
        self._wait(self._all_badges_are_green, "Airflow's home page has no red badge")

    def kill_scheduler(self) -> None:
        """Kill the scheduler, but not the tasks that it has started, and start another one."""
        known = self._states[0].processes["scheduler"]
        self._killed.append(known)
        os.kill(known.pid, signal.SIGKILL)
        wait_until(lambda: not self._states[0].alive("scheduler"), seconds=10, what="it is gone")
        self._servers.start("scheduler")

    def parse_again(self) -> None:
        """Let the DAG's file be read in the present environment."""
        self._processor.stop()
        self._processor.start("dag-processor")

    def trigger(self, run_id: str, dag: str = "movies_sync") -> Run:
        """Trigger a DAG on the command line; return the run when it has ended."""
        self.call("dags", "trigger", dag, "--run-id", run_id).check_returncode()
        return self.ended(run_id, dag)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Call ``airflow``."""
        return subprocess.run(
            [PROGRAM, *command],
            env=self.settings.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def ended(self, prefix: str, dag: str = "movies_sync") -> Run:
        """Wait until a run with an id of this beginning has ended."""
        api = AirflowApi(self.settings.url, self.settings.password(), dag)

        def found() -> list[Run]:
            try:
                runs = api.runs()
            except UnreachableError:  # busy
                return []
            return [run for run in runs if run.run_id.startswith(prefix) and run.finished]

        ended: list[Run] = []

        def has_ended() -> bool:
            ended.extend(found())
            return bool(ended)

        self._wait(has_ended, f"run {prefix} ends")
        return ended[0]

    def asked(self, dag: str) -> str:
        """Wait until a run of a DAG waits for a person; return its id."""
        found: list[str] = []

        def waits() -> bool:
            try:
                details = self._hitl(dag, "~")
            except UnreachableError:  # busy
                return False
            found.extend(one["task_instance"]["dag_run_id"] for one in details)
            return bool(found)

        self._wait(waits, f"{dag} asks")
        return found[0]

    def answer(self, dag: str, run_id: str, option: str) -> str:
        """Answer the question of a run; return what it was."""
        (detail,) = self._hitl(dag, run_id)
        task = detail["task_instance"]["task_id"]
        run = urllib.parse.quote(run_id, safe="")
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails"
        self.api._call("PATCH", path, {"chosen_options": [option], "params_input": {}})
        return str(detail["subject"])

    def _hitl(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        run = urllib.parse.quote(run_id, safe="~")
        answer = self.api._call("GET", f"dags/{dag}/dagRuns/{run}/hitlDetails")
        return [*answer["hitl_details"]]

    def indexed(self, run: Run) -> list[int]:
        return [self.api.result(run.run_id, stream)["indexed"] for stream in STREAMS]

    def logged(self) -> set[str]:
        """Return the runs that have logs."""
        folders = (self.settings.home / "logs" / "dag_id=movies_sync").iterdir()
        return {folder.name.removeprefix("run_id=") for folder in folders}

    def forget_before(self, moment: datetime) -> None:
        """Clean up as on the day when everything before the moment is too old."""
        assert {"first", "second"} <= self.logged()
        assert not clean_when_due(self.settings, moment)  # the first time it has just been made
        assert not clean_when_due(self.settings, moment + EVERY / 2)
        assert clean_when_due(self.settings, moment + KEPT)
        assert not clean_when_due(self.settings, moment + KEPT)

    def stop(self) -> None:
        known = [process for state in self._states for process in state.processes.values()]
        self._servers.stop(patience=10)
        self._processor.stop(patience=10)
        for scheduler in self._killed:
            kill(scheduler.session())
        assert len(known) == len(PARTS)
        assert [pid for process in known for pid in process.session()] == []

    def check(self) -> None:
        """Raise AirflowError when a part has ended."""
        self._servers.check()
        self._processor.check()

    def _all_badges_are_green(self) -> bool:
        return set(self.api.health().values()) == {"healthy"}

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            self.check()
            try:
                return condition()
            except UnreachableError:  # of a busy machine; a part that has died was found above
                return False

        wait_until(holds, seconds=PATIENCE, what=what)


@contextmanager
def running_airflow(
    home: Path,
    postgres: Postgres,
    connections: Mapping[str, Mapping[str, object]],
    *,
    checkout: Path = ROOT,
    more: Mapping[str, str] | None = None,
) -> Iterator[Scheduled]:
    """Run an Airflow whose own database is on this server.

    :param home: its folder; what is in it stays.
    :param checkout: the folder with `dags/` and `plugins/`.
    :param more: environment variables of Airflow on top of the local stack's.
    """
    postgres.dropdb(DATABASE)
    postgres.createdb(DATABASE)
    scheduled = Scheduled(
        Settings(
            home=home,
            port=free_port(),
            database=f"postgresql+psycopg2://postgres@127.0.0.1:{postgres.port}/{DATABASE}",
            checkout=checkout,
            connections=connections,
            more=more or {},
        )
    )
    try:
        scheduled.start()
        yield scheduled
    finally:
        scheduled.stop()
        postgres.dropdb(DATABASE)
