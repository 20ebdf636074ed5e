"""What may be sent, and what is said of what may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from movies_etl.definitions.movies import Movie
from movies_etl.errors import problems
from movies_etl.settings import Settings
from pydantic import ValidationError

from tests.support.samples import document


def refused(changes: dict[str, Any]) -> str:
    """Return the complaint about a document with these changes."""
    with pytest.raises(ValidationError) as caught:
        Movie.model_validate_json(json.dumps(document("f1", **changes)))
    return problems(caught.value, with_values=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"imdb_rating": None, "description": None, "genres": [], "actors": [], "actors_names": []},
        {"imdb_rating": 7},
        {"imdb_rating": -1.5},
        {"title": ""},
        {"title": 'q" b\\ \U0001f600 \x01 \u0451\n'},
        {"checksum": -(2**63)},
        {"id": "x" * 512},
        {"id": "\u0451" * 256},
    ],
)
def test_valid_documents_pass_unchanged(changes: dict[str, Any]) -> None:
    wanted = document("f1") | changes
    assert Movie.model_validate_json(json.dumps(wanted)).model_dump() == wanted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", None),
        ("id", "x" * 513),
        ("id", "\u0451" * 257),
        ("id", 7),
        ("imdb_rating", "NaN"),
        ("imdb_rating", "Infinity"),
        ("imdb_rating", "7.5"),
        ("imdb_rating", True),
        ("imdb_rating", float("nan")),
        ("imdb_rating", float("-inf")),
        ("genres", None),
        ("genres", "Drama"),
        ("genres", [None]),
        ("title", None),
        ("title", 3),
        ("description", 3),
        ("actors_names", [1]),
        ("directors", None),
        ("checksum", "12"),
        ("checksum", 1.5),
        ("checksum", None),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_field(field: str, value: Any) -> None:
    assert refused({field: value}).startswith(f"{field}")


@pytest.mark.parametrize("field", sorted(Movie.model_fields))
def test_every_field_is_required(field: str) -> None:
    text = document("f1")
    del text[field]
    with pytest.raises(ValidationError) as caught:
        Movie.model_validate_json(json.dumps(text))
    assert problems(caught.value, with_values=True).startswith(f"{field}: Field required")


def test_unknown_fields_are_refused_in_films_and_in_persons() -> None:
    assert refused({"budget": 1}).startswith("budget: Extra inputs are not permitted")
    person = {"id": "p1", "name": "Ann", "born": 1900}
    assert refused({"writers": [person]}).startswith("writers.0.born: Extra inputs")


@pytest.mark.parametrize("person", [{"id": "p1"}, {"name": "Ann"}, {"id": 1, "name": "Ann"}])
def test_a_person_needs_id_and_name(person: dict[str, str]) -> None:
    assert refused({"actors": [person]}).startswith("actors.0.")


def test_a_complaint_is_one_line_with_field_problem_and_value() -> None:
    assert refused({"imdb_rating": "NaN"}) == (
        'imdb_rating: Input should be a valid number (got "NaN")'
    )
    assert "\n" not in refused({"genres": "two\nlines"})


def test_a_complaint_tells_three_problems_and_counts_the_rest() -> None:
    said = refused({"id": 1, "title": 2, "genres": 3, "description": 4, "checksum": "5"})
    assert said.count("(got") == 3
    assert said.endswith("; and 2 more")


def test_a_complaint_does_not_repeat_a_long_value() -> None:
    assert len(refused({"genres": "x" * 10_000})) < 200


def test_a_document_that_is_not_json_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        Movie.model_validate_json(b'{"id": "f1",')
    assert problems(caught.value, with_values=True).startswith("the value: Invalid JSON")


def test_the_mapping_has_exactly_the_fields_that_are_written() -> None:
    path = Settings().include_dir / "elasticsearch" / "movies.json"
    fields = json.loads(path.read_text())["mappings"]["properties"]
    written = {name for name, field in fields.items() if field["type"] != "alias"}
    assert written == set(Movie.model_fields)
