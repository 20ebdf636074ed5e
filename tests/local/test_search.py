"""Searching the index as the local stack's user does."""

from __future__ import annotations

import pytest

from local.elasticsearch import Elasticsearch
from local.search import search
from tests.site import Site


def test_films_of_a_person_come_before_films_with_half_of_the_name(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    namesakes = [site.add_person(f"Daniel {name}") for name in ("Craig", "Brandt", "Auteuil")]
    person = site.add_person("Daniel Cudmore-Brandt")
    film = site.add_film("A film of many")
    for actor in (*namesakes, person):
        site.cast(film, actor)
    site.add_film("Daniel")
    site.add_film("Brandt")
    site.add_film("Something else")
    site.run()
    total, hits = search(elasticsearch_node.url, "Daniel Cudmore-Brandt", dsn=site.dsn)
    assert total == 3
    assert hits[0].id == film


@pytest.mark.usefixtures("client")
def test_a_search_before_the_first_run_says_what_to_wait_for(
    elasticsearch_node: Elasticsearch,
) -> None:
    with pytest.raises(LookupError, match="no index movies yet: wait for the first run"):
        search(elasticsearch_node.url, "tears")
