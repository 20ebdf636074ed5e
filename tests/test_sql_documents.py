"""``documents.sql``: whole documents out of awkward rows, equal bytes for equal rows."""

from __future__ import annotations

import hashlib
import json
import random
import re
from typing import Any

import pytest
from movies_etl.definitions.movies import Movie, Person
from pydantic import ValidationError

from tests.support.catalogue import Catalogue

LISTS = (
    "genres",
    "directors_names",
    "actors_names",
    "writers_names",
    "directors",
    "actors",
    "writers",
)
AWKWARD = (
    'quote " backslash \\ slash / \t tab \n newline \r return \b \f \x01 \x1f \x7f'
    " \u2028 \u2029 \ufeff \u0451 \U0001f600 e\u0301 </script> \\n \\u0041 '' %s {} --"
)
TWINS = ("00000000-0000-0000-0000-00000000000a", "f0000000-0000-0000-0000-00000000000b")


def texts(catalogue: Catalogue, *films: str) -> dict[str, str]:
    _version, pieces = catalogue.source().documents(films)
    documents = [(one.id, one.text.decode()) for piece in pieces for one in piece]
    assert len(documents) == len(dict(documents))
    return dict(documents)


def text(catalogue: Catalogue, film: str) -> str:
    return texts(catalogue, film)[film]


def built(catalogue: Catalogue, film: str) -> dict[str, Any]:
    """Return the document that ``Movie`` accepts, without its checksum."""
    found: dict[str, Any] = Movie.model_validate_json(text(catalogue, film)).model_dump()
    del found["checksum"]
    return found


def test_a_film_with_everything_is_one_whole_document(catalogue: Catalogue) -> None:
    film = catalogue.add_film("Solaris", description="An ocean.", rating=8.1)
    ann, bob = catalogue.add_person("Ann"), catalogue.add_person("Bob")
    for name in ("Sci-Fi", "Drama"):
        catalogue.label(film, catalogue.add_genre(name))
    catalogue.cast(film, bob, "director")
    catalogue.cast(film, bob, "actor")
    catalogue.cast(film, ann, "actor")
    assert built(catalogue, film) == {
        "id": film,
        "imdb_rating": 8.1,
        "genres": ["Drama", "Sci-Fi"],
        "title": "Solaris",
        "description": "An ocean.",
        "directors_names": ["Bob"],
        "actors_names": ["Ann", "Bob"],
        "writers_names": [],
        "directors": [{"id": bob, "name": "Bob"}],
        "actors": [{"id": ann, "name": "Ann"}, {"id": bob, "name": "Bob"}],
        "writers": [],
    }


def test_documents_equal_an_independent_reading_of_the_tables(catalogue: Catalogue) -> None:
    dice = random.Random(7)  # noqa: S311 - the same catalogue each time
    persons = [catalogue.add_person(dice.choice("ABab\u00e9\u0451_ ")) for _ in range(12)]
    genres = [catalogue.add_genre(name) for name in ("b", "B", "a b", "\u00e4")]
    roles = ["actor", "writer", "director", "producer", None]
    films = [catalogue.add_film(f"Film {number}") for number in range(20)]
    for film in films:
        for person in dice.sample(persons, 8):
            for role in dice.sample(roles, 2):
                catalogue.cast(film, person, role)
        for genre in dice.sample(genres, dice.randrange(4)):
            catalogue.label(film, genre)
    wanted = catalogue.expected()
    assert {film: built(catalogue, film) for film in films} == wanted


def test_without_persons_and_genres_the_lists_are_empty(catalogue: Catalogue) -> None:
    film = built(catalogue, catalogue.add_film())
    assert [film[name] for name in LISTS] == [[]] * 7


def test_null_rating_and_description_are_null(catalogue: Catalogue) -> None:
    film = built(catalogue, catalogue.add_film(rating=None, description=None))
    assert (film["imdb_rating"], film["description"]) == (None, None)


def test_an_empty_title_is_valid(catalogue: Catalogue) -> None:
    assert built(catalogue, catalogue.add_film(""))["title"] == ""


def test_a_missing_title_is_refused_and_does_not_hide_the_document(catalogue: Catalogue) -> None:
    catalogue.execute("ALTER TABLE content.film_work ALTER COLUMN title DROP NOT NULL")
    film = catalogue.add_film(None)
    with pytest.raises(ValidationError, match="title"):
        built(catalogue, film)


def test_keys_come_in_the_order_of_the_models_fields(catalogue: Catalogue) -> None:
    film = catalogue.add_film()
    person = catalogue.add_person()
    for role in ("director", "actor", "writer"):
        catalogue.cast(film, person, role)
    document = json.loads(text(catalogue, film))
    fields = [name for name in Movie.model_fields if name != "checksum"]
    assert list(document) == [*fields, "checksum"]
    for role in ("directors", "actors", "writers"):
        assert list(document[role][0]) == list(Person.__annotations__)


