"""Searching the index as the local stack's user does."""

from __future__ import annotations

import pytest

from local.elasticsearch import Elasticsearch
from local.search import count, search
from tests.support.site import Site


def test_films_with_the_whole_name_come_before_films_with_its_parts(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    namesakes = [site.add_person(f"Daniel {name}") for name in ("Craig", "Brandt", "Auteuil")]
    person = site.add_person("Daniel Cudmore-Brandt")
    film = site.add_film("A film of many")
    for actor in (*namesakes, person):
        site.cast(film, actor)
    parts = site.add_film("Daniel Brandt")
    site.cast(parts, site.add_person("Ann Cudmore"))
    site.add_film("Daniel")
    site.add_film("Brandt")
    site.run()
    total, hits = search(elasticsearch_node.url, "Daniel Cudmore-Brandt", dsn=site.dsn)
    assert total == 2
    assert [hit.id for hit in hits] == [film, parts]


def test_every_word_is_found_wherever_the_film_has_it(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    film = site.add_film("The Quiet Harbours")
    site.cast(film, site.add_person("Ada Okafor"))
    site.cast(site.add_film("Okafor"), site.add_person("Bruno Moreau"))
    site.add_film("A Harbour")
    site.run()
    _, hits = search(elasticsearch_node.url, "okafor harbour", dsn=site.dsn)
    assert [hit.id for hit in hits] == [film]


@pytest.mark.usefixtures("client")
def test_a_search_before_the_first_run_says_what_to_wait_for(
    elasticsearch_node: Elasticsearch,
) -> None:
    with pytest.raises(LookupError, match="no index movies yet: wait for the first run"):
        search(elasticsearch_node.url, "tears")


def test_dead_letters_are_counted(site: Site, elasticsearch_node: Elasticsearch) -> None:
    assert count(elasticsearch_node.url, "movies-dead-letters") == 0
    site.add_film("Not a number", rating=float("nan"))
    site.run()
    assert count(elasticsearch_node.url, "movies-dead-letters") == 1
