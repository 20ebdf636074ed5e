"""The DAGs of several indexes run at the same time, and none is in another's way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.registry import declared
from movies_etl.sync.outgoing import Outgoing

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.indices import INDEXES, each_index
from tests.support.site import Site
from tests.support.sync_dag import SyncDag
from tests.support.tasks import Tasks

Sites = dict[str, Site]

OWN_SESSIONS = """
SELECT application_name, xact_start IS NOT NULL FROM pg_stat_activity
WHERE application_name LIKE 'movies_etl %%' AND datname = current_database()
"""


@pytest.fixture
def sites(small: Site) -> Iterator[Sites]:
    """A site per index, over one catalogue."""
    with psycopg.connect(small.dsn, autocommit=True) as connection:
        sites = {
            definition.name: Site(small.dsn, connection, small.client, definition)
            for definition in INDEXES
        }
        yield sites
        for site in sites.values():
            site.close()


@pytest.fixture
def tasks(
    sites: Sites,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Tasks]:
    """The tasks of each index's DAG."""
    ports = (postgres.port, elasticsearch_node.port)
    return {name: Tasks(site, monkeypatch, ports) for name, site in sites.items()}


@each_index
def test_the_other_dags_run_while_a_task_of_one_reads(
    sites: Sites,
    tasks: dict[str, Tasks],
    definition: IndexDefinition,
) -> None:
    """Its transaction holds nobody's horizon, and its lock is not theirs."""
    reading = definition.root.name
    queue = Outgoing.queue
    contexts: list[dict[str, Any]] = []

    def run_the_others(outgoing: Outgoing, *documents: Any) -> None:
        reads.undo()
        began = sites[definition.name].source().server.now()
        ((application, is_open),) = sites[definition.name].execute(OWN_SESSIONS).fetchall()
        assert (application, is_open) == (f"movies_etl {reading} test", True)
        for other in INDEXES:
            if other is definition:
                continue
            context = tasks[other.name].init()
            assert context["horizon"] > began
            contexts.append(context)
            for stream in other.streams:
                tasks[other.name].sync(stream, context)
        queue(outgoing, *documents)

    context = tasks[definition.name].init()
    with pytest.MonkeyPatch.context() as reads:
        reads.setattr(Outgoing, "queue", run_the_others)
        tasks[definition.name].sync(definition.root, context)
    for stream in definition.streams[1:]:
        tasks[definition.name].sync(stream, context)
    assert [one["held_by"] for one in contexts] == [None] * (len(INDEXES) - 1)
    for site in sites.values():
        site.assert_equal()


@pytest.mark.long
def test_each_dag_keeps_its_own_variables_letters_and_results(
    sync_dag: SyncDag, sites: Sites
) -> None:
    dags = [SyncDag(definition) for definition in INDEXES]
    for table in ("genre", "person"):  # a notice in each of them
        sites["movies"].execute(f"DROP INDEX content.{table}_modified_id")
    keys: set[str] = set()
    for dag in dags:
        run = dag.run()
        assert run.state == "success"
        root = sites[dag.definition.name].expected()
        assert run.counters("indexed") == [len(root), *[0] * (len(dag.definition.streams) - 1)]
        assert run.results[dag.definition.streams[-1].name]["difference"] == 0
        before = keys
        keys = set(dag.variables())
        assert keys - before == variables_of(dag.definition)
        noticed, description = dag.variables()[dag.definition.notices_variable]
        (notice,) = json.loads(noticed)["notices"]
        assert "CREATE INDEX CONCURRENTLY ON content." in notice
        assert "Delete it" in description
    before_second = sync_dag.variables()
    for dag in dags:
        assert sum(dag.run().counters("read")) == 0
        sites[dag.definition.name].assert_equal()
    after = sync_dag.variables()
    assert set(after) == keys
    for dag in dags:
        key = dag.definition.notices_variable
        assert after[key] == before_second[key]
    for site in sites.values():
        assert site.letters() == {}


def variables_of(definition: IndexDefinition) -> set[str]:
    """Return the Variables of an index, but for the moments that some roles need."""
    cursors = {definition.cursor_variable(stream.name) for stream in definition.streams}
    return {
        *cursors,
        definition.horizon_variable,
        definition.difference_variable,
        definition.notices_variable,
        definition.layout_variable,
    }


def test_no_variable_is_found_under_the_prefix_of_another() -> None:
    """Absence is decided by listing a Variable's name as a prefix."""
    owners: dict[str, str] = {}
    for name, definition in declared().items():
        for variable in variables_of(definition):
            assert owners.setdefault(variable, name) == name
    for variable, name in owners.items():
        for other, owner in owners.items():
            assert owner == name or not other.startswith(variable), (variable, other)


def test_no_index_has_the_names_of_another() -> None:
    for name, definition in declared().items():
        for other in declared().keys() - {name}:
            assert not other.startswith((f"{definition.alias}-", definition.dead_letters))


def test_variables_of_movies_have_the_names_that_they_always_had() -> None:
    assert variables_of(declared()["movies"]) == {
        "movies_etl.cursor.film_work",
        "movies_etl.cursor.genre",
        "movies_etl.cursor.person",
        "movies_etl.horizon",
        "movies_etl.difference",
        "movies_etl.notices",
        "movies_etl.layout",
    }