def test_a_person_is_listed_once_a_role_however_often_linked(catalogue: Catalogue) -> None:
    catalogue.drop_constraints("u")
    film, person = catalogue.add_film(), catalogue.add_person("Ann")
    genre = catalogue.add_genre("Drama")
    for _ in range(3):
        catalogue.cast(film, person, "actor")
        catalogue.label(film, genre)
    document = built(catalogue, film)
    assert document["actors"] == [{"id": person, "name": "Ann"}]
    assert document["actors_names"] == ["Ann"]
    assert document["genres"] == ["Drama"]


def test_a_person_of_several_roles_is_listed_in_each(catalogue: Catalogue) -> None:
    film, person = catalogue.add_film(), catalogue.add_person("Ann")
    for role in ("director", "actor", "writer", "producer"):
        catalogue.cast(film, person, role)
    document = built(catalogue, film)
    for role in ("directors", "actors", "writers"):
        assert document[role] == [{"id": person, "name": "Ann"}]
        assert document[f"{role}_names"] == ["Ann"]


def test_other_roles_take_no_part(catalogue: Catalogue) -> None:
    film = catalogue.add_film()
    for role in (None, "producer", "", "Actor", "actor "):
        catalogue.cast(film, catalogue.add_person(), role)
    document = built(catalogue, film)
    assert [document[name] for name in LISTS] == [[]] * 7


def test_role_and_type_may_be_enums(catalogue: Catalogue) -> None:
    catalogue.execute("CREATE TYPE content.role AS ENUM ('actor', 'director', 'producer')")
    catalogue.execute("CREATE TYPE content.kind AS ENUM ('movie', 'tv_show')")
    catalogue.retype("person_film_work", "role", "content.role")
    catalogue.retype("film_work", "type", "content.kind")
    film, person = catalogue.add_film(), catalogue.add_person("Ann")
    for role in ("director", "producer", None):
        catalogue.cast(film, person, role)
    document = built(catalogue, film)
    assert document["directors"] == [{"id": person, "name": "Ann"}]
    assert document["writers"] == document["actors"] == []


@pytest.mark.parametrize("column", ["title", "description"])
def test_any_text_arrives_as_it_is_and_on_one_line(catalogue: Catalogue, column: str) -> None:
    film = catalogue.add_film(**{"title": "", column: AWKWARD})
    written = text(catalogue, film)
    assert json.loads(written)[column] == AWKWARD
    assert not re.search("[\x00-\x1f]", written)


def test_any_name_arrives_as_it_is_and_on_one_line(catalogue: Catalogue) -> None:
    film = catalogue.add_film()
    catalogue.label(film, catalogue.add_genre(AWKWARD))
    catalogue.cast(film, catalogue.add_person(AWKWARD), "writer")
    assert not re.search("[\x00-\x1f]", text(catalogue, film))
    document = built(catalogue, film)
    assert document["genres"] == document["writers_names"] == [AWKWARD]
    assert document["writers"][0]["name"] == AWKWARD


def test_lists_are_ordered_by_bytes(catalogue: Catalogue) -> None:
    names = ["b", "B", "a", "\u00e4", "Z", "a b", "a-b", "\U0001f600", "\ufb01", "", "_"]
    film = catalogue.add_film()
    for name in names:
        catalogue.label(film, catalogue.add_genre(name))
        catalogue.cast(film, catalogue.add_person(name), "actor")
    wanted = sorted(names, key=str.encode)
    document = built(catalogue, film)
    assert document["genres"] == document["actors_names"] == wanted
    assert [person["name"] for person in document["actors"]] == wanted


@pytest.mark.parametrize("order", [TWINS, TWINS[::-1]])
def test_persons_of_one_name_are_ordered_by_id(
    catalogue: Catalogue, order: tuple[str, str]
) -> None:
    film = catalogue.add_film()
    for person in order:
        catalogue.cast(film, catalogue.add_person("Ann", id=person), "actor")
    document = built(catalogue, film)
    assert [person["id"] for person in document["actors"]] == list(TWINS)
    assert document["actors_names"] == ["Ann", "Ann"]


def test_genres_of_one_name_are_one(catalogue: Catalogue) -> None:
    film = catalogue.add_film()
    for _ in range(2):
        catalogue.label(film, catalogue.add_genre("Drama"))
    assert built(catalogue, film)["genres"] == ["Drama"]


def test_persons_and_genres_without_a_name_are_left_out(catalogue: Catalogue) -> None:
    catalogue.execute("ALTER TABLE content.person ALTER COLUMN full_name DROP NOT NULL")
    catalogue.execute("ALTER TABLE content.genre ALTER COLUMN name DROP NOT NULL")
    film = catalogue.add_film()
    catalogue.cast(film, catalogue.add_person(None), "actor")
    catalogue.label(film, catalogue.add_genre(None))
    document = built(catalogue, film)
    assert document["actors"] == document["actors_names"] == document["genres"] == []


