"""The task ``follow`` in the sync DAGs: there only where runs go on, and through Airflow."""

from __future__ import annotations

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from movies_etl.airflow import servers
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.registry import declared
from movies_etl.errors import SourceUnavailableError
from movies_etl.state.cursors import Cursor
from movies_etl.sync.counters import Counters

from tests.conftest import ROOT
from tests.support.indices import each_index
from tests.support.site import Site
from tests.support.sync_dag import SyncDag


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
        assert dag.max_active_runs == 3
        follow = dag.get_task("follow")
        assert follow.upstream_task_ids == {definition.streams[-1].name, "init"}
        assert follow.max_active_tis_per_dag == 3
        assert follow.retry_delay.total_seconds() == 1
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
