"""Real servers, started once for the run, and a fresh catalogue and index for each test."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from elasticsearch import Elasticsearch as Client
from hypothesis import settings
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.es import admin
from movies_etl.es.index import Index
from movies_etl.es.template import forbid_automatic_creation
from movies_etl.settings import Settings

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.simulation.breaks import BREAKS
from tests.support.catalogue import Catalogue
from tests.support.faults import Time
from tests.support.fresh import FreshDatabase
from tests.support.servers import ROOT, TEMPLATE, free_port, running_elasticsearch, running_postgres
from tests.support.site import Site

if TYPE_CHECKING:
    from tests.support.sync_dag import SyncDag

__all__ = ["ROOT", "TEMPLATE", "free_port"]

DATA = Path(os.environ.get("MOVIES_TEST_DATA", ROOT / ".local" / "test"))
"""Where servers keep their data: another folder for each of several runs at once."""
if _WORKER := os.environ.get("PYTEST_XDIST_WORKER"):
    DATA /= _WORKER  # with `-n 2` each worker has servers of its own

settings.register_profile("movies", deadline=None, database=None, print_blob=True)
settings.load_profile("movies")  # a busy machine is no finding

# Before anything imports Airflow: an installation of its own, for nothing but the tests.
os.environ |= {
    "AIRFLOW_HOME": str(DATA / "airflow"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    # A home that is new has no key: what is saved would be readable with any other one.
    "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(b"of no worth: the tests' own key.").decode(),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{DATA / 'airflow' / 'airflow.db'}",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that two workers end at about the same time."""
    takes_minutes = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in takes_minutes)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Let what a module left open be told in its last test, not in some later module's."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with a template database that has schema content and its indexes."""
    with running_postgres(DATA / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch_node() -> Iterator[Elasticsearch]:
    """A node of Elasticsearch 8.19."""
    with running_elasticsearch(DATA / "elasticsearch") as node:
        yield node


@pytest.fixture
def client(elasticsearch_node: Elasticsearch) -> Iterator[Client]:
    """A client of a node without indexes or templates."""
    with Client(elasticsearch_node.url, request_timeout=30) as client:
        for index in client.indices.get(index="*,-.*", expand_wildcards="all"):
            client.indices.delete(index=index)
        client.indices.delete_index_template(name="*")
        yield client


@pytest.fixture
def protections(request: pytest.FixtureRequest) -> Iterator[None]:
    """The program, in a test that ``notices`` breaks without the protection of a rule."""
    with BREAKS[request.param]() if request.param else nullcontext():
        yield


@pytest.fixture
def definition() -> IndexDefinition:
    """The index that ``site`` syncs; ``each_index`` runs a test over all of them."""
    return MOVIES


@pytest.fixture
def index(client: Client) -> Index:
    """An empty index behind the alias, as ``init`` makes it."""
    name = "movies-20260101000000"
    forbid_automatic_creation(client, MOVIES, name)
    described = admin.described(MOVIES, Settings().include_dir)
    return admin.create(client, MOVIES, name, described)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock of the retries: waiting takes no time."""
    time = Time()
    time.install(monkeypatch)
    return time


@pytest.fixture(scope="session")
def fresh_database(postgres: Postgres) -> FreshDatabase:
    """The one database of the catalogue's tests."""
    return FreshDatabase(postgres, "movies", TEMPLATE)


@pytest.fixture
def database(fresh_database: FreshDatabase) -> str:
    """The DSN of a database with an empty catalogue."""
    return fresh_database.emptied()


@pytest.fixture
def catalogue(database: str) -> Iterator[Catalogue]:
    """An empty catalogue, for what needs no Elasticsearch."""
    with psycopg.connect(database, autocommit=True) as connection:
        catalogue = Catalogue(database, connection)
        yield catalogue
        catalogue.close()


@pytest.fixture
def site(database: str, client: Client, definition: IndexDefinition) -> Iterator[Site]:
    """A film site with an empty catalogue, no index, and no cursors."""
    with psycopg.connect(database, autocommit=True) as connection:
        site = Site(database, connection, client, definition)
        yield site
        site.close()


@pytest.fixture
def small(site: Site) -> Site:
    """A site with a few films that share persons and genres, not loaded yet."""
    site.add_small_catalogue()
    return site


@pytest.fixture
def loaded(small: Site) -> Site:
    """The small site after its first run."""
    small.run()
    return small


@pytest.fixture
def include(loaded: Site, tmp_path: Path) -> Path:
    """A folder of files of the loaded site's own."""
    folder = tmp_path / "include"
    shutil.copytree(ROOT / "include", folder)
    loaded.configure(include_dir=folder)
    return folder


@pytest.fixture(scope="module")
def durable() -> Iterator[Postgres]:
    """A PostgreSQL of its own that writes to the disk what it says it does.

    It keeps its log: a standby that was stopped meanwhile can go on.
    """
    server = Postgres(DATA / "durable", port=free_port(), options={"wal_keep_size": "1GB"})
    server.start()
    try:
        server.createdb("movies")
        yield server
    finally:
        server.remove()


@pytest.fixture
def durable_site(durable: Postgres, client: Client) -> Iterator[Site]:
    """A site over that server."""
    with psycopg.connect(durable.dsn("movies"), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS content CASCADE")
        for file in (ROOT / "local" / "schema.sql", ROOT / "include/sql/setup/indexes.sql"):
            for statement in filter(str.strip, file.read_text().split(";")):
                connection.execute(statement)
        site = Site(durable.dsn("movies"), connection, client)
        yield site
        site.connection.close()
        site.close()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's metadata, in the database that is named above."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True, timeout=120)


@pytest.fixture
def sync_dag(
    airflow_database: None,  # noqa: ARG001 - has to be there
    definition: IndexDefinition,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SyncDag]:
    """The DAG of the index, with its connections, and no Variables of any index."""
    from tests.support.sync_dag import SyncDag  # noqa: PLC0415 - Airflow takes seconds

    connections: dict[str, dict[str, object]] = {
        "MOVIES_POSTGRES": {
            "conn_type": "postgres",
            "port": postgres.port,
            "login": "postgres",
            "schema": "movies",
        },
        "MOVIES_ELASTICSEARCH": {"conn_type": "elasticsearch", "port": elasticsearch_node.port},
    }
    for name, fields in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"host": "127.0.0.1"} | fields))
    dag = SyncDag(definition)
    dag.forget()
    yield dag
    dag.forget()
