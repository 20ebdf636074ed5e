"""The sample films as the catalogue gets them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from local.descriptions import RUSSIAN_TITLES
from local.films import Film, films, key, stamps

SNAPSHOT = datetime(2026, 10, 18, tzinfo=UTC)
RUSSIAN = {
    53105: ("Moscow Does Not Believe in Tears", 1980),
    125772: ("Solaris", 1972),
    147878: ("Ivan's Childhood", 1962),
    200437: ("Stalker", 1979),
    503046: ("Andrei Rublev", 1966),
    714524: ("The Cranes Are Flying", 1957),
    838149: ("The Mirror", 1975),
    1127167: ("Burnt by the Sun", 1994),
    1130395: ("Come and See", 1985),
    1305092: ("Ballad of a Soldier", 1959),
}


@pytest.fixture(scope="module")
def catalogue() -> dict[int, Film]:
    """All films by their number."""
    return {film.number: film for film in films()}


def test_all_films_are_there(catalogue: dict[int, Film]) -> None:
    assert len(catalogue) == 17_472
    assert len({film.id for film in catalogue.values()}) == 17_472


def test_keys_never_change(catalogue: dict[int, Film]) -> None:
    assert catalogue[83495].title == "The Matrix"
    assert catalogue[83495].id == "23e27333-a114-5c9c-8c85-4928ae8dfb3e"
    assert key("person", "Keanu Reeves") == "af999532-b4c9-5109-9df2-222507534120"


def test_names_are_names(catalogue: dict[int, Film]) -> None:
    names = {name for film in catalogue.values() for _, name in film.credits()}
    assert 63_000 < len(names) < 64_000
    assert not [name for name in names if not name or name != " ".join(name.split())]
    stray = re.compile(
        r"(Jr|Sr)\.?|I{1,3}|list of .*|\d+\w\w (Earl|Baron|Prince|Marquess).*|.*\(.*|the Wachowskis"
    )
    assert not [name for name in names if stray.fullmatch(name)]


def test_a_person_has_a_role_in_a_film_once(catalogue: dict[int, Film]) -> None:
    for film in catalogue.values():
        roles = list(film.credits())
        assert len(roles) == len(set(roles)), film.title
        assert len(film.genres) == len(set(film.genres)), film.title


def test_ratings_have_one_scale(catalogue: dict[int, Film]) -> None:
    ratings = [film.rating for film in catalogue.values() if film.rating is not None]
    assert len(ratings) == 17_130
    assert 0 < min(ratings) <= max(ratings) <= 10
    assert catalogue[104123].rating is None  # Pulp Fiction has a percentage only


def test_descriptions_are_sentences(catalogue: dict[int, Film]) -> None:
    for film in catalogue.values():
        text = film.description
        assert re.fullmatch(r"An? .+\.", text), text
        assert not re.search(r"\bNone\b|\bnan\b|  |\n|, \.|\.\.|\[|\{", text), text
    assert catalogue[25188].description == (
        "A 148-minute science fiction film from 2010 with elements of thriller, mystery and drama, "
        "written and directed by Christopher Nolan. It was made in the United Kingdom and the "
        "United States in English, French and Japanese and stars Michael Caine, Tom Berenger, "
        "Joseph Gordon-Levitt and Lukas Haas. It won 3 Oscars and took $837 million at the box "
        "office."
    )


def test_russian_titles_are_of_the_films_that_they_are_given_to(catalogue: dict[int, Film]) -> None:
    assert set(RUSSIAN_TITLES) == set(RUSSIAN)
    for number, (title, year) in RUSSIAN.items():
        film = catalogue[number]
        assert film.title == title
        assert f"from {year}" in film.description
        assert film.description.endswith(f"Original title: «{RUSSIAN_TITLES[number]}».")


def test_titles_are_without_the_disambiguation_of_an_encyclopedia(
    catalogue: dict[int, Film],
) -> None:
    assert catalogue[541354].title == "Faust"
    assert not [film for film in catalogue.values() if film.title.endswith("film)")]


def test_stamps_are_old_and_tie_as_imports_do(catalogue: dict[int, Film]) -> None:
    all_stamps = [stamps(film.id) for film in catalogue.values()]
    assert all(created <= modified < SNAPSHOT for created, modified in all_stamps)
    shared = Counter(modified for _, modified in all_stamps)
    assert shared.most_common(1)[0][1] > 100
    assert sum(1 for number in shared.values() if number == 1) > 5_000
