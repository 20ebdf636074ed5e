"""A whole run over real servers: what is loaded, what is sent again, and what is not."""

from __future__ import annotations

import pytest
from movies_etl.sync import Requests

from tests.site import Site


@pytest.fixture
def small(site: Site) -> Site:
    """A few films that share persons and genres."""
    films = [site.add_film(f"Film {number}", rating=number / 2) for number in range(7)]
    genres = [site.add_genre(name) for name in ("Drama", "Comedy")]
    persons = [site.add_person(name) for name in ("Ann", "Bob", "Cy")]
    for number, film in enumerate(films[:6]):
        site.label(film, genres[number % 2])
        site.cast(film, persons[number % 3], ("director", "actor", "writer")[number % 3])
        site.cast(film, persons[0], "writer")
    return site


def sent(counters: dict) -> int:
    return sum(counter.indexed for counter in counters.values())


def test_first_run_loads_everything(small: Site) -> None:
    counters = small.run()
    small.assert_equal()
    assert counters["film_work"].indexed == 7
    assert counters["genre"].read == counters["person"].read == 0


def test_second_run_sends_nothing(small: Site) -> None:
    small.run()
    before = small.versions()
    assert sent(small.run()) == 0
    assert small.versions() == before


def test_changed_film_genre_and_person_arrive(small: Site) -> None:
    small.run()
    small.execute(
        "UPDATE content.film_work SET rating = 9.9, modified = now() WHERE title = 'Film 1'"
    )
    small.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    small.execute(
        "UPDATE content.person SET full_name = 'Zoe', modified = now() WHERE full_name = 'Ann'"
    )
    counters = small.run()
    small.assert_equal()
    assert counters["film_work"].indexed == 1
    assert sent(counters) == 6  # each film once, for whatever reasons
    assert sent(small.run()) == 0


def test_requested_films_are_sent_whatever_the_index_has(small: Site) -> None:
    small.run()
    film = next(iter(small.versions()))
    counters = small.run(asked=Requests(ids=[film]))
    assert counters["film_work"].indexed == 1
