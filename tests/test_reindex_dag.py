"""The rebuild DAGs: wiring, form, and runs through Airflow."""

from __future__ import annotations

import os
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from movies_etl.airflow import trigger
from movies_etl.airflow.memory import remembered
from movies_etl.airflow.reindex_tasks import prepare_task
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError
from movies_etl.rebuild.plan import Asked

from tests.conftest import ROOT
from tests.support.approvals import answering
from tests.support.site import Site
from tests.support.sync_dag import SyncDag

TASKS = ["prepare", "split", "load", "check", "approve", "swap"]


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    found = DagBag(dag_folder=str(ROOT / "dags"))
    assert found.import_errors == {}
    return found.dags


def test_every_declared_index_has_its_rebuild_dag(dags: dict[str, DAG]) -> None:
    for definition in declared().values():
        dag = dags[definition.reindex_dag]
        assert [task.task_id for task in dag.topological_sort()] == TASKS  # type: ignore[no-untyped-call]
        assert (dag.max_active_runs, str(dag.schedule), dag.catchup) == (1, "None", False)
        names = ["shards", "checks", "pause_before_swap", "resume", "rollback", "take_over"]
        assert list(dag.params) == names


def test_several_ranges_are_loaded_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOVIES_ETL_REINDEX_TASKS", "20")
    dag = DagBag(dag_folder=str(ROOT / "dags")).dags["movies_reindex"]
    load = dag.get_task("load")
    assert (load.max_active_tis_per_dagrun, load.max_active_tis_per_dag) == (20, None)
    assert dag.max_active_tasks == 20


def test_a_long_outage_ends_no_rebuild_of_hours(dags: dict[str, DAG]) -> None:
    dag = dags["movies_reindex"]
    retries = {task: dag.get_task(task).retries for task in TASKS}
    assert {task: number for task, number in retries.items() if number == 10} == dict.fromkeys(
        ("load", "check", "swap"), 10
    )


def test_the_form_says_what_is_to_be_done(dags: dict[str, DAG]) -> None:
    of = dags["movies_reindex"].params.dump()
    assert trigger.to_rebuild(of) == Asked()
    assert trigger.to_rebuild(of | {"shards": 3, "checks": 5, "resume": True}) == Asked(
        shards=3, checks=5, resume=True
    )
    with pytest.raises(ConfigurationError, match="takes an index as it is"):
        trigger.to_rebuild(of | {"rollback": True, "shards": 3})


def test_a_misspelt_param_is_refused(dags: dict[str, DAG]) -> None:
    class Run:
        conf = {"shard": 3}  # noqa: RUF012 - as a run has it

    prepare = prepare_task(declared()["movies"]).function
    with pytest.raises(ConfigurationError, match="'shard', which movies_reindex does not know"):
        prepare({"shard": 3}, "test", dags["movies_reindex"], Run())


def reindex(dag: SyncDag, **conf: object) -> Any:
    """Run the rebuild DAG of the same index."""
    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    return DagBag(dag_folder=folder).dags[dag.definition.reindex_dag].test(run_conf=conf)


def states(run: Any) -> dict[str, str]:
    return {one.task_id: str(one.state) for one in run.get_task_instances()}


@pytest.mark.long
def test_a_rebuild_and_a_rollback_through_airflow(sync_dag: SyncDag, small: Site) -> None:
    first = reindex(sync_dag)
    assert (str(first.state), states(first)["prepare"]) == (
        "failed",
        "failed",
    )  # nothing to rebuild
    assert sync_dag.run().state == "success"
    (before,) = small.client.indices.get_alias(name="movies")

    with answering("movies_reindex", "Reject"):
        rejected = reindex(sync_dag, checks=50, shards=2, pause_before_swap=True)
    assert states(rejected) == dict.fromkeys(TASKS, "success") | {"swap": "skipped"}
    assert [*small.client.indices.get_alias(name="movies")] == [before]

    def unlink() -> None:
        """What the check cannot have seen."""
        small.execute("DELETE FROM content.person_film_work")

    with answering("movies_reindex", "Approve", before=unlink):
        rebuilt = reindex(sync_dag, resume=True, pause_before_swap=True)
    assert states(rebuilt) == dict.fromkeys(TASKS, "success")
    small.assert_equal()
    known = remembered(sync_dag.definition)  # as the page of operators tells it
    assert known.rebuild
    assert (known.rebuild.run.state, known.fed) == ("success", frozenset({before}))
    assert {(one.task, one.state, one.is_mapped) for one in known.rebuild.tasks} == {
        (task, "success", task == "load") for task in TASKS
    }
    (after,) = small.client.indices.get_alias(name="movies")
    assert after != before
    settings = small.client.indices.get_settings(index=after)[after]["settings"]["index"]
    assert settings["number_of_shards"] == "2"
    run = sync_dag.run()
    assert run.state == "success"
    assert run.counters("indexed") == [0, 0, 0]
    keys = set(sync_dag.variables())
    assert f"movies_etl.cursor.person.{before}" in keys
    assert not any(key.endswith(after) for key in keys)

    small.change("Changed")
    assert sync_dag.run().state == "success"
    back = reindex(sync_dag, rollback=True)
    assert states(back) == dict.fromkeys(TASKS, "success") | {"load": "skipped"}
    assert [*small.client.indices.get_alias(name="movies")] == [before]
    small.assert_equal()
