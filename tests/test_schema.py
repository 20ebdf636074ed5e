"""What is said of a catalogue that the queries do not fit."""

from __future__ import annotations

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.indexes import missing_indexes
from movies_etl.postgres.layout import FoundColumn, by_table, layout_of
from movies_etl.postgres.schema import problems_of
from movies_etl.settings import Settings
from movies_etl.state.layout import Layout

from tests.support.columns import changed, fitting

GOOD = fitting(MOVIES)
PLAIN = "timestamp without time zone"


def problems(columns: list[FoundColumn]) -> list[str]:
    return problems_of(by_table(columns), MOVIES, Settings(), "reader")


def layout(columns: list[FoundColumn]) -> Layout:
    return layout_of(by_table(columns), MOVIES, Settings())


def missing(found: list[tuple[str, list[str]]]) -> list[str]:
    return missing_indexes(found, MOVIES, "content", layout(GOOD))


def places(kind: str) -> list[str]:
    """Return the columns of a kind."""
    return [
        f"{table}.{name}"
        for table, columns in MOVIES.required.items()
        for name, column in columns.items()
        if column.kind == kind
    ]


def test_a_catalogue_that_fits_is_not_complained_of() -> None:
    more = [GOOD[0]._replace(table="review"), GOOD[0]._replace(name="poster", type="bytea")]
    assert problems([*GOOD, *more]) == []


def test_a_database_without_the_schema_is_told_apart_from_missing_tables() -> None:
    assert problems([]) == ["it has no schema content with tables"]


@pytest.mark.parametrize("table", sorted(MOVIES.required))
def test_a_missing_table_is_named(table: str) -> None:
    said = problems([column for column in GOOD if column.table != table])
    assert said == [f"table content.{table} is missing (a view is not enough: rows have xmin)"]


@pytest.mark.parametrize("column", GOOD, ids=lambda column: f"{column.table}.{column.name}")
def test_each_column_that_the_queries_read_is_asked_for(column: FoundColumn) -> None:
    (said,) = problems([other for other in GOOD if other is not column])
    assert said.startswith(f"column content.{column.table}.{column.name} is missing")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    left = [column for column in GOOD if column.name not in ("title", "role")]
    assert len(problems([column for column in left if column.table != "genre"])) == 3


def test_a_table_that_may_not_be_read_is_told_with_the_right_that_it_takes() -> None:
    (said,) = problems(changed(GOOD, "person", is_readable=False))
    assert said.startswith(
        "the role may not read content.person (GRANT SELECT ON content.person TO"
    )


def test_a_table_with_row_level_security_is_told_with_the_remedy() -> None:
    (said,) = problems(changed(GOOD, "person", is_filtered=True))
    assert "row-level security may hide rows of content.person" in said
    assert "ALTER ROLE reader BYPASSRLS" in said


@pytest.mark.parametrize("type_name", ["uuid", "text", "character varying", "integer", "bigint"])
def test_ids_may_be_uuids_text_or_integers(type_name: str) -> None:
    keyed = [
        column._replace(type=type_name) if column.name.endswith("id") else column for column in GOOD
    ]
    assert problems(keyed) == []


@pytest.mark.parametrize("type_name", ["smallint", "numeric", "bytea"])
def test_other_ids_are_refused(type_name: str) -> None:
    said = problems(changed(GOOD, "genre.id", type=type_name))
    assert f"content.genre.id is {type_name}; ids of type uuid, text, integer" in said[0]


@pytest.mark.parametrize("place", places("key"))
@pytest.mark.parametrize("type_name", ["text", "integer"])
def test_a_foreign_key_of_another_type_than_its_key_is_refused(place: str, type_name: str) -> None:
    (said,) = problems(changed(GOOD, place, type=type_name))
    table = place.split(".")[1].removesuffix("_id")
    assert said == (
        f"content.{place} is {type_name}, but content.{table}.id is uuid; make them one type"
    )


def test_text_and_varchar_are_one_type_of_key() -> None:
    texts = changed(changed(GOOD, "genre.id", type="text"), "genre_film_work.genre_id")
    assert problems(changed(texts, "genre_film_work.genre_id", type="character varying")) == []


@pytest.mark.parametrize("place", places("stamp"))
@pytest.mark.parametrize("type_name", ["date", "bigint", "text"])
def test_a_stamp_of_another_type_is_refused(place: str, type_name: str) -> None:
    said = problems(changed(GOOD, place, type=type_name))
    assert said == [f"content.{place} is {type_name}, not a timestamp"]


@pytest.mark.parametrize("place", places("text"))
@pytest.mark.parametrize(
    ("type_name", "category"), [("jsonb", "U"), ("text[]", "A"), ("bytea", "U")]
)
def test_what_is_no_text_is_refused(place: str, type_name: str, category: str) -> None:
    said = problems(changed(GOOD, place, type=type_name, category=category))
    assert said == [f"content.{place} is {type_name}, not a text"]


@pytest.mark.parametrize(("type_name", "category"), [("text", "S"), ("money", "N"), ("jsonb", "U")])
def test_what_is_no_number_is_refused(type_name: str, category: str) -> None:
    (said,) = problems(changed(GOOD, "film_work.rating", type=type_name, category=category))
    assert said.startswith(f"content.film_work.rating is {type_name}, not a number (smallint, ")


def test_tables_whose_stamps_have_no_zone_are_known() -> None:
    columns = changed(GOOD, "genre.modified", type=PLAIN)
    columns = changed(columns, "person_film_work.created", type=PLAIN)
    assert problems(columns) == []
    assert sorted(layout(columns).without_zone) == ["genre", "person_film_work"]
    assert layout(GOOD).without_zone == ()


def test_an_index_that_begins_with_the_columns_is_enough() -> None:
    found = [(table, [*columns, "title"]) for table, columns in MOVIES.read_by]
    assert missing(found) == []


@pytest.mark.parametrize(("table", "columns"), MOVIES.read_by)
def test_each_index_that_is_missing_is_named(table: str, columns: tuple[str, ...]) -> None:
    found = [
        (other, list(of_other))
        for other, of_other in MOVIES.read_by
        if (other, of_other) != (table, columns)
    ]
    statement = f"CREATE INDEX CONCURRENTLY ON content.{table} ({', '.join(columns)})"
    assert statement in missing(found)


def test_an_index_of_other_columns_or_another_table_does_not_count() -> None:
    assert missing([("film_work", ["id", "modified"])]) == missing([])
    assert missing([("review", ["modified", "id"])]) == missing([])
    assert len(missing([])) == len(MOVIES.read_by)
