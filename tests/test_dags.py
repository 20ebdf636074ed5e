"""The DAGs as Airflow reads them: wiring, limits, retries, params, and no need of any server."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.definitions import retry_policy  # came with Airflow 3.3
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import ParamValidationError
from movies_etl import errors
from movies_etl.airflow import trigger
from movies_etl.definitions.registry import declared

from tests.conftest import ROOT

DAGS = str(ROOT / "dags")
SYNC_TASKS = {
    "movies_sync": ["init", "film_work", "genre", "person"],
    "genres_sync": ["init", "genre"],
    "persons_sync": ["init", "person", "film_work"],
}
"""The tasks of each sync DAG in the order of a run; the first stream's rows are the documents."""


def bag() -> DagBag:
    return DagBag(dag_folder=DAGS)


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    found = bag()
    assert found.import_errors == {}
    return found.dags


@pytest.fixture(params=SYNC_TASKS)
def dag(dags: dict[str, DAG], request: pytest.FixtureRequest) -> DAG:
    """Each sync DAG in its turn."""
    return dags[request.param]


@pytest.fixture
def streams(dag: DAG) -> list[str]:
    return SYNC_TASKS[dag.dag_id][1:]


# -- all of them ----------------------------------------------------------------------------------


def test_each_file_has_the_one_dag_that_it_is_named_after(dags: dict[str, DAG]) -> None:
    assert set(dags) == {path.stem for path in Path(DAGS).glob("*.py")}
    for name, found in dags.items():
        assert Path(found.fileloc).stem == name


def test_each_dag_has_an_owner_tags_retries_and_a_page_of_documentation(
    dags: dict[str, DAG],
) -> None:
    for found in dags.values():
        assert {found.dag_id.partition("_")[0], "elasticsearch"} <= found.tags
        assert found.doc_md
        assert found.description
        assert found.description == found.doc_md.splitlines()[0].replace("`", "")
        for task in found.tasks:
            assert task.owner == "movies-etl"
            assert (task.retries or 0) >= 1
            assert task.retry_delay > timedelta(0)


def test_no_task_logs_what_it_returns(dags: dict[str, DAG]) -> None:
    name = "show_return_value_in_logs"
    shows = {
        f"{found.dag_id}.{task.task_id}": getattr(task, "partial_kwargs", vars(task)).get(
            name, True
        )
        for found in dags.values()
        for task in found.tasks
        if task.task_id != "approve"  # Airflow's own, which logs no answer
    }
    assert len(shows) > 20
    assert [task for task, is_shown in shows.items() if is_shown] == []


def read_elsewhere(folder: Path, before: str = "") -> tuple[dict[str, str], list[str]]:
    """Return import errors and DAGs as a fresh process reads them in a bare environment.

    :param before: what the process does first.
    """
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    env |= {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/nowhere/airflow.db",
    }
    program = (
        "import json, airflow, sys\n"
        f"{before}\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag(dag_folder=sys.argv[1])\n"
        "print(json.dumps([bag.import_errors, sorted(bag.dags)]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, DAGS],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    import_errors, names = json.loads(answer.stdout.splitlines()[-1])
    return import_errors, names


@pytest.mark.long
def test_dags_are_read_without_database_connection_setting_or_path(tmp_path: Path) -> None:
    import_errors, names = read_elsewhere(tmp_path)
    assert import_errors == {}
    assert "movies_sync" in names
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            f"airflow.__version__ = '3.2.1'; sys.modules['{retry_policy.__name__}'] = None",
            "Movies ETL needs Airflow 3.3 or later, this is 3.2.1.",
        ),
        (
            "import platform; platform.python_version = lambda: '3.10.14'",
            "Movies ETL needs Python 3.11 or later, this is 3.10.14.",
        ),
    ],
)
def test_an_airflow_or_python_that_is_too_old_is_told_so(
    tmp_path: Path, before: str, said: str
) -> None:
    import_errors, names = read_elsewhere(tmp_path, before)
    assert names == []
    assert len(import_errors) == len([*Path(DAGS).glob("*.py")])
    for error in import_errors.values():
        assert error.rstrip().endswith(said)


# -- the sync DAGs --------------------------------------------------------------------------------


def test_every_declared_index_has_its_sync_dag(dags: dict[str, DAG]) -> None:
    wanted = {found.sync_dag for found in declared().values()}
    assert {name for name in dags if name.endswith("_sync")} == wanted
    assert wanted >= SYNC_TASKS.keys()


