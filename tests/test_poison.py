"""Every odd value that the catalogue's schema allows, in one catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from movies_etl.sync.asked_for import RunParams

from tests.support.site import Site, sent

CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f"
STRANGE = (
    "🎬🏳️‍🌈 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "quotes \" ' ` „“ « and back\\slashes \\n \\u0041 \\\\",
    CONTROLS,
    "line\u2028paragraph\u2029next\u0085end\ufeff",
    "e\u0301 A\u030a \u1112\u1161\u11ab " + "z" + "\u0301" * 50,
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\ufffe\uffff \ue000 \U0010ffff \ufffd",
    "{} [] null NaN <b>&amp;</b> %s %(id)s {0} $1 ; DROP TABLE content.film_work; --",
    " ",
    "\t\n ",
    "",
)
"""Texts that are valid."""
TIMES = (
    *(None, "infinity", "-infinity", "4000-01-01 00:00:00+00 BC", "0001-01-01 00:00:00+00"),
    *("1969-12-31 23:59:59.999999+00", "2099-01-01 00:00:00+00", "290000-01-01 00:00:00+00"),
)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no number": (
        {"rating": "NaN"},
        "validation",
        'imdb_rating: Input should be a valid number (got "NaN")',
    ),
    "infinite": (
        {"rating": "Infinity"},
        "validation",
        'imdb_rating: Input should be a valid number (got "Infinity")',
    ),
    "infinitely bad": (
        {"rating": "-Infinity"},
        "validation",
        'imdb_rating: Input should be a valid number (got "-Infinity")',
    ),
    "too great": ({"rating": 1e300}, "indexing", "[float] supports only finite values"),
    "no title": ({"title": None}, "validation", "title: Input should be a valid string (got null)"),
    "long title": (
        {"title": "\u044f" * 20_000},
        "indexing",
        'in field="title.raw" (whose UTF8 encoding is longer than the max length 32766)',
    ),
}
"""Films that cannot be indexed: columns, stage of the refusal, and what the letter says."""

VALID: tuple[dict[str, Any], ...] = (
    {"rating": None, "description": None},
    *({"rating": rating} for rating in (0, -1, 5e-324, -0.0, 3.4e38, 7.123456789012345)),
    *({"title": text, "description": text} for text in STRANGE),
    *({"modified": modified} for modified in TIMES),
    {"description": "word " * 200_000},
    {"description": "x" * 1_000_000},
    {"title": "x" * 32_766},
)
IDS = ('a"b\\c', " ", "line\nbreak", "/?#&=%2F..", "_all", "\u044b" * 256, "\U0001f3ac", "0")
"""Text ids that Elasticsearch takes."""

REFUSED_IDS = {
    "": "id: String should have at least 1 character",
    "\u044b" * 257: "id: an id has at most 512 bytes",
}


def add_odd_people(site: Site) -> None:
    """Add persons and genres of every odd kind to films of their own."""
    for text in STRANGE:
        film = site.add_film("Of strange people")
        site.cast(film, site.add_person(text), "director")
        site.label(film, site.add_genre(text))
    film = site.add_film("Of persons without a name")
    site.cast(film, site.add_person(None), "actor")
    site.label(film, site.add_genre(None))
    film = site.add_film("Of one person in every role, often")
    person, namesake = site.add_person("Ann"), site.add_person("Ann")
    for role in ("actor", "actor", "director", "writer", "producer", "", None, "ACTOR"):
        site.cast(film, person, role)
        site.cast(film, namesake, role)
    drama = site.add_genre("Drama")
    for genre in (drama, drama, site.add_genre("Drama"), site.add_genre("drama")):
        site.label(film, genre)
    film = site.add_film("Of many")
    for number in range(500):
        site.cast(film, site.add_person(f"Extra {number % 490}"), "actor")
    for number, modified in enumerate(TIMES):
        film = site.add_film(f"Of people of odd times {number}")
        site.cast(film, site.add_person(f"Person {number}", modified=modified), created=modified)
        site.label(film, site.add_genre(f"Genre {number}", modified=modified), created=modified)


@pytest.fixture
def odd(site: Site) -> Site:
    """A site with every odd value that is valid, not loaded yet."""
    site.configure(page_size=25)
    site.drop_constraints("u")
    for table, column in (("film_work", "title"), ("person", "full_name"), ("genre", "name")):
        site.execute(f"ALTER TABLE content.{table} ALTER COLUMN {column} DROP NOT NULL")
    for columns in VALID:
        site.add_film(**columns)
    add_odd_people(site)
    return site


def assert_equal_but(site: Site, films: set[str]) -> None:
    """Assert that the index has every document but these films'."""
    found, wanted = site.documents(), site.expected()
    assert found.keys() == wanted.keys() - films
    assert {film: found[film] for film in found if found[film] != wanted[film]} == {}


def test_whatever_is_valid_is_indexed_and_the_rest_is_explained(odd: Site) -> None:
    films = {name: odd.add_film(**columns) for name, (columns, _, _) in REFUSED.items()}
    last = odd.add_film("After all", modified="2021-01-01 00:00:00+00")
    counters = odd.run()
    assert_equal_but(odd, set(films.values()))
    letters = odd.letters()
    assert letters.keys() == set(films.values())
    for name, (_, stage, reason) in REFUSED.items():
        letter = letters[films[name]]
        assert letter["stage"] == stage
        assert reason in letter["reason"]
        assert len(letter["reason"]) < 500
    assert counters["film_work"].refused == len(REFUSED)
    cursor = odd.cursors.load("film_work")
    assert cursor is not None
    assert cursor.rows is not None
    assert cursor.rows.id == last

    versions = odd.versions()
    again = odd.run()
    assert (sent(again), again["film_work"].refused) == (0, 0)
    assert odd.versions() == versions
    assert odd.letters() == letters


def test_letters_of_rows_that_were_mended_are_resolved(odd: Site) -> None:
    films = [odd.add_film(**columns) for columns, _, _ in REFUSED.values()]
    odd.run()
    fix = "UPDATE content.film_work SET title = 'Fixed', rating = 1"
    odd.execute(f"{fix}, modified = now() WHERE id = %s", films[0])
    odd.run()
    assert odd.letters().keys() == set(films[1:])
    odd.execute(f"{fix} WHERE id = ANY(%s::uuid[])", films)  # behind the cursor
    odd.run(asked=RunParams(replay=films[1:3]))
    assert odd.letters().keys() == set(films[3:])
    odd.run(asked=RunParams(replay=["all"]))
    assert odd.letters() == {}
    odd.assert_equal()


def test_ids_of_any_text_are_indexed_or_explained(odd: Site) -> None:
    odd.use_text_ids()
    person, genre = odd.add_person("Ann", id=""), odd.add_genre("Drama", id="\n")
    for film in (*IDS, *REFUSED_IDS):
        odd.add_film("Of an odd id", id=film)
        odd.cast(film, person)
        odd.label(film, genre)
    odd.run()
    assert_equal_but(odd, set(REFUSED_IDS))
    reasons = {film: letter["reason"] for film, letter in odd.letters().items()}
    assert reasons.keys() == REFUSED_IDS.keys()
    for film, reason in REFUSED_IDS.items():
        assert reason in reasons[film]
    assert sent(odd.run()) == 0
