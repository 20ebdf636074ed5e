"""``role.json``: Elasticsearch's role is enough for whatever the program does, and not more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch as Client
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError
from movies_etl.reconcile.purge import approved, next_list

from local import elasticsearch_build
from local.elasticsearch import Elasticsearch
from tests.conftest import DATA
from tests.support.indices import each_index
from tests.support.proxy import Proxy
from tests.support.rebuild import Rebuild
from tests.support.servers import ROOT, running_elasticsearch
from tests.support.site import Site

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROLE: dict[str, Any] = json.loads((ROOT / "include/elasticsearch/setup/role.json").read_text())
CLUSTER = {
    "monitor": ["cluster:monitor/*", "indices:admin/index_template/get"],
    "manage_index_templates": ["indices:admin/template/*", "indices:admin/index_template/*"],
}
INDICES = {
    "read": ["indices:data/read/*"],
    "write": ["indices:data/write/*", "indices:admin/mapping/auto_put"],
    "manage": ["indices:admin/*", "indices:monitor/*"],
}
"""The actions that each privilege grants, as Elasticsearch has them in version 8."""


@pytest.fixture(scope="module")
def guarded_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """A node that refuses what the role in a request's header does not grant."""
    sources = tmp_path_factory.mktemp("node")
    shutil.copytree(elasticsearch_build._SOURCES, sources, dirs_exist_ok=True)
    shutil.copytree(Path(__file__).parent / "support" / "elasticsearch_role", sources / "role")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elasticsearch_build, "_SOURCES", sources)
        with running_elasticsearch(DATA / "guarded-elasticsearch") as node:
            yield node


@pytest.fixture
def client(guarded_node: Elasticsearch) -> Iterator[Client]:
    """A client that may do everything, of a node without indexes or templates."""
    with Client(guarded_node.url, request_timeout=30) as client:
        for index in client.indices.get(index="*", expand_wildcards="all"):
            client.indices.delete(index=index)
        for definition in declared().values():
            client.options(ignore_status=404).indices.delete_index_template(name=definition.alias)
        yield client


def as_role(client: Client, left_out: str = "") -> Client:
    """Return a client that may do what the role grants, one privilege left out."""
    (indices,) = ROLE["indices"]
    lists = (
        [p for name in ROLE["cluster"] if name != left_out for p in CLUSTER[name]],
        [p for name in indices["privileges"] if name != left_out for p in INDICES[name]],
        indices["names"],
    )
    return client.options(headers={"x-role": " ".join(",".join(each) for each in lists)})


def everything(site: Site) -> None:
    """Load, change, refuse, delete, reload: whatever a run may ask Elasticsearch."""
    everything_may_be_done = site.client
    site.run_and_check()
    refused = site.add_root("x" * 40_000, modified="now")
    site.change("Changed", f"id <> '{refused}'")
    site.run()
    assert list(site.letters()) == [refused]
    site.execute(f"UPDATE content.{site.table} SET {site.text} = 'Short', modified = now()")
    site.run()
    assert site.letters() == {}
    site.execute(f"DELETE FROM content.{site.table} WHERE id = %s", refused)
    site.execute("SELECT pg_stat_force_next_flush()")
    assert site.run_and_check()["deleted"] == 1
    site.run(reload="all")
    site.reconcile(full=True)
    Rebuild(site).run()
    asked_and_purged(site)
    site.client = everything_may_be_done
    site.assert_equal()


def asked_and_purged(site: Site) -> None:
    """Have all documents put on a list, and carry it out."""
    site.drop_constraints("f")
    site.execute(f"DELETE FROM content.{site.table}")
    site.run_and_check()
    with site.beside() as resources:
        one = next_list(resources, site.settings, "a run")
        assert one
        assert approved(resources, site.settings, one.digest, "Ann").deleted == one.count


@each_index
def test_the_role_is_enough(small: Site) -> None:
    small.client = as_role(small.client)
    everything(small)


def test_another_index_is_out_of_reach(client: Client) -> None:
    client.indices.create(index="payments")
    limited = as_role(client)
    for ask in (limited.search, limited.indices.delete, limited.indices.get_mapping):
        with pytest.raises(Exception, match="unauthorized"):
            ask(index="payments")


@pytest.mark.parametrize("left_out", ["manage_index_templates", *INDICES])
def test_a_privilege_that_is_left_out_is_told(small: Site, left_out: str) -> None:
    small.client = as_role(small.client, left_out)
    with pytest.raises(ConfigurationError, match="unauthorized") as caught:
        small.run()
    assert "rights" in str(caught.value)


def test_the_root_page_is_what_the_privilege_monitor_is_for(small: Site) -> None:
    """The node of these tests answers `GET /` without an action; others ask for the privilege."""
    port = int(small.client.transport.node_pool.get().config.port)
    with Proxy(port, http=True) as proxy, Client(f"http://127.0.0.1:{proxy.port}") as client:
        small.client = client
        small.run()
        asked = [request.partition(b" HTTP")[0] for request in proxy.requests]
    assert b"GET /" in asked


def test_its_privileges_are_those_that_are_left_out_here() -> None:
    (indices,) = ROLE["indices"]
    assert set(ROLE["cluster"]) == set(CLUSTER)
    assert set(indices["privileges"]) == set(INDICES)
