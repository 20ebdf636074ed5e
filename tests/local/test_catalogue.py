"""The sample catalogue in a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from local import catalogue
from local.edits import edit
from local.films import Film
from tests.local.conftest import NUMBER


def value(dsn: str, query: str) -> object:
    """Return the first value of the query's first row."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_films_are_loaded_once(filled: str) -> None:
    assert catalogue.prepare(filled) == 0
    assert value(filled, "SELECT count(*) FROM content.film_work") == NUMBER


def test_links_lead_to_rows(filled: str, some_films: list[Film]) -> None:
    """The load skips the checks of foreign keys."""
    for table, column in (("genre", "genre_id"), ("person", "person_id")):
        for other, key in ((table, column), ("film_work", "film_work_id")):
            query = f"""
                SELECT count(*) FROM content.{table}_film_work AS link
                LEFT JOIN content.{other} AS other ON other.id = link.{key}
                WHERE other.id IS NULL
            """
            assert value(filled, query) == 0
    number = sum(len(list(film.credits())) for film in some_films)
    assert value(filled, "SELECT count(*) FROM content.person_film_work") == number


def test_the_checks_of_foreign_keys_are_on_again_after_the_load(filled: str) -> None:
    with (
        psycopg.connect(filled) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute(
            "UPDATE content.genre_film_work SET genre_id = gen_random_uuid()"
            " WHERE id = (SELECT min(id::text)::uuid FROM content.genre_film_work)"
        )


def test_indexes_of_the_sync_are_made(filled: str) -> None:
    indexes = "SELECT count(*) FROM pg_indexes WHERE indexname = 'film_work_modified_id'"
    assert value(filled, indexes) == 1


def test_any_text_survives_the_load(dsn: str, some_films: list[Film]) -> None:
    odd = 'tab\there, back\\slash, \\N, new\nline, return\r, "quoted", слёзы, 𝄞'
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(catalogue.SCHEMA.read_text().encode())
        catalogue.load(connection, [replace(some_films[0], title=odd, rating=None)])
    assert value(dsn, "SELECT title FROM content.film_work") == odd
    assert value(dsn, "SELECT rating FROM content.film_work") is None


def test_an_edit_is_seen_by_its_time(filled: str) -> None:
    before = value(filled, "SELECT now()")
    done = edit(filled, seed=7)
    assert [text.split()[0] for text in (item.text for item in done)] == [
        "renamed",
        "added",
        "changed",
    ]
    with psycopg.connect(filled) as connection:
        touched = {
            table: connection.execute(
                f"SELECT count(*) FROM content.{table} WHERE modified >= %s".encode(),
                (before,),
            ).fetchone()
            for table in ("film_work", "person")
        }
    assert touched == {"film_work": (2,), "person": (2,)}
    assert value(filled, "SELECT count(*) FROM content.film_work") == NUMBER + 1


def test_an_edit_of_an_empty_catalogue_says_what_to_do(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(catalogue.SCHEMA.read_text().encode())
    with pytest.raises(LookupError, match="python -m local up"):
        edit(dsn)


def test_statements_are_split_without_comments() -> None:
    text = "-- one; two\nCREATE TABLE a (b text);\n\n-- three\nSELECT 1;\n"
    assert catalogue.statements(text) == ["CREATE TABLE a (b text)", "SELECT 1"]
