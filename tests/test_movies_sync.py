"""The DAG ``movies_sync`` through Airflow: connections, params, Variables, results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from airflow.models.connection import Connection
from airflow.models.crypto import get_fernet
from airflow.sdk.exceptions import ParamValidationError
from airflow.utils.session import create_session
from cryptography.fernet import Fernet
from movies_etl import __version__
from movies_etl.airflow import tasks as airflow_tasks
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres import lock
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from sqlalchemy import delete

from tests.support.site import Site
from tests.support.sync_dag import Run, SyncDag

AIRFLOW = Path(sys.executable).with_name("airflow")
TASKS = ("init", "film_work", "genre", "person")
CURSORS = tuple(f"movies_etl.cursor.{stream}" for stream in TASKS[1:])
COUNTERS = {"read", "indexed", "unchanged", "conflicts", "refused", "pages", "seconds"}


@pytest.fixture
def movies_sync(sync_dag: SyncDag) -> SyncDag:
    """The DAG, with its connections and without cursors."""
    return sync_dag


@pytest.fixture
def after_first_run(movies_sync: SyncDag, small: Site) -> Run:
    run = movies_sync.run()
    assert run.state == "success"
    small.assert_equal()
    return run


def test_the_first_run_loads_everything_and_leaves_its_cursors(
    movies_sync: SyncDag, after_first_run: Run
) -> None:
    assert after_first_run.states == dict.fromkeys(TASKS, "success")
    assert after_first_run.counters("indexed") == [7, 0, 0]
    assert after_first_run.counters("read") == [7, 0, 0]
    for task in TASKS[1:]:
        assert after_first_run.results[task].keys() >= COUNTERS
    variables = movies_sync.variables()
    assert variables.keys() >= {*CURSORS, "movies_etl.horizon"}
    context = after_first_run.results["init"]
    assert context["program"] == __version__
    for name in CURSORS:
        value, description = variables[name]
        cursor = json.loads(value)
        assert cursor.keys() >= {
            *("index", "database", "rows", "links", "fan_out"),
            *("tail", "horizon", "version", "open"),
        }
        assert cursor["index"] == context["uuid"]
        assert cursor["database"]["name"] == "movies"
        assert cursor["horizon"] == context["horizon"]
        assert cursor["rows"]["modified"] == "2020-01-01T00:00:00.000000+00:00"
        assert cursor["open"] is False
        assert cursor["fan_out"] is None
        assert name.rpartition(".")[2] in description
        assert "Delete it to load" in description
    for name in CURSORS[1:]:
        cursor = json.loads(variables[name][0])
        assert cursor["links"]["created"] == "2020-01-01T00:00:00.000000+00:00"
    horizon, description = variables["movies_etl.horizon"]
    assert horizon == context["horizon"]
    assert description
    difference, description = variables["movies_etl.difference"]
    compared = json.loads(difference)
    assert {"difference": 0, "rows": 7, "at": context["m2m_start"]}.items() <= compared.items()
    assert description


@pytest.mark.usefixtures("after_first_run")
def test_the_second_run_sends_nothing(movies_sync: SyncDag, small: Site) -> None:
    versions = small.versions()
    before = movies_sync.variables()
    run = movies_sync.run()
    assert run.states == dict.fromkeys(TASKS, "success")
    assert run.counters("indexed") == run.counters("read") == [0, 0, 0]
    assert small.versions() == versions
    after = movies_sync.variables()
    assert after["movies_etl.horizon"] > before["movies_etl.horizon"]
    for name in CURSORS:
        assert json.loads(after[name][0])["rows"] == json.loads(before[name][0])["rows"]
        assert after[name][1] == before[name][1]  # a write without description would erase it


@pytest.mark.usefixtures("after_first_run")
def test_a_changed_film_genre_and_person_arrive(movies_sync: SyncDag, small: Site) -> None:
    small.execute(
        "UPDATE content.film_work SET rating = 9.9, modified = now() WHERE title = 'Film 1'"
    )
    small.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    small.execute(
        "UPDATE content.person SET full_name = 'Zoe', modified = now() WHERE full_name = 'Cy'"
    )
    run = movies_sync.run()
    assert run.state == "success"
    small.assert_equal()
    assert run.counters("indexed") == [1, 3, 1]  # of Cy's two films the genre brought one


@pytest.mark.long
@pytest.mark.usefixtures("after_first_run")
def test_reload_ids_and_page_size_are_taken_from_the_trigger_form(
    movies_sync: SyncDag, small: Site
) -> None:
    films = sorted(small.versions())
    run = movies_sync.run({"reload": "all", "page_size": 2})
    assert run.counters("indexed") == [7, 0, 0]
    assert run.counters("pages") == [3, 0, 0]  # of 2, of twice as many, and the last film
    run = movies_sync.run({"reload": "genre"})
    assert run.counters("indexed") == [0, 6, 0]
    versions = small.versions()
    run = movies_sync.run({"ids": films[:2]})
    assert run.counters("indexed") == [2, 0, 0]
    after = small.versions()
    assert {film for film in films if after[film] > versions[film]} == set(films[:2])
    small.assert_equal()


@pytest.mark.long
@pytest.mark.usefixtures("after_first_run")
def test_dead_letters_are_replayed(movies_sync: SyncDag, small: Site) -> None:
    film = small.add_film("Bad", rating="NaN", modified="now()")
    run = movies_sync.run()
    assert run.state == "success"
    assert run.counters("refused") == [1, 0, 0]
    assert small.letters().keys() == {film}
    small.execute("UPDATE content.film_work SET rating = 1, modified = %s", "2000-01-01")
    run = movies_sync.run({"replay": ["all"]})
    assert run.counters("indexed") == [1, 0, 0]
    assert small.letters() == {}


@pytest.mark.long
@pytest.mark.usefixtures("after_first_run")
def test_a_task_tried_by_hand_beside_a_running_one_is_told_so(
    movies_sync: SyncDag, small: Site
) -> None:
    before = movies_sync.variables()
    name = "movies_etl film_work scheduled__1"
    with psycopg.connect(small.dsn, autocommit=True, application_name=name) as running:
        source = Source.opened(running, MOVIES, Settings())
        lock.take(source.server, "movies", wait=5)
        tried = subprocess.run(
            [AIRFLOW, "tasks", "test", "movies_sync", "init", "2026-01-01"],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        pid = running.info.backend_pid
    assert f"Another task writes to this index: {name} (pid {pid}" in tried.stdout + tried.stderr
    assert movies_sync.variables() == before


def test_an_init_that_fails_leaves_nothing_and_is_not_tried_again(
    movies_sync: SyncDag,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "movies"}
    monkeypatch.setenv("AIRFLOW_CONN_MOVIES_POSTGRES", json.dumps(connection))
    monkeypatch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 0.3)
    run = movies_sync.run()
    assert run.state == "failed"
    assert run.states == {"init": "failed"} | dict.fromkeys(TASKS[1:], "upstream_failed")
    assert run.tries["init"] == 1
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [one.partition(":")[0] for one in told] == [
        "PostgreSQL (connection movies_postgres) cannot be reached"
    ]
    said_by_airflow = capsys.readouterr().out
    assert "Task exited" in said_by_airflow
    assert "cannot be reached" not in said_by_airflow  # as it would be with a traceback
    assert movies_sync.variables() == {}
    assert not site.client.indices.get(index="movies*")


@pytest.mark.parametrize(
    "conf",
    [
        {"reload": "everything"},
        {"page_size": 0},
        {"page_size": 10_001},
        {"ids": "one"},
        {"replay": [7]},
    ],
)
def test_params_that_are_not_valid_are_refused(
    movies_sync: SyncDag, conf: dict[str, object]
) -> None:
    with pytest.raises(ParamValidationError, match=next(iter(conf))):
        movies_sync.run(conf)
    assert movies_sync.variables() == {}


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        (
            {"id": ["x"], "reload": "all"},
            (
                "This run was triggered with 'id', which movies_sync does not know. Its params are "
                "reload, ids, replay, page_size. Nothing was done; trigger again."
            ),
        ),
        (
            {"ids": ["", "tt1"], "replay": ["tt2"]},
            (
                "No film can have the id 'tt1', 'tt2': an id of this catalogue is a UUID. "
                "Nothing was done; correct the params ids and replay, and trigger again."
            ),
        ),
    ],
)
def test_a_run_that_asks_for_what_there_is_not_does_nothing_and_says_why(
    movies_sync: SyncDag,
    small: Site,
    caplog: pytest.LogCaptureFixture,
    conf: dict[str, object],
    said: str,
) -> None:
    run = movies_sync.run(conf)
    assert run.states == {"init": "failed"} | dict.fromkeys(TASKS[1:], "upstream_failed")
    assert run.tries["init"] == 1
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [said]
    assert movies_sync.variables() == {}
    assert not small.client.indices.get(index="movies*")


@pytest.mark.usefixtures("after_first_run")
def test_blank_lines_say_nothing_and_ids_that_there_are_not_are_in_the_result(
    movies_sync: SyncDag, small: Site
) -> None:
    film, gone = min(small.versions()), str(uuid4())
    run = movies_sync.run({"ids": [film, gone, "", " "], "replay": [""]})
    assert run.state == "success"
    assert run.counters("indexed") == [1, 0, 0]
    assert run.results["film_work"]["unknown"] == [gone]
    assert "unknown" not in run.results["genre"]


@pytest.fixture
def replace_fernet_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """What somebody does who gives Airflow a new key and forgets the old one."""

    def replace() -> None:
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        get_fernet.cache_clear()

    yield replace
    monkeypatch.undo()
    get_fernet.cache_clear()


def told_by_init(run: Run, caplog: pytest.LogCaptureFixture) -> str:
    """Return what a run's first task failed with."""
    assert run.states["init"] == "failed"
    assert run.tries["init"] == 1
    (said,) = [
        one.getMessage() for one in caplog.records if one.name == "movies_etl.airflow.failures"
    ]
    return said


@pytest.mark.usefixtures("after_first_run")
def test_cursors_that_cannot_be_decrypted_are_told_and_what_is_recommended_helps(
    movies_sync: SyncDag,
    small: Site,
    replace_fernet_key: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    replace_fernet_key()
    versions = small.versions()
    said = told_by_init(movies_sync.run(), caplog)
    assert said.startswith("Variable movies_etl.cursor.film_work exists, but Airflow cannot read")
    assert "another Fernet key" in said
    assert "delete the Variables movies_etl.*: everything is loaded again" in said
    assert small.versions() == versions
    movies_sync.forget()
    assert movies_sync.run().counters("indexed") == [7, 0, 0]


def test_a_connection_that_cannot_be_decrypted_is_told_as_one_that_may_be_there(
    movies_sync: SyncDag,
    replace_fernet_key: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_MOVIES_POSTGRES")
    saved = Connection("movies_postgres", "postgres", host="127.0.0.1", extra='{"password": "x"}')
    with create_session() as session:
        session.add(saved)
    try:
        replace_fernet_key()
        said = told_by_init(movies_sync.run(), caplog)
    finally:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == "movies_postgres"))
    assert "Airflow has no connection movies_postgres" in said
    assert "If it is listed there, it was saved with another Fernet key" in said
