"""docker-compose.yaml as it is: it comes up, loads, and recovers from what befalls its parts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.containers.faults import TAKEN_UP, rename_persons
from tests.containers.stack import PATIENCE, Stack, grow, running, wait_until

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("images")]

STAYING = {
    "postgres",
    "elasticsearch",
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-cleaner",
}
FILMS = 17_472
COPIES = 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(Stack(tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def large(stack: Stack) -> Stack:
    """The stack with so many films that their load takes a while."""
    with stack.catalogue() as catalogue:
        grow(catalogue, COPIES)
    return stack


def test_it_comes_up_healthy_and_the_first_run_loads_every_film(stack: Stack) -> None:
    states = stack.services()
    assert {name: states[name] for name in STAYING} == dict.fromkeys(STAYING, "running healthy")
    assert {states[name] for name in states.keys() - STAYING} == {"exited"}
    stack.synced()
    assert stack.assert_equal() >= FILMS


def test_a_run_by_the_command_line_sends_what_changed(stack: Stack) -> None:
    stack.quiet()
    with stack.catalogue() as catalogue:
        film = catalogue.add_film(f"Added at {time.time()}", modified="now")
    stack.execute("airflow-scheduler", "airflow", "dags", "trigger", "movies_sync")
    stack.synced()
    with stack.elasticsearch() as client:
        assert client.exists(index="movies", id=film)


def test_services_restarted_in_turn_under_a_load_lose_nothing(large: Stack) -> None:
    left = sorted(STAYING - {"airflow-scheduler"}, reverse=True)
    while left:
        load = large.load()
        before = load.position()
        while left and load.is_under_way():
            large.compose("restart", left.pop())
            rename_persons(large)
        load.recovers(before)
    large.assert_equal()


def test_a_restarted_scheduler_first_waits_for_its_tasks(large: Stack) -> None:
    load = large.load()
    before = load.position()
    large.compose("restart", "airflow-scheduler")
    rename_persons(large)
    load.recovers(before)
    large.assert_equal()


def test_the_tasks_of_a_killed_scheduler_go_on_after_a_minute_or_two(large: Stack) -> None:
    load = large.load()
    before = load.position()
    large.compose("kill", "airflow-scheduler")
    rename_persons(large)
    large.up("airflow-scheduler")
    wait_until(lambda: load.attempt() == 2, what="the next attempt", seconds=TAKEN_UP)
    load.recovers(before)
    large.assert_equal()


def test_elasticsearch_away_for_a_minute_is_waited_for(large: Stack) -> None:
    load = large.load()
    before = load.position()
    large.compose("stop", "elasticsearch")
    rename_persons(large)
    time.sleep(60)  # the length of the outage is what is tested
    large.compose("start", "elasticsearch")
    load.recovers(before)
    assert load.attempt() == 1
    large.assert_equal()


def test_down_and_up_keep_cursors_and_documents(large: Stack) -> None:
    load = large.load()
    before = load.position()
    large.compose("down")
    large.up()
    load.recovers(before)
    large.assert_equal()
    large.quiet()
    run = large.airflow.trigger({})
    wait_until(lambda: large.airflow.state(run) == "success", what=f"{run} succeeds")
    assert large.airflow.result(run, "film_work")["indexed"] == 0


def test_the_cleaner_removes_what_is_older_than_a_week(stack: Stack) -> None:
    old, young = "/opt/airflow/logs/old/a.log", "/opt/airflow/logs/young.log"
    plant = f"mkdir -p /opt/airflow/logs/old; touch {young}; touch --date='8 days ago' {old}"
    stack.execute("airflow-cleaner", "sh", "-c", plant)
    event = f"planted {time.time()}"
    query = "SELECT count(*) FROM log WHERE event = %s"
    password = stack.secrets["AIRFLOW_POSTGRES_PASSWORD"]
    database = f"postgresql://airflow:{password}@127.0.0.1:{stack.ports['POSTGRES']}/airflow"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO log (dttm, event) VALUES (now() - interval '8 days', %s), (now(), %s)",
            [event, event],
        )
        stack.compose("restart", "airflow-cleaner")

        def cleaned() -> bool:
            return connection.execute(query, [event]).fetchone() == (1,)

        wait_until(cleaned, what="the old row is gone", seconds=PATIENCE)
    stack.up()
    left = stack.execute("airflow-cleaner", "find", "/opt/airflow/logs", "-name", "*.log")
    assert old not in left.split()
    assert young in left.split()


def test_no_secret_is_in_the_logs(stack: Stack) -> None:
    stack.synced()
    printed = stack.logs()
    assert "movies_sync" in printed
    assert [name for name, secret in stack.secrets.items() if secret in printed] == []


def test_every_container_has_bounded_logs_and_loopback_ports(stack: Stack) -> None:
    for container in stack.containers():
        config = container["HostConfig"]
        assert config["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}, container["Name"]
        bindings = [b for found in (config["PortBindings"] or {}).values() for b in found]
        assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1"}, container["Name"]
