"""What is said of a catalogue that the queries do not fit."""

from __future__ import annotations

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.schema import Columns, missing_indexes
from movies_etl.settings import Settings

TYPES = {
    "id": "uuid",
    "modified": "timestamp with time zone",
    "created": "timestamp with time zone",
}
Rows = list[tuple[str, str, str, bool]]


def columns_of(rows: Rows) -> Columns:
    return Columns(rows, MOVIES, Settings())


def missing(found: list[tuple[str, list[str]]]) -> list[str]:
    return missing_indexes(found, MOVIES, Settings())


def good(**other_types: str) -> Rows:
    """Return the columns of a catalogue that fits, some of another type (``film_work__id``)."""
    return [
        (table, column, other_types.get(f"{table}__{column}", TYPES.get(column, "text")), True)
        for table, columns in MOVIES.required.items()
        for column in columns
    ]


def test_a_catalogue_that_fits_is_not_complained_of() -> None:
    more = ("film_work", "poster", "bytea", True), ("review", "id", "integer", False)
    assert columns_of([*good(), *more]).problems() == []


def test_a_database_without_the_schema_is_told_apart_from_missing_tables() -> None:
    assert columns_of([]).problems() == ["it has no schema content with tables"]


@pytest.mark.parametrize("table", sorted(MOVIES.required))
def test_a_missing_table_is_named(table: str) -> None:
    rows = [row for row in good() if row[0] != table]
    assert columns_of(rows).problems() == [f"table content.{table} is missing"]


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table in MOVIES.required for column in MOVIES.required[table]],
)
def test_each_column_that_the_queries_read_is_asked_for(table: str, column: str) -> None:
    rows = [row for row in good() if row[:2] != (table, column)]
    assert columns_of(rows).problems() == [f"column content.{table}.{column} is missing"]


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [
        ("film_work", "modified", "updated_at"),
        ("person", "modified", "updated"),
        ("genre_film_work", "created", "created_at"),
    ],
)
def test_a_column_of_another_name_is_pointed_to(table: str, column: str, name: str) -> None:
    rows = [(row[0], name if row[:2] == (table, column) else row[1], *row[2:]) for row in good()]
    assert columns_of(rows).problems() == [
        f"column content.{table}.{column} is missing (it has {name})"
    ]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    rows = [row for row in good() if row[0] != "genre" and row[1] not in ("title", "role")]
    assert len(columns_of(rows).problems()) == 3


def test_a_table_that_may_not_be_read_is_told_with_the_rights_it_takes() -> None:
    rows = [(*row[:3], row[0] != "person") for row in good()]
    (complaint,) = columns_of(rows).problems()
    assert complaint.startswith("the role may not read content.person (GRANT")


@pytest.mark.parametrize("type_name", ["uuid", "text", "character varying", "integer", "bigint"])
def test_ids_may_be_uuids_text_or_integers(type_name: str) -> None:
    assert columns_of(good(film_work__id=type_name)).problems() == []


@pytest.mark.parametrize("type_name", ["smallint", "numeric", "bytea"])
def test_other_ids_are_refused(type_name: str) -> None:
    (complaint,) = columns_of(good(genre__id=type_name)).problems()
    assert complaint.startswith(f"content.genre.id is {type_name}; ids of type uuid, text, integer")


@pytest.mark.parametrize("column", ["film_work__modified", "person_film_work__created"])
@pytest.mark.parametrize("type_name", ["date", "bigint", "text"])
def test_a_stamp_of_another_type_is_refused(column: str, type_name: str) -> None:
    (complaint,) = columns_of(good(**{column: type_name})).problems()
    table, _, name = column.partition("__")
    assert complaint == f"content.{table}.{name} is {type_name}, not a timestamp"


def test_tables_whose_stamps_have_no_zone_are_known() -> None:
    plain = "timestamp without time zone"
    columns = columns_of(good(genre__modified=plain, person_film_work__created=plain))
    assert columns.problems() == []
    assert sorted(columns.layout.without_zone) == ["genre", "person_film_work"]
    assert columns_of(good()).layout.without_zone == ()


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
    assert f"content.{table} ({', '.join(columns)})" in missing(found)


def test_an_index_of_other_columns_or_another_table_does_not_count() -> None:
    assert missing([("film_work", ["id", "modified"])]) == missing([])
    assert missing([("review", ["modified", "id"])]) == missing([])
    assert len(missing([])) == len(MOVIES.read_by)
