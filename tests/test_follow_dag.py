"""The task ``follow`` in the sync DAGs: there only where runs go on, and through Airflow."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.utils.session import create_session
from movies_etl.airflow import servers
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.registry import declared
from movies_etl.errors import SourceUnavailableError
from movies_etl.follow import hints, others
from movies_etl.follow import run as runs
from movies_etl.follow import spell as spells
from movies_etl.follow.hints import Hints
from movies_etl.follow.spell import Spell
from movies_etl.postgres import lock
from movies_etl.state.cursors import Cursor
from movies_etl.sync.counters import Counters
from sqlalchemy import func, inspect, select, table

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from tests.conftest import ROOT
from tests.support.following import PATIENCE, following
from tests.support.indices import each_index
from tests.support.site import Site
from tests.support.sync_dag import SyncDag
from tests.support.tasks import Tasks


def bag() -> dict[str, DAG]:
    found = DagBag(dag_folder=str(ROOT / "dags"))
    assert found.import_errors == {}
    return found.dags


def test_a_run_ends_with_its_last_stream_unless_it_is_to_go_on() -> None:
    dag = bag()[MOVIES.sync_dag]
    assert not dag.has_task("follow")
    assert dag.max_active_runs == 1


def test_a_run_that_goes_on_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_FOLLOW_SECONDS", "300")
    dags = bag()
    for definition in declared().values():
        dag = dags[definition.sync_dag]
        assert dag.max_active_runs == 4
        follow = dag.get_task("follow")
        assert follow.upstream_task_ids == {definition.streams[-1].name, "init"}
        assert follow.max_active_tis_per_dag == 4
        assert follow.retry_delay.total_seconds() == 0
        others = [task for task in dag.tasks if task is not follow]
        assert {task.max_active_tis_per_dag for task in others} == {1}
        assert dags[definition.reconcile_dag].max_active_runs == 1


def test_a_loss_of_postgres_is_waited_for_after_a_quiet_hour_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No document was read since it began, but it has looked for changes all the time."""
    monkeypatch.setattr(servers, "RECONNECT_PAUSE_SECONDS", 0)
    counters = Counters()
    attempts: list[int] = []

    def attempt() -> dict[str, int]:
        attempts.append(1)
        if len(attempts) > 1:
            return {}
        counters.looks += 1
        raise SourceUnavailableError("lost")

    assert servers.going_on(attempt, counters, patience=0) == {}
    attempts.clear()
    with pytest.raises(SourceUnavailableError):
        servers.going_on(attempt, Counters(), patience=0)  # counters that tell of no look


def rows_of_airflow() -> dict[str, int]:
    """Count the rows of each table of Airflow's own database."""
    with create_session() as session:
        tables = inspect(session.get_bind()).get_table_names()
        return {
            name: session.scalar(select(func.count()).select_from(table(name))) or 0
            for name in tables
        }


@pytest.mark.long
def test_airflow_keeps_as_much_of_an_hour_of_following_as_of_two_runs(
    sync_dag: SyncDag, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In simulated time, with a change per minute."""

    def growth() -> Counter[str]:
        before = rows_of_airflow()
        assert sync_dag.run().state == "success"
        return Counter(rows_of_airflow()) - Counter(before)

    clock = SimpleNamespace(now=1000.0, changes=0)
    clock.monotonic = lambda: clock.now

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 1000 + 60 * clock.changes:
            clock.changes += 1
            small.change(f"Change {clock.changes}")

    clock.sleep = sleep
    growth()
    ordinary = growth()
    assert ordinary["task_instance"] == 4
    monkeypatch.setenv("MOVIES_ETL_FOLLOW_SECONDS", "3600")
    monkeypatch.setenv("MOVIES_ETL_POLL_SECONDS", "30")
    for module in (runs, spells, others, hints):
        monkeypatch.setattr(module, "time", clock)
    followed = growth()
    assert clock.changes > 50
    assert followed["task_instance"] == 5
    # Airflow keeps these for thirty runs of a task, so an ordinary run may add none.
    ordinary["rendered_task_instance_fields"] = ordinary["task_instance"]
    # A DAG that has another task is written once more, by the first test that lets it follow.
    for name in ("dag_code", "dag_version", "serialized_dag"):
        ordinary[name] = len(declared())
    assert {
        name: rows for name, rows in followed.items() if rows > 2 * max(ordinary[name], 1)
    } == {}


@pytest.mark.long
@each_index
def test_through_airflow_it_follows_for_its_time_and_leaves_closed_cursors(
    sync_dag: SyncDag, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIES_ETL_FOLLOW_SECONDS", "1")
    site.add_small_catalogue()
    run = sync_dag.run()
    assert run.state == "success"
    assert run.states["follow"] == "success"
    assert run.results["follow"]["cycles"] >= 1
    assert run.results["follow"]["indexed"] == 0
    kept = sync_dag.variables()
    for stream in site.definition.streams:
        key = site.definition.cursor_variable(stream.name)
        assert not Cursor.from_json(kept[key][0], where=key).open
    site.assert_equal()


def test_a_scheduled_run_leaves_what_changed_to_the_task_that_follows(
    site: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each run would hold it up as often as it has tasks. A run by hand gets its turn.

    So does an ``init`` that has something to write.
    """
    site.fill(3)
    ports = postgres.port, elasticsearch_node.port
    tasks = Tasks(site, monkeypatch, ports, follow_seconds="60")
    tasks.run()
    root, *_, last = site.definition.streams
    monkeypatch.setattr(Hints, "look", lambda _: False)  # which would end a spell
    with following(site):
        context = tasks.init()

        def is_followed() -> bool:
            return lock.is_followed(site.source().server, context["uuid"])

        wait_until(is_followed, seconds=PATIENCE, what="a spell")
        spells: list[Spell] = []
        close = Spell.close

        def closed(spell: Spell) -> None:
            spells.append(spell)
            close(spell)

        monkeypatch.setattr(Spell, "close", closed)
        context = tasks.init_on_schedule()
        assert spells == []
        for stream in (root, last):
            result = tasks.sync_on_schedule(stream, context)
            assert (result["read"], spells) == (0, [])
        assert result["difference"] == 0
        tasks.sync(root, context)
        assert spells.pop()
        wait_until(is_followed, seconds=PATIENCE, what="the next spell")
        tasks.init()
        assert spells.pop()
        wait_until(is_followed, seconds=PATIENCE, what="another spell")
        site.client.indices.delete_index_template(name=site.definition.alias)
        tasks.init_on_schedule()
        assert spells.pop()
        assert site.client.indices.exists_index_template(name=site.definition.alias)
    site.change("After")
    assert tasks.sync_on_schedule(root, tasks.init())["indexed"] == 3


def test_where_no_run_goes_on_no_task_asks_whether_one_follows(
    site: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object) -> bool:
        raise AssertionError("each scheduled run would ask it three times in vain")

    monkeypatch.setattr("movies_etl.airflow.tasks.is_followed", asked)
    monkeypatch.setattr("movies_etl.airflow.tasks.prepare_beside", asked)
    site.fill(3)
    tasks = Tasks(site, monkeypatch, (postgres.port, elasticsearch_node.port))
    root, *_ = site.definition.streams
    assert tasks.sync_on_schedule(root, tasks.init_on_schedule())["indexed"] == 3