def test_streams_come_one_after_the_other_the_documents_own_first(dag: DAG) -> None:
    tasks = SYNC_TASKS[dag.dag_id]
    assert [task.task_id for task in dag.topological_sort()] == tasks  # type: ignore[no-untyped-call]
    for before, after in pairwise(tasks):
        assert after in dag.get_task(before).downstream_task_ids
        if before != "init":
            assert dag.get_task(before).downstream_task_ids == {after}
    assert dag.get_task(tasks[-1]).downstream_task_ids == set()


def test_a_task_runs_only_when_all_before_it_succeeded(dag: DAG) -> None:
    assert {getattr(task.trigger_rule, "value", None) for task in dag.tasks} == {"all_success"}


def test_each_task_gets_the_runs_window(dag: DAG, streams: list[str]) -> None:
    for name in streams:
        assert "init" in dag.get_task(name).upstream_task_ids


def test_there_is_one_writer(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert {task.max_active_tis_per_dag for task in dag.tasks} == {1}


def test_it_runs_on_schedule_by_hand_and_by_another_dag_but_never_as_a_backfill(dag: DAG) -> None:
    kinds = {getattr(kind, "value", None) for kind in dag.allowed_run_types or ()}
    assert kinds == {"scheduled", "manual", "operator_triggered"}


def test_it_is_scheduled_every_minute(dag: DAG) -> None:
    assert str(dag.schedule) == "* * * * *"


@pytest.mark.parametrize(
    ("setting", "schedule"), [("*/7 3 * * *", "*/7 3 * * *"), ("", None), ("  ", None)]
)
def test_the_schedule_is_a_setting_and_an_empty_one_means_by_hand_only(
    monkeypatch: pytest.MonkeyPatch, setting: str, schedule: str | None
) -> None:
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", setting)
    found = bag()
    assert found.import_errors == {}
    for name in SYNC_TASKS:
        assert str(found.dags[name].schedule) == str(schedule)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MOVIES_ETL_PAGE_SIZE", "many"),
        ("MOVIES_ETL_SCHEDULE", "now and then"),
        ("MOVIES_ETL_PAGESIZE", "10"),
    ],
)
def test_a_wrong_setting_is_named_on_the_page_of_import_errors(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    said = bag().import_errors.values()
    assert len(said) == len([*Path(DAGS).glob("*.py")])
    for one in said:
        assert "\nmovies_etl.errors.ConfigurationError: Fix the environment of Airflow: " in one
        assert f"{name}: " in one or f"no setting is named {name};" in one
        assert one.count("Traceback") == 1  # nothing that was raised before is of interest


def test_retries_wait_longer_each_time(dag: DAG, streams: list[str]) -> None:
    for name in streams:
        task = dag.get_task(name)
        assert task.retries == 2
        assert task.retry_delay == timedelta(seconds=10)
        assert task.retry_exponential_backoff == 2
        assert task.max_retry_delay == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.ConfigurationError("x"), RetryAction.FAIL),
        (errors.RefusedDocumentsError("x"), RetryAction.FAIL),
        (errors.SourceUnavailableError("x"), RetryAction.DEFAULT),
        (errors.IndexUnavailableError("x"), RetryAction.DEFAULT),
        (errors.WriterBusyError("x"), RetryAction.DEFAULT),
        (RuntimeError("x"), RetryAction.DEFAULT),
        (MemoryError(), RetryAction.DEFAULT),
    ],
)
def test_what_somebody_has_to_fix_is_not_tried_again(
    dag: DAG, streams: list[str], error: Exception, action: RetryAction
) -> None:
    for task in streams:
        policy: Any = dag.get_task(task).retry_policy
        assert policy.evaluate(error, 1, 2).action is action


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.ConfigurationError("x"), RetryAction.FAIL),
        (errors.SourceUnavailableError("x"), RetryAction.FAIL),
        (errors.IndexUnavailableError("x"), RetryAction.FAIL),
        (RuntimeError("x"), RetryAction.DEFAULT),
    ],
)
def test_init_has_waited_already_and_leaves_the_rest_to_the_next_run(
    dag: DAG, error: Exception, action: RetryAction
) -> None:
    policy: Any = dag.get_task("init").retry_policy
    decision = policy.evaluate(error, 1, 2)
    assert decision.action is action
    assert action is RetryAction.DEFAULT or decision.reason


def with_params(dag: DAG, **values: Any) -> dict[str, Any]:
    params = copy.deepcopy(dag.params)
    params.update(values)
    validated: dict[str, Any] = params.validate()
    return validated


