"""The index template: late requests create nothing, what others have is left alone."""

from __future__ import annotations

from typing import Any

import elasticsearch
import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError
from movies_etl.es import template
from movies_etl.es.template import forbid_automatic_creation

from tests.support.faults import Faults, refusal
from tests.support.site import Site

CONCRETE = "movies-20260101000000"
OF_VERSION_0_1_0: dict[str, Any] = {
    "index_patterns": ["movies*"],
    "priority": 500,
    "allow_auto_create": False,
    "meta": {"description": "Movies ETL creates its indexes itself"},
}


def put(client: Elasticsearch, name: str) -> None:
    """Index a document as a late request would, which may create the index."""
    client.index(index=name, id="a", document={"title": "late"})


def found(client: Elasticsearch) -> dict[str, Any]:
    (one,) = client.indices.get_index_template(name="movies")["index_templates"]
    described: dict[str, Any] = one["index_template"]
    return described


@pytest.mark.parametrize("name", ["movies", CONCRETE, "movies-dead-letters", "movies-reconcile"])
def test_no_request_brings_back_an_index_by_guessing(client: Elasticsearch, name: str) -> None:
    forbid_automatic_creation(client, MOVIES, CONCRETE)
    with pytest.raises(elasticsearch.NotFoundError):
        put(client, name)
    assert not client.indices.exists(index=name)


def test_a_late_request_brings_back_none_of_the_indexes_before(client: Elasticsearch) -> None:
    names = [f"movies-2026010100{number:04}" for number in range(template.MAX_KEPT_NAMES + 3)]
    for name in names:
        forbid_automatic_creation(client, MOVIES, name)
    assert found(client)["index_patterns"][3:] == names[3:]
    for name in names[3:]:
        with pytest.raises(elasticsearch.NotFoundError):
            put(client, name)


@pytest.mark.parametrize(
    "name", ["movies_reviews", "movies-reviews", "movies-2", "movies-20260101000001", "movies2"]
)
def test_indexes_of_others_may_be_created_by_a_request(client: Elasticsearch, name: str) -> None:
    forbid_automatic_creation(client, MOVIES, CONCRETE)
    put(client, name)
    assert client.indices.exists(index=name)


def test_the_template_of_version_0_1_0_is_replaced(loaded: Site) -> None:
    client = loaded.client
    client.indices.put_index_template(name="movies", **OF_VERSION_0_1_0)
    (index,) = client.indices.get_alias(name="movies")
    with pytest.raises(elasticsearch.NotFoundError):
        put(client, "movies_reviews")
    loaded.run()
    always = ["movies", "movies-dead-letters", "movies-reconcile"]
    assert found(client)["index_patterns"] == [*always, index]
    put(client, "movies_reviews")


def test_a_template_that_is_right_is_not_written_again(client: Elasticsearch) -> None:
    forbid_automatic_creation(client, MOVIES, CONCRETE)
    (node,) = client.transport.node_pool.all()
    watched = Faults()
    forbid_automatic_creation(watched.client(node.base_url), MOVIES, CONCRETE)
    assert [request for request, _ in watched.requests] == ["GET /_index_template/movies"]


def test_a_template_of_the_operators_is_left_alone(client: Elasticsearch) -> None:
    own: dict[str, Any] = {
        "index_patterns": ["movies*"],
        "priority": 900,
        "allow_auto_create": False,
    }
    client.indices.put_index_template(name="movies", **own)
    before = found(client)
    forbid_automatic_creation(client, MOVIES, CONCRETE)
    assert found(client) == before


@pytest.mark.parametrize("priority", [0, 500, template.PRIORITY, 5000, 2**40])
@pytest.mark.parametrize("pattern", ["m*", "*", "movies-*", CONCRETE, "*dead*"])
def test_templates_of_others_keep_nobody_from_running(
    client: Elasticsearch, priority: int, pattern: str
) -> None:
    client.indices.put_index_template(
        name="others", index_patterns=["logs", pattern], priority=priority
    )
    forbid_automatic_creation(client, MOVIES, CONCRETE)
    for name in ("movies", CONCRETE, "movies-dead-letters"):
        with pytest.raises(elasticsearch.NotFoundError):
            put(client, name)


def test_the_settings_of_a_template_of_others_are_not_taken(small: Site) -> None:
    settings = {"index.refresh_interval": "1h", "index.blocks.write": True}
    small.client.indices.put_index_template(
        name="others", index_patterns=["m*"], priority=500, template={"settings": settings}
    )
    small.run()
    small.assert_equal()


def test_a_run_ends_well_beside_a_template_that_came_later(loaded: Site) -> None:
    loaded.client.indices.put_index_template(name="others", index_patterns=["m*"], priority=500)
    loaded.run()
    loaded.assert_equal()


def test_a_template_that_is_refused_is_told_as_such(client: Elasticsearch) -> None:
    absent = refusal(404, "resource_not_found_exception")
    refused = refusal(400, "illegal_argument_exception", "index template [movies] is no good")
    (node,) = client.transport.node_pool.all()
    faulty = Faults(absent, None, refused).client(node.base_url)
    with pytest.raises(ConfigurationError, match=r"index template movies.*is no good"):
        forbid_automatic_creation(faulty, MOVIES, CONCRETE)
