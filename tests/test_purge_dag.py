"""The purge DAGs: wiring, what their tasks hand on, and whom they let answer."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from movies_etl.airflow import reconcile_tasks
from movies_etl.airflow.purge_tasks import ANSWER, find_task, purge_task, remember_task
from movies_etl.airflow.questions import fuse_asset
from movies_etl.airflow.reconcile_tasks import reconcile_task
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import ROOT
from tests.support.approvals import answered_by_nobody
from tests.support.site import Site
from tests.support.sync_dag import SyncDag
from tests.support.tasks import Tasks

NAMES = ["find", "approve", "purge", "remember"]


def bag() -> dict[str, DAG]:
    found = DagBag(dag_folder=str(ROOT / "dags"))
    assert found.import_errors == {}
    return found.dags


def approval_of(dag: DAG) -> ApprovalOperator:
    found = dag.get_task("approve")
    assert isinstance(found, ApprovalOperator)
    return found


def test_every_declared_index_has_its_purge_dag() -> None:
    dags = bag()
    for definition in declared().values():
        dag = dags[definition.purge_dag]
        assert [task.task_id for task in dag.topological_sort()] == NAMES  # type: ignore[no-untyped-call]
        assert list(dag.params) == ["digest"]
        assert "asset_triggered" in {
            getattr(one, "value", None) for one in dag.allowed_run_types or ()
        }
        approve = approval_of(dag)
        # What follows it directly is skipped by a refusal, and the refusal would be forgotten.
        assert approve.downstream_task_ids == {"purge"}
        assert dag.get_task("purge").downstream_task_ids == {"remember"}
        assert (approve.options, approve.defaults) == (["Approve", "Reject"], ["Reject"])
        assert approve.response_timeout == timedelta(hours=24)
        assert approve.assigned_users is None
        assert approve.fail_on_reject is False


def test_a_purge_runs_when_a_task_of_the_reconcile_or_the_last_one_of_a_sync_finds_a_list() -> None:
    dags = bag()
    for definition in declared().values():
        asset = fuse_asset(definition)
        assert dags[definition.purge_dag].timetable.asset_condition == asset
        for task in dags[definition.reconcile_dag].tasks:
            assert [one.name for one in task.outlets] == [definition.fuse_lists]
        last = dags[definition.sync_dag].get_task(definition.streams[-1].name)
        assert definition.fuse_lists in [one.name for one in last.outlets]


def test_settings_say_who_answers_and_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_APPROVERS", "ann, bob")
    monkeypatch.setenv("MOVIES_ETL_APPROVAL_HOURS", "1.5")
    approve = approval_of(bag()["movies_purge"])
    assert [one["id"] for one in approve.assigned_users or ()] == ["ann", "bob"]
    assert approve.response_timeout == timedelta(minutes=90)


class Answered:
    """A task instance that knows what a person answered.

    :param option: None where nobody was asked.
    """

    def __init__(self, option: str | None) -> None:
        user = {"id": "1", "name": "Ann"}
        self._answer = option and {"chosen_options": [option], "responded_by_user": user}

    def xcom_pull(self, task_ids: str, key: str) -> object:
        assert (task_ids, key) == ("approve", ANSWER)
        return self._answer


class Purges:
    """The tasks of a purge over a test's servers."""

    def __init__(self, site: Site) -> None:
        self._definition = site.definition

    def find(self, **params: object) -> dict[str, Any]:
        found: dict[str, Any] = find_task(self._definition).function(params, "test")
        return found

    def answer(self, found: dict[str, Any], option: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Carry an answer out, and keep it; return the tasks' results, {} of one skipped."""
        given = {"chosen_options": [option], "responded_by_user": {"id": "1", "name": "Ann"}}
        try:
            done = purge_task(self._definition).function(found, given, "test")
        except AirflowSkipException:
            done = {}
        kept = remember_task(self._definition).function(found, "test", Answered(option))
        return done, kept


class Events(dict[object, Any]):
    """What a task adds to the events of its outlets."""

    def __missing__(self, alias: object) -> Events:
        self[alias] = Events()
        return self[alias]  # type: ignore[no-any-return]

    def add(self, asset: object) -> None:
        self["added"] = asset


@pytest.fixture
def purges(
    small: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Purges:
    """The tasks; every film is gone, and a run of the sync has found it."""
    Tasks(small, monkeypatch, (postgres.port, elasticsearch_node.port))
    monkeypatch.setattr(reconcile_tasks, "VariableCursorStore", lambda _: small.cursors)
    monkeypatch.setattr(reconcile_tasks, "VariableReconcileStore", lambda _: small.reconciled)
    monkeypatch.setattr(reconcile_tasks, "spare_the_collector", lambda: None)
    small.run()
    small.execute("TRUNCATE content.film_work CASCADE")
    small.run_and_check()
    small.reconnect()
    return Purges(small)


def test_an_approval_is_carried_out(purges: Purges, small: Site) -> None:
    found = purges.find()
    assert found["subject"] == "Delete 7 of 7 films (100.0%) from movies?"
    assert found["digest"] in found["body"]
    assert len(str(found)) < 2000  # the ids themselves do not travel
    done, kept = purges.answer(found, "Approve")
    assert (done["deleted"], kept) == (7, {"refused": False})
    assert small.documents() == {}


def test_a_refusal_is_kept_and_nobody_is_asked_again(purges: Purges, small: Site) -> None:
    found = purges.find()
    assert purges.answer(found, "Reject") == ({}, {"refused": True})
    assert len(small.documents()) == 7
    with pytest.raises(AirflowSkipException):
        purges.find()
    again = purges.find(digest=found["digest"][:10])
    assert again["digest"] == found["digest"]


def test_the_reconcile_tells_of_a_list_until_a_run_asks(purges: Purges, small: Site) -> None:
    presence = reconcile_task(small.definition, "presence").function
    for _ in range(2):
        events = Events()
        result = presence({}, "test", outlet_events=events)
        (event,) = events.values()
        assert event["added"] == fuse_asset(small.definition)
        assert (result["asked"], result["deleted"]) == (7, 0)
    purges.find()
    events = Events()
    presence({}, "test", outlet_events=events)
    assert events == {}


def test_nobody_was_asked_so_nothing_is_kept(purges: Purges, small: Site) -> None:
    remember = remember_task(small.definition).function
    with pytest.raises(AirflowSkipException):
        remember(None, "test", Answered(None))
    with pytest.raises(AirflowSkipException):
        remember(purges.find(), "test", Answered(None))


def test_a_misspelt_param_is_refused(purges: Purges) -> None:
    class Run:
        conf = {"digset": "x"}  # noqa: RUF012 - as a run has it

    find = find_task(declared()["movies"]).function
    with pytest.raises(ConfigurationError, match="does not know"):
        find({"digset": "x"}, "test", bag()["movies_purge"], Run())
    assert purges.find()


def test_what_was_approved_waits_while_the_index_is_not_loaded(purges: Purges, small: Site) -> None:
    found = purges.find()
    small.cursors.texts.clear()
    with pytest.raises(ConfigurationError, match="movies_sync says why"):
        purges.answer(found, "Approve")
    assert len(small.documents()) == 7


# -- through Airflow ------------------------------------------------------------------------------


def purge(dag: SyncDag) -> dict[str, str]:
    """Run the purge DAG of the same index; return the states of its tasks."""
    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    run: Any = DagBag(dag_folder=folder).dags[dag.definition.purge_dag].test()
    return {one.task_id: str(one.state) for one in run.get_task_instances()}


def answers(site: Site) -> list[tuple[str, str | None]]:
    """Return each list's state, and who has answered."""
    found = site.client.search(index="movies-reconcile", query={"exists": {"field": "digest"}})
    lists = [one["_source"] for one in found["hits"]["hits"]]
    return [(one["state"], one["answered_by"]) for one in lists]


@pytest.mark.long
def test_no_answer_in_time_is_a_refusal_that_is_remembered(
    sync_dag: SyncDag, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIES_ETL_APPROVAL_HOURS", "0.00001")
    assert sync_dag.run().state == "success"
    small.execute("TRUNCATE content.film_work CASCADE")
    assert sync_dag.run().state == "success"
    assert answers(small) == [("waiting", None)]
    with answered_by_nobody("movies_purge"):
        assert purge(sync_dag) == dict.fromkeys(NAMES, "success") | {"purge": "skipped"}
    assert answers(small) == [("refused", None)]
    assert len(small.documents()) == 7
    assert purge(sync_dag)["find"] == "skipped"