def test_the_form_does_nothing_special_when_it_is_left_alone(dag: DAG) -> None:
    assert with_params(dag) == {"page_size": 1000, "reload": "none", "ids": [], "replay": []}


def test_the_forms_page_size_begins_with_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_PAGE_SIZE", "50")
    assert with_params(bag().dags["movies_sync"])["page_size"] == 50


def test_the_form_begins_with_what_people_come_for(dag: DAG) -> None:
    assert [*dag.params] == ["reload", "ids", "replay", "page_size"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 1),
        ("page_size", 10_000),
        ("reload", "none"),
        ("reload", "all"),
        ("ids", ["tt1", "00000000-0000-0000-0000-000000000001"]),
        ("ids", ["17", ""]),
        ("replay", ["all"]),
        ("replay", None),
    ],
)
def test_the_form_takes(dag: DAG, name: str, value: object) -> None:
    assert with_params(dag, **{name: value})[name] == value


def test_the_form_takes_each_stream_to_load_again_and_no_other(
    dag: DAG, streams: list[str]
) -> None:
    for name in ("film_work", "genre", "person"):
        if name in streams:
            assert with_params(dag, reload=name)["reload"] == name
        else:
            with pytest.raises(ParamValidationError):
                with_params(dag, reload=name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 0),
        ("page_size", 10_001),
        ("page_size", "50"),
        ("page_size", None),
        ("page_size", 1.5),
        ("reload", "init"),
        ("reload", ""),
        ("reload", None),
        ("ids", "tt1"),
        ("ids", [1]),
        ("replay", "all"),
    ],
)
def test_the_form_refuses(dag: DAG, name: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        with_params(dag, **{name: value})


def test_a_key_of_conf_that_is_no_param_is_refused_with_the_known_ones(dag: DAG) -> None:
    conf = {"id": ["tt1"], "ids": ["tt1"], "Reload": "all"}
    with pytest.raises(
        errors.ConfigurationError,
        match=f"with 'id', 'Reload', which {dag.dag_id} does not know. "
        "Its params are reload, ids, replay, page_size. Nothing was done",
    ):
        trigger.check_conf(dag, conf, with_params(dag) | conf)


def test_a_conf_that_airflow_ignores_is_told(dag: DAG) -> None:
    trigger.check_conf(dag, {"reload": "all"}, with_params(dag, reload="all"))
    trigger.check_conf(dag, {}, with_params(dag))
    with pytest.raises(errors.ConfigurationError, match="dag_run_conf_overrides_params"):
        trigger.check_conf(dag, {"reload": "all"}, with_params(dag))


def test_every_param_is_explained_on_the_form(dag: DAG) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema["title"]
        assert param.description


def test_the_documentation_names_what_an_operator_needs(dags: dict[str, DAG]) -> None:
    for word in (
        *("movies_postgres", "movies_elasticsearch", "movies_etl.cursor.", "MOVIES_ETL_"),
        *("reload", "movies-dead-letters", "whether films were deleted"),
    ):
        assert word in (dags["movies_sync"].doc_md or "")


# -- what README and docs name --------------------------------------------------------------------

NAMES = r"((?:`\w+`(?:,? and |, (?:and )?)?)+)"
KINDS = "sync|reconcile|purge|reindex"


def pages() -> str:
    """Return README and docs as one text, each run of white space as one space."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    return re.sub(r"\s+", " ", " ".join(page.read_text() for page in found))


def named(what: str) -> set[str]:
    """Return what the pages name after a word such as "task" or "params"."""
    after = re.findall(rf"\b{what} {NAMES}", pages(), flags=re.IGNORECASE)
    return {name for names in after for name in re.findall(r"`(\w+)`", names)}


def test_every_dag_task_and_param_that_is_named_exists(dags: dict[str, DAG]) -> None:
    indexes = "|".join(declared())
    assert set(re.findall(rf"\b(?:{indexes})_(?:{KINDS})\b", pages())) <= dags.keys()
    params = {name for dag in dags.values() for name in dag.params}
    shown = [json.loads(conf) for conf in re.findall(r"--conf '(\{.*?\})'", pages())]
    assert shown
    assert named("params?") | set().union(*shown) <= params
    tasks = {task for dag in dags.values() for task in dag.task_ids}
    assert named("tasks?") <= tasks | {"follow"}  # which is there where runs go on


def test_every_task_and_param_is_named(dags: dict[str, DAG]) -> None:
    said = set(re.findall(r"`(\w+)`", pages()))
    for dag in dags.values():
        assert {*dag.task_ids, *dag.params} - said == set(), dag.dag_id
