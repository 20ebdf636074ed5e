"""A whole run over real servers: what is loaded, what is sent again, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.starting_points import Reload

from tests.support.indices import each_index, over
from tests.support.protections import notices
from tests.support.site import Site, sent


@each_index
def test_first_run_loads_everything(small: Site) -> None:
    first, *others = small.run().values()
    small.assert_equal()
    assert first.indexed == len(small.expected()) > 1
    assert [counter.read for counter in others] == [0] * len(others)


@each_index
def test_an_empty_catalogue_is_loaded_and_its_first_row_arrives_later(site: Site) -> None:
    assert sent(site.run()) == 0
    site.add_root("The first", modified="2001-01-01 00:00:00+00")
    assert sent(site.run()) == 1
    site.assert_equal()


@each_index
def test_second_run_sends_nothing(loaded: Site) -> None:
    before = loaded.versions()
    counters = loaded.run()
    assert sent(counters) == 0
    assert sum(counter.read for counter in counters.values()) == 0
    assert loaded.versions() == before


@each_index
def test_changed_root_rows_arrive(loaded: Site) -> None:
    changed = min(loaded.expected())
    loaded.change("Other", f"id = '{changed}'")
    first, *others = loaded.run().values()
    loaded.assert_equal()
    assert (first.read, first.indexed) == (1, 1)
    assert sum(counter.read for counter in others) == 0
    assert sent(loaded.run()) == 0


@notices("7")
def test_changed_film_genre_and_person_arrive(loaded: Site) -> None:
    loaded.execute(
        "UPDATE content.film_work SET rating = 9.9, modified = now() WHERE title = 'Film 1'"
    )
    loaded.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    loaded.execute(
        "UPDATE content.person SET full_name = 'Zoe', modified = now() WHERE full_name = 'Ann'"
    )
    counters = loaded.run()
    loaded.assert_equal()
    assert counters["film_work"].indexed == 1
    assert counters["genre"].indexed == 3
    assert sent(counters) == 6  # each film once, for whatever reasons
    assert sent(loaded.run()) == 0


def test_new_links_bring_their_films(loaded: Site) -> None:
    (lonely,) = [film for film, document in loaded.documents().items() if not document["genres"]]
    genre = loaded.add_genre("Western")
    person = loaded.add_person("Zoe")
    loaded.label(lonely, genre, created="now()")
    first = loaded.run()
    loaded.assert_equal()
    loaded.cast(lonely, person, "director", created="now()")
    second = loaded.run()
    loaded.assert_equal()
    assert loaded.documents()[lonely]["directors"] == [{"id": person, "name": "Zoe"}]
    assert (first["genre"].indexed, second["person"].indexed) == (1, 1)
    assert sent(loaded.run()) == 0


def test_a_film_without_persons_and_genres_has_empty_lists(site: Site) -> None:
    film = site.add_film("", description=None, rating=None)
    site.run()
    site.assert_equal()
    document = site.documents()[film]
    assert document["title"] == ""
    assert document["imdb_rating"] is document["description"] is None
    lists = [value for value in document.values() if isinstance(value, list)]
    assert lists == [[]] * 7


def test_a_person_without_films_is_read_and_costs_nothing(loaded: Site) -> None:
    loaded.add_person("Nobody's", modified="now()")
    loaded.add_genre("Empty", modified="now()")
    counters = loaded.run()
    loaded.assert_equal()
    assert counters["genre"].read == counters["person"].read == 0
    loaded.queries.clear()
    loaded.run()
    assert (
        loaded.queries["feed/fan_out.sql person"] == loaded.queries["feed/fan_out.sql genre"] == 0
    )


def found(site: Site, query: dict[str, Any]) -> set[str]:
    """Return the ids that a search of the alias finds."""
    answer = site.client.search(index=site.definition.alias, query=query)
    return {hit["_id"] for hit in answer["hits"]["hits"]}


@over(GENRES)
def test_genres_are_found_by_words_and_by_the_beginning_of_their_name(site: Site) -> None:
    fiction, science = site.add_genre("Science Fiction"), site.add_genre("Science")
    drama = site.add_genre("Драма", description="Sad stories")
    site.run()
    site.assert_equal()
    assert found(site, {"prefix": {"name.raw": "Science"}}) == {fiction, science}
    assert found(site, {"prefix": {"name.raw": "science"}}) == set()
    assert found(site, {"match": {"name": "fictions"}}) == {fiction}
    assert found(site, {"match": {"name": "драмы"}}) == {drama}
    assert found(site, {"match": {"description": "story"}}) == {drama}


@over(PERSONS)
def test_persons_are_found_by_name_and_by_their_films(site: Site) -> None:
    ann, idle = site.add_person("Ann Lee"), site.add_person("Ann Idle")
    good, bad = site.add_film("Good", rating=9), site.add_film("Bad", rating=1)
    site.add_film("Nobody's")
    site.cast(good, ann, "director")
    site.cast(bad, ann, "actor")
    site.run()
    site.assert_equal()
    assert found(site, {"match": {"full_name": "ann"}}) == {ann, idle}
    assert found(site, {"prefix": {"full_name.raw": "Ann L"}}) == {ann}

    def of_one_film(role: str) -> set[str]:
        """Return the persons with this role in one film of at least 5."""
        asked = [{"term": {"films.roles": role}}, {"range": {"films.imdb_rating": {"gte": 5}}}]
        return found(site, {"nested": {"path": "films", "query": {"bool": {"must": asked}}}})

    assert of_one_film("director") == {ann}
    assert of_one_film("actor") == set()


def test_roles_that_a_document_does_not_have_take_no_part(site: Site) -> None:
    film, person = site.add_film(), site.add_person("Pat")
    for role in ("producer", None, "director"):
        site.cast(film, person, role)
    site.run()
    site.assert_equal()
    document = site.documents()[film]
    assert document["directors_names"] == ["Pat"]
    assert document["actors"] == document["writers"] == []


def test_role_and_type_may_be_enums(small: Site) -> None:
    small.execute("CREATE TYPE content.kind AS ENUM ('movie', 'tv_show')")
    small.execute("CREATE TYPE content.role AS ENUM ('producer', 'writer', 'director', 'actor')")
    small.retype("film_work", "type", "content.kind")
    small.retype("person_film_work", "role", "content.role")
    film = next(iter(small.expected()))
    small.cast(film, small.add_person("Pat"), "producer")
    small.cast(film, small.add_person("Null"), None)
    assert sent(small.run()) == 7
    small.assert_equal()
    small.execute("UPDATE content.person SET full_name = 'Zoe', modified = now()")
    small.run()
    small.assert_equal()


def test_ids_may_be_text(site: Site) -> None:
    site.use_text_ids()
    site.configure(page_size=2)
    films = [
        site.add_film(name, id=name) for name in ("tt1", "-", 'a "b"', "\u0451/\\", "Z z", "!")
    ]
    genre = site.add_genre("Drama", id="#1")
    for film in films[:5]:
        site.label(film, genre)
        site.cast(film, site.add_person(film, id=f"nm {film}"), "actor")
    assert sent(site.run()) == 6
    site.assert_equal()
    site.execute("UPDATE content.genre SET name = 'Noir', modified = now()")
    assert sent(site.run()) == 5
    site.assert_equal()


@each_index
def test_ids_that_elasticsearch_does_not_take_stop_nobody(site: Site) -> None:
    site.use_text_ids()
    odd = [site.add_root("No id", id=""), site.add_root("Long id", id="\u0451" * 300)]
    good = site.add_root("Good", id="good")
    site.run()
    site.change("Good again")
    site.run()
    assert site.documents() == {good: site.expected()[good]}
    assert site.letters().keys() == set(odd)


@each_index
def test_requested_documents_are_sent_whatever_the_index_has(loaded: Site) -> None:
    before = loaded.versions()
    one, *others = before
    first, *_ = loaded.run(asked=RunParams(ids=[one])).values()
    assert first.indexed == 1
    after = loaded.versions()
    assert after[one] > before[one]
    assert [after[other] for other in others] == [before[other] for other in others]


@each_index
def test_requested_documents_that_do_not_exist_are_passed_over(loaded: Site) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    assert sent(loaded.run(asked=RunParams(ids=[gone]))) == 0
    loaded.assert_equal()


@pytest.mark.parametrize(
    ("definition", "reload", "indexed"),
    [
        (MOVIES, "none", [0, 0, 0]),
        (MOVIES, "all", [8, 0, 0]),
        (MOVIES, "film_work", [8, 0, 0]),
        (MOVIES, "genre", [0, 6, 0]),
        (MOVIES, "person", [0, 0, 6]),
        (GENRES, "none", [0]),
        (GENRES, "all", [3]),
        (GENRES, "genre", [3]),
        (PERSONS, "all", [4, 0]),
        (PERSONS, "person", [4, 0]),
        (PERSONS, "film_work", [0, 3]),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_reload_sends_the_documents_of_a_stream_again(
    loaded: Site, reload: Reload, indexed: list[int]
) -> None:
    loaded.add_root("One more", modified="1999-01-01 00:00:00+00")  # behind the cursor: not seen
    counters = loaded.run(reload)
    assert [c.indexed for c in counters.values()] == indexed
    assert sent(loaded.run()) == 0
    assert loaded.documents().keys() - loaded.expected().keys() == set()
    if reload in ("all", loaded.definition.root.name):
        loaded.assert_equal()
