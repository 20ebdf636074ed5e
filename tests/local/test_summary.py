"""What `run` tells after the first runs: of every index."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from movies_etl.definitions.registry import declared

from local import run as running
from local import runs, summary
from local.airflow_api import Run
from local.report import Report
from local.stack import Stack
from tests.local.scripted import Scripted, run
from tests.support.site import Site


def scripted(dag: str) -> Scripted:
    """Return an Airflow whose DAG has had a run."""
    api = Scripted([run("first", "success", 1)])
    api.dag_id = dag
    (first,) = (one.root.name for one in declared().values() if one.sync_dag == dag)
    api.results = {first: {"indexed": 30, "seconds": 1.5}}
    return api


@pytest.fixture
def stack(small: Site) -> Stack:
    """A stack over a test's servers, all of whose indexes are loaded."""
    with psycopg.connect(small.dsn, autocommit=True) as connection:
        for definition in declared().values():
            site = Site(small.dsn, connection, small.client, definition)
            site.run()
            site.close()
    (node,) = small.client.transport.node_pool.all()
    stack = SimpleNamespace(
        dsn=small.dsn,
        elasticsearch=SimpleNamespace(url=node.base_url),
        settings=SimpleNamespace(url="http://airflow", password=lambda: "secret"),
        airflow=SimpleNamespace(check=lambda: None),
        api=scripted,
        up=True,
    )
    return cast("Stack", stack)


FIRST = {one.sync_dag: run("first", "success", 1) for one in declared().values()}


def test_rows_and_documents_of_every_index_are_told(stack: Stack) -> None:
    text, equal = summary.summary(stack, FIRST)
    assert equal
    lines = text.splitlines()
    assert {
        "films          7 in PostgreSQL, 7 in Elasticsearch (alias movies)",
        "genres         2 in PostgreSQL, 2 in Elasticsearch (alias genres)",
        "persons        3 in PostgreSQL, 3 in Elasticsearch (alias persons)",
    } <= set(lines)
    assert "movies_sync    30 sent by film_work in 1.5 s, 20 per second" in lines
    assert "genres_sync    30 sent by genre in 1.5 s, 20 per second" in lines
    assert "persons_sync   30 sent by person in 1.5 s, 20 per second" in lines


def test_an_index_that_lacks_a_document_is_not_equal(stack: Stack, small: Site) -> None:
    small.add_person("Not loaded")
    small.client.index(
        index="genres-dead-letters", document={"genre": "g", "attempts": 1}, refresh=True
    )
    text, equal = summary.summary(stack, {})
    assert not equal
    assert "persons        4 in PostgreSQL, 3 in Elasticsearch (alias persons)" in text
    assert "2 in Elasticsearch (alias genres), 1 dead letter\n" in text


@pytest.mark.parametrize(("dag", "fails"), [("genres_sync", False), ("movies_sync", True)])
def test_only_the_first_run_of_movies_must_succeed(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dag: str,
    *,
    fails: bool,
) -> None:
    def first_run(api: Scripted, *_: object) -> Run:
        if api.dag_id == dag:
            raise runs.RunError("no such index")
        return run("first", "success", 1)

    monkeypatch.setattr(running, "first_run", first_run)
    if fails:
        with pytest.raises(runs.RunError, match="no such index"):
            running._started(stack, Report(), None)
    else:
        assert running._started(stack, Report(), None).keys() == FIRST.keys() - {dag}
        assert "genres_sync: no such index" in capsys.readouterr().out
