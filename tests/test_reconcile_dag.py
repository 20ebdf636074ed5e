"""The reconcile DAGs: wiring, form, and tasks as Airflow calls them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from movies_etl.airflow import reconcile_tasks
from movies_etl.airflow.reconcile_tasks import reconcile_task
from movies_etl.airflow.remembered import VariableReconcileStore
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError
from movies_etl.reconcile.run import TASKS
from movies_etl.reconcile.task import ReconcileTask

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import ROOT
from tests.support.rebuild import Rebuild
from tests.support.site import Site
from tests.support.tasks import Tasks

NAMES = ["presence", "touched", "contents"]


def bag() -> dict[str, DAG]:
    found = DagBag(dag_folder=str(ROOT / "dags"))
    assert found.import_errors == {}
    return found.dags


def test_every_declared_index_has_its_reconcile_dag() -> None:
    dags = bag()
    for definition in declared().values():
        dag = dags[definition.reconcile_dag]
        assert [task.task_id for task in dag.topological_sort()] == NAMES == list(TASKS)  # type: ignore[no-untyped-call]
        assert dag.get_task("presence").downstream_task_ids == {"touched"}
        assert dag.get_task("touched").downstream_task_ids == {"contents"}
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        assert str(dag.schedule) == "*/5 * * * *"
        assert list(dag.params) == ["full", "dry_run", "ids"]


@pytest.mark.parametrize(("setting", "schedule"), [("0 * * * *", "0 * * * *"), ("", None)])
def test_the_schedule_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, setting: str, schedule: str | None
) -> None:
    monkeypatch.setenv("MOVIES_ETL_RECONCILE_SCHEDULE", setting)
    assert str(bag()["movies_reconcile"].schedule) == str(schedule)


class Reconciles:
    """The tasks of a reconcile over a test's servers."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = site
        monkeypatch.setattr(reconcile_tasks, "VariableCursorStore", lambda _: site.cursors)
        monkeypatch.setattr(reconcile_tasks, "VariableReconcileStore", lambda _: site.reconciled)
        monkeypatch.setattr(reconcile_tasks, "spare_the_collector", lambda: None)

    def run(self, **params: object) -> dict[str, dict[str, Any]]:
        """Do what a run of the DAG does; return the tasks' results."""
        definition = self._site.definition
        return {name: reconcile_task(definition, name).function(params, "test") for name in NAMES}


@pytest.fixture
def reconciles(
    small: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Reconciles:
    """The tasks beside those of the sync, before its first run."""
    Tasks(small, monkeypatch, (postgres.port, elasticsearch_node.port))
    return Reconciles(small, monkeypatch)


def test_before_the_first_load_there_is_nothing_to_do(reconciles: Reconciles) -> None:
    for result in reconciles.run().values():
        assert set(result.values()) == {0, None}


def test_a_run_corrects_what_a_form_asked_for(reconciles: Reconciles, small: Site) -> None:
    small.run()
    small.reconnect()  # its session has the lock
    reconciles.run()
    film, other, *_ = sorted(small.documents())
    small.execute("DELETE FROM content.film_work WHERE id = %s", film)
    small.execute("UPDATE content.film_work SET title = 'Changed' WHERE id = %s", other)
    told = reconciles.run(dry_run=True)
    assert (told["presence"]["surplus"], told["touched"]["different"]) == (1, 1)
    assert film in small.documents()
    results = reconciles.run(ids=[f" {film} ", ""])
    assert (results["presence"]["looked_at"], results["presence"]["deleted"]) == (1, 1)
    results = reconciles.run(full=True)
    assert (results["touched"]["repaired"], results["contents"]["looked_at"]) == (1, 6)
    assert results["contents"]["verified_age_seconds"] is not None
    small.assert_equal()


def test_a_task_under_which_a_rebuild_moves_the_alias_ends_without_an_error(
    reconciles: Reconciles, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.run()
    small.reconnect()
    film, *_ = sorted(small.documents())

    def meanwhile(_: ReconcileTask) -> None:
        Rebuild(small).run()
        small.execute("DELETE FROM content.film_work WHERE id = %s", film)

    with monkeypatch.context() as patches:
        patches.setitem(TASKS, "presence", (meanwhile, *TASKS["presence"]))
        assert reconciles.run()["presence"]["deleted"] == 0
    assert reconciles.run()["presence"]["deleted"] == 1
    small.assert_equal()


@pytest.mark.usefixtures("reconciles")
def test_a_misspelt_param_is_refused() -> None:
    class Run:
        conf = {"fill": True}  # noqa: RUF012 - as a run has it

    presence = reconcile_task(declared()["movies"], "presence").function
    with pytest.raises(ConfigurationError, match="does not know"):
        presence({"fill": True}, "test", bag()["movies_reconcile"], Run())


def test_what_is_remembered_lies_in_a_variable(
    reconciles: Reconciles, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, str] = {}

    class Variable:
        @staticmethod
        def keys(prefix: str) -> list[str]:
            return [key for key in kept if key.startswith(prefix)]

        @staticmethod
        def get(key: str) -> str:
            return kept[key]

        @staticmethod
        def set(key: str, value: str, description: str) -> None:
            assert description
            kept[key] = value

    small.run()
    small.reconnect()
    reconciles.run()
    for module in ("variables", "remembered"):
        monkeypatch.setattr(f"movies_etl.airflow.{module}.Variable", Variable)
    store = VariableReconcileStore(small.definition)
    assert store.load() is None
    state = small.reconciled.load()
    assert state
    store.save(state)
    assert list(kept) == ["movies_etl.reconcile"]
    assert store.load() == state
    kept["movies_etl.reconcile"] = "{}"
    assert store.load() is None
