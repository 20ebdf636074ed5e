"""``movies_sync`` by a real scheduler: triggered by hand and by another DAG, and on schedule."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from movies_etl.es.family import family

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from tests.conftest import DATA, ROOT
from tests.support.mailbox import Mailbox, mailbox
from tests.support.scheduled import NEVER, PATIENCE, Scheduled, running_airflow
from tests.support.site import Site

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


@pytest.fixture
def letterbox() -> Iterator[Mailbox]:
    with mailbox() as kept:
        yield kept


@pytest.fixture
def scheduled(
    site: Site,  # noqa: ARG001 - the database and the empty index are there before Airflow
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    letterbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scheduled]:
    """An Airflow that runs the DAG when it is triggered."""
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", NEVER)
    monkeypatch.setenv("MOVIES_ETL_RECONCILE_SCHEDULE", NEVER)
    home = DATA / "scheduler"
    shutil.rmtree(home, ignore_errors=True)
    dags = home / "checkout" / "dags"
    dags.mkdir(parents=True)
    (dags.parent / "plugins").symlink_to(ROOT / "plugins")
    for file in (ROOT / "dags").glob("*.py"):
        (dags / file.name).symlink_to(file)
    (dags / "import_films.py").write_text(IMPORT)
    connections: dict[str, dict[str, object]] = {
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
    }
    connections["smtp_default"] = letterbox.connection()
    more = {"MOVIES_ETL_ALERT_TO": "ops@example.org", "MOVIES_ETL_DEADLINE_MINUTES": "0.01"}
    with running_airflow(home, postgres, connections, checkout=dags.parent, more=more) as scheduled:
        yield scheduled


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_real_scheduler_runs_what_is_triggered_and_what_is_due_and_old_runs_are_forgotten(
    scheduled: Scheduled,
    small: Site,
    tmp_path: Path,
    letterbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = scheduled.trigger("first")
    assert first.state == "success"
    # No run is over within the half second that this Airflow allows.
    wait_until(lambda: bool(letterbox.mail), seconds=PATIENCE, what="mail of a late run")
    assert "Run first of movies_sync" in letterbox.texts()[0]
    small.assert_equal()
    assert scheduled.indexed(first) == [7, 0, 0]

    noted = str(tmp_path / "movies-etl-variables.json")
    for command in (
        ("export", noted),
        ("delete", "movies_etl.cursor.film_work"),
        ("import", noted),
    ):
        scheduled.call("variables", *command).check_returncode()
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
    assert sum(scheduled.indexed(due)) == 3  # by film_work while they are above its horizon

    # A moment that every part's heartbeat has passed: Airflow forgets the parts of older ones, too.
    assert waited_for.started
    scheduled.forget_before(waited_for.started)
    kept = {run.run_id for run in scheduled.api.runs()}
    assert {waited_for.run_id, due.run_id} <= kept
    assert not {"first", "second"} & kept
    assert due.run_id in scheduled.logged()
    assert not {"first", "second"} & scheduled.logged()
    assert scheduled.api.dag()

    small.execute("TRUNCATE content.film_work CASCADE")
    assert scheduled.trigger("found", "movies_reconcile").state == "success"
    asked = scheduled.asked("movies_purge")
    question = scheduled.answer("movies_purge", asked, "Approve")
    assert question == "Delete 7 of 7 films (100.0%) from movies?"
    assert scheduled.ended(asked, "movies_purge").state == "success"
    assert small.documents() == {}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_rebuild_goes_on_though_the_scheduler_is_killed_in_a_task_and_at_the_question(
    scheduled: Scheduled, small: Site
) -> None:
    """The task that is at work goes on, and the next scheduler starts those behind it."""
    assert scheduled.trigger("first").state == "success"
    (before,) = small.client.indices.get_alias(name="movies")
    dag, conf = "movies_reindex", '{"pause_before_swap": true}'
    command = ("dags", "trigger", dag, "--run-id", "rebuild", "--conf", conf)
    scheduled.call(*command).check_returncode()

    def is_made() -> bool:
        return len(family(small.client, small.definition)) > 1

    wait_until(is_made, seconds=PATIENCE, what="prepare makes the index")
    with psycopg.connect(small.dsn) as transaction:
        transaction.execute("LOCK TABLE content.film_work")

        def stands_still() -> bool:
            waiting = small.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND application_name LIKE 'movies_etl %%'"
            )
            return bool(waiting.fetchall())

        wait_until(stands_still, seconds=PATIENCE, what="a task is in the middle of its work")
        scheduled.kill_scheduler()
    asked = scheduled.asked(dag)
    scheduled.kill_scheduler()
    question = scheduled.answer(dag, asked, "Approve")
    assert question == "Give alias movies to the new index?"
    assert scheduled.ended("rebuild", dag).state == "success"
    (after,) = small.client.indices.get_alias(name="movies")
    assert after != before
    small.assert_equal()
