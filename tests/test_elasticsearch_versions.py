"""Both major versions of the client work with both of the server: whole runs in a process each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch as Client
from movies_etl.es.owner import owner_of

from local.certificates import trust_the_system
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import DATA, ROOT
from tests.support import elasticsearch_versions
from tests.support.client_versions import PACKAGES_OF_CLIENT
from tests.support.servers import in_memory
from tests.support.site import Site

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Folders of packages that come before the installed ones, by the client's version."""
    trust_the_system()
    found: dict[str, list[Path]] = {}
    for version, wanted in PACKAGES_OF_CLIENT.items():
        found[version] = []
        if wanted:
            folder = tmp_path_factory.mktemp(f"client-{version}")
            uv = Path(sys.executable).with_name("uv")
            install: list[str | Path] = [uv, "pip", "install", "--quiet", "--no-deps"]
            install += ["--python", sys.executable, "--target", folder, *wanted]
            subprocess.run(install, check=True, timeout=300)
            found[version].append(folder)
    return found


@pytest.fixture(scope="module")
def node_9() -> Iterator[Elasticsearch]:
    newest = elasticsearch_versions.NEWEST
    with (
        in_memory(DATA / f"elasticsearch-{newest}") as folder,
        elasticsearch_versions.running(newest, folder) as node,
    ):
        yield node


class Installation:
    """An installation of the program with one client, over a catalogue and one server."""

    def __init__(self, site: Site, ports: tuple[int, int], folder: Path) -> None:
        self.site = site
        self._command = [sys.executable, "-m", "tests.support.whole_run", str(folder)]
        self._command += [str(port) for port in ports]

    def run(self, packages: list[Path], **environment: str) -> dict[str, Any]:
        """Do one run; return the tasks' results and the client's version."""
        path = os.pathsep.join(map(str, (*packages, ROOT, ROOT / "plugins")))
        done = subprocess.run(
            self._command,
            cwd=ROOT,
            env=os.environ | environment | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return results


@pytest.fixture(params=["8", "9"], ids=lambda version: f"server {version}")
def installation(
    request: pytest.FixtureRequest, database: str, postgres: Postgres, tmp_path: Path
) -> Iterator[Installation]:
    name = "elasticsearch_node" if request.param == "8" else "node_9"
    node: Elasticsearch = request.getfixturevalue(name)
    with (
        Client(node.url, request_timeout=30) as client,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        assert client.info()["version"]["number"].startswith(f"{request.param}.")
        for index in client.indices.get(index="*,-.*", expand_wildcards="all"):
            client.indices.delete(index=index)
        client.indices.delete_index_template(name="*")
        site = Site(database, connection, client)
        site.add_small_catalogue()
        yield Installation(site, (postgres.port, node.port), tmp_path)
        site.close()


@pytest.mark.parametrize(
    ("client", "airflows_own"),  # the version that Airflow's own requests are set to ask for
    [("8", ""), ("9", ""), ("9", "8"), ("8", "9")],
)
def test_runs_end_well(
    installation: Installation, packages: dict[str, list[Path]], client: str, airflows_own: str
) -> None:
    site, environment = installation.site, {"AIRFLOW__ELASTICSEARCH__ES_COMPAT_WITH": airflows_own}
    bad = site.add_film("Bad", rating="NaN")
    first = installation.run(packages[client], **environment)
    assert first["client"] == int(client)
    assert (first["film_work"]["indexed"], first["film_work"]["refused"]) == (7, 1)
    assert site.letters().keys() == {bad}
    (index,) = site.client.indices.get_alias(name="movies")
    site.client.indices.put_mapping(index=index, meta={})
    site.execute("UPDATE content.film_work SET rating = 5, modified = now() WHERE id = %s", bad)
    site.execute(
        "UPDATE content.person SET full_name = 'Zoe', modified = now() WHERE full_name = 'Ann'"
    )
    second = installation.run(packages[client], **environment)
    assert second["film_work"]["indexed"] == 1
    assert second["person"]["indexed"] > 0
    assert site.letters() == {}
    site.assert_equal()
    answer = site.client.indices.get_mapping(index=index)
    owner = owner_of(answer[index]["mappings"])
    assert owner is not None
    assert owner.database == "movies"