@pytest.mark.parametrize("rating", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("type_name", ["double precision", "real", "numeric"])
def test_a_rating_that_is_no_number_is_refused_by_the_model(
    catalogue: Catalogue, rating: str, type_name: str
) -> None:
    catalogue.retype("film_work", "rating", type_name)
    film = catalogue.add_film(rating=rating)
    json.loads(text(catalogue, film))
    with pytest.raises(ValidationError, match="imdb_rating"):
        built(catalogue, film)


@pytest.mark.parametrize(
    ("type_name", "rating", "written"),
    [
        ("double precision", 0.1, "0.1"),
        ("double precision", 8.0, "8"),
        ("double precision", 1e300, "1e+300"),
        ("real", 7.1, "7.1"),
        ("numeric(3,1)", 7.0, "7.0"),
        ("numeric", "8.123456789012345678", "8.123456789012345678"),
        ("integer", 7, "7"),
    ],
)
def test_the_rating_is_a_plain_number_in_any_type_of_column(
    catalogue: Catalogue, type_name: str, rating: object, written: str
) -> None:
    catalogue.retype("film_work", "rating", type_name)
    film = catalogue.add_film(rating=rating)
    assert f'"imdb_rating":{written},' in text(catalogue, film)
    assert built(catalogue, film)["imdb_rating"] == float(written)


def test_ids_may_be_any_text(catalogue: Catalogue) -> None:
    catalogue.use_text_ids()
    film = catalogue.add_film(id=AWKWARD)
    catalogue.cast(film, catalogue.add_person("Ann", id='p"1'), "actor")
    catalogue.label(film, catalogue.add_genre("Drama", id="\\g"))
    document = built(catalogue, film)
    assert document["id"] == film
    assert document["actors"] == [{"id": 'p"1', "name": "Ann"}]
    assert document["genres"] == ["Drama"]


def test_the_checksum_is_the_beginning_of_md5_over_the_text_before_it(catalogue: Catalogue) -> None:
    films = [catalogue.add_film(f"Film {number} \u0451", rating=number) for number in range(40)]
    signs = set()
    for written in texts(catalogue, *films).values():
        body, _, checksum = written[:-1].rpartition(',"checksum":')
        digest = hashlib.md5(body.encode(), usedforsecurity=False).digest()
        assert int(checksum) == int.from_bytes(digest[:8], "big", signed=True)
        signs.add(int(checksum) < 0)
    assert signs == {True, False}


def test_equal_content_gives_equal_bytes_whatever_the_order_of_insertion(
    catalogue: Catalogue,
) -> None:
    film = catalogue.add_film()
    names = ["Ann", "ann", "\u00c4nn", "Bob", "Bob", "Zoe"]
    persons = [(catalogue.add_person(name), role) for name in names for role in ("actor", "writer")]
    genres = [catalogue.add_genre(name) for name in ("x", "X", "y")]
    written = set()
    for seed in range(5):
        dice = random.Random(seed)  # noqa: S311
        catalogue.execute("DELETE FROM content.person_film_work")
        catalogue.execute("DELETE FROM content.genre_film_work")
        for person, role in dice.sample(persons, len(persons)):
            catalogue.cast(film, person, role)
        for genre in dice.sample(genres, len(genres)):
            catalogue.label(film, genre)
        written.add(text(catalogue, film))
    assert len(written) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE content.film_work SET title = 'Other'",
        "UPDATE content.film_work SET description = ''",
        "UPDATE content.film_work SET rating = 0.1",
        "UPDATE content.genre SET name = 'Noir'",
        "UPDATE content.person SET full_name = 'Zoe'",
        "UPDATE content.person_film_work SET role = 'writer'",
        "DELETE FROM content.person_film_work",
        "DELETE FROM content.genre_film_work",
    ],
)
def test_every_change_of_content_changes_the_checksum(catalogue: Catalogue, change: str) -> None:
    film = catalogue.add_film()
    catalogue.cast(film, catalogue.add_person("Ann"), "actor")
    catalogue.label(film, catalogue.add_genre("Drama"))
    before = json.loads(text(catalogue, film))["checksum"]
    catalogue.execute(change)
    assert json.loads(text(catalogue, film))["checksum"] != before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE content.film_work SET modified = now(), type = 'tv_show', creation_date = now()",
        "UPDATE content.person_film_work SET created = now()",
        "UPDATE content.genre SET description = 'long'",
    ],
)
def test_a_change_that_no_document_shows_leaves_the_bytes(
    catalogue: Catalogue, change: str
) -> None:
    film = catalogue.add_film()
    catalogue.cast(film, catalogue.add_person("Ann"), "actor")
    catalogue.label(film, catalogue.add_genre("Drama"))
    before = text(catalogue, film)
    catalogue.execute(change)
    assert text(catalogue, film) == before


def test_only_the_asked_films_that_exist_are_returned_each_once(catalogue: Catalogue) -> None:
    films = [catalogue.add_film() for _ in range(3)]
    gone = "00000000-0000-0000-0000-000000000001"
    assert texts(catalogue, films[0], gone, films[1], films[0]).keys() == set(films[:2])
    assert texts(catalogue) == {}
    assert texts(catalogue, gone) == {}
