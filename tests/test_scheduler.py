"""``movies_sync`` by a real scheduler: triggered by hand and by another DAG, and on schedule."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from local.airflow import PARTS, PROGRAM, Airflow
from local.airflow_api import AirflowApi, Run
from local.airflow_cleaning import EVERY, KEPT, clean_when_due
from local.airflow_settings import AirflowSettings
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from local.rest import UnreachableError
from local.state import State
from tests.conftest import DATA, ROOT, free_port
from tests.support.site import Site

DATABASE = "airflow_test"
NEVER = "0 0 29 2 *"
"""Not since the DAG's start, and not before 2028."""

IMPORT = """
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

with DAG("import_films", schedule=None):
    TriggerDagRunOperator(
        task_id="sync",
        trigger_dag_id="movies_sync",
        conf={"page_size": 3},
        wait_for_completion=True,
        poke_interval=1,
    )
"""
"""A site's own DAG: it imports films, then waits until they are found."""

EVERY_MINUTE = "* * * * *"
STREAMS = ("film_work", "genre", "person")


class Scheduled:
    """An Airflow with a home of its own, whose dag-processor can be started anew by itself."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.settings = settings
        self.api = AirflowApi(settings.url, settings.password())
        self._states = State(), State()
        self._servers, self._processor = (Airflow(settings, state) for state in self._states)

    def start(self) -> None:
        self._servers.migrate(fresh=True)
        self._servers.start("api-server")
        self._processor.start("dag-processor")
        self._wait(self.api.answers, "the API answers")
        self._servers.start("scheduler", "triggerer")
        self._wait(lambda: self.api.healthy() and bool(self.api.dag()), "Airflow knows the DAG")
        self._wait(self._all_badges_are_green, "Airflow's home page has no red badge")

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
            timeout=60,
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
        assert len(known) == len(PARTS)
        assert [pid for process in known for pid in process.session()] == []

    def _all_badges_are_green(self) -> bool:
        return set(self.api.health().values()) == {"healthy"}

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            self._servers.check()
            self._processor.check()
            return condition()

        wait_until(holds, seconds=90, what=what)


@pytest.fixture
def scheduled(
    site: Site,  # noqa: ARG001 - the database and the empty index are there before Airflow
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scheduled]:
    """An Airflow that runs the DAG when it is triggered."""
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", NEVER)
    home = DATA / "scheduler"
    shutil.rmtree(home, ignore_errors=True)
    dags = home / "checkout" / "dags"
    dags.mkdir(parents=True)
    (dags.parent / "plugins").symlink_to(ROOT / "plugins")
    for file in (ROOT / "dags").glob("*.py"):
        (dags / file.name).symlink_to(file)
    (dags / "import_films.py").write_text(IMPORT)
    postgres.dropdb(DATABASE)
    postgres.createdb(DATABASE)
    settings = AirflowSettings(
        home=home,
        port=free_port(),
        database=f"postgresql+psycopg2://postgres@127.0.0.1:{postgres.port}/{DATABASE}",
        checkout=dags.parent,
        connections={
            "movies_postgres": {
                "conn_type": "postgres",
                "host": "127.0.0.1",
                "port": postgres.port,
                "login": "postgres",
                "schema": "movies",
            },
            "movies_elasticsearch": {
                "conn_type": "elasticsearch",
                "host": "127.0.0.1",
                "port": elasticsearch_node.port,
            },
        },
    )
    scheduled = Scheduled(settings)
    try:
        scheduled.start()
        yield scheduled
    finally:
        scheduled.stop()
        postgres.dropdb(DATABASE)


def test_a_real_scheduler_runs_what_is_triggered_and_what_is_due_and_old_runs_are_forgotten(
    scheduled: Scheduled, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scheduled.trigger("first")
    assert first.state == "success"
    small.assert_equal()
    assert scheduled.indexed(first) == [7, 0, 0]

    second = scheduled.trigger("second")
    assert second.state == "success"
    assert scheduled.indexed(second) == [0, 0, 0]
    assert [run.run_id for run in scheduled.api.runs()] == ["second", "first"]

    small.execute("UPDATE content.film_work SET title = 'Imported', modified = now()")
    assert scheduled.trigger("import", "import_films").state == "success"
    waited_for = scheduled.api.runs()[0]
    assert waited_for.state == "success"
    small.assert_equal()
    assert scheduled.indexed(waited_for) == [7, 0, 0]
    assert scheduled.api.result(waited_for.run_id, "film_work")["pages"] == 3

    backfill = ("--dag-id", "movies_sync", "--from-date", "2026-02-01", "--to-date", "2026-02-02")
    refused = scheduled.call("backfill", "create", *backfill)
    assert refused.returncode
    assert "does not allow backfill runs" in refused.stdout + refused.stderr
    assert len(scheduled.api.runs()) == 3

    small.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", EVERY_MINUTE)
    scheduled.parse_again()
    due = scheduled.ended("scheduled__")
    assert due.state == "success"
    assert scheduled.api.import_errors() == []
    small.assert_equal()
    assert scheduled.indexed(due) == [0, 3, 0]

    assert due.started
    scheduled.forget_before(due.started)
    kept = {run.run_id for run in scheduled.api.runs()}
    assert due.run_id in kept
    assert not {"first", "second"} & kept
    assert due.run_id in scheduled.logged()
    assert not {"first", "second"} & scheduled.logged()
    assert scheduled.api.dag()
