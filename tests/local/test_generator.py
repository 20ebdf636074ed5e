"""A generated catalogue."""

from __future__ import annotations

import psycopg
import pytest

from local import generator
from local.catalogue import CatalogueError, make_indexes
from local.generator import generate
from local.postgres import Postgres
from tests.support.catalogue import Catalogue

FILMS = 2_001
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'content'::regnamespace ORDER BY 1, 2"
)
CONTENT = (
    "SELECT md5(string_agg(row, '' ORDER BY row)) FROM ("
    "SELECT film_work::text AS row FROM content.film_work UNION ALL"
    " SELECT person::text FROM content.person UNION ALL"
    " SELECT genre_film_work::text FROM content.genre_film_work UNION ALL"
    " SELECT person_film_work::text FROM content.person_film_work) AS rows"
)


def test_the_catalogue_is_the_same_each_time_and_however_it_is_cut(
    catalogue: Catalogue, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(catalogue.dsn, FILMS)
    postgres.dropdb("generated")
    postgres.createdb("generated")
    monkeypatch.setattr(generator, "_RANGE", 300)
    generate(postgres.dsn("generated"), FILMS)
    try:
        with psycopg.connect(postgres.dsn("generated")) as other:
            assert other.execute(CONTENT).fetchall() == catalogue.execute(CONTENT).fetchall()
    finally:
        postgres.dropdb("generated")


def test_the_catalogue_has_the_shares_that_it_says(catalogue: Catalogue) -> None:
    constraints = catalogue.execute(CONSTRAINTS).fetchall()
    generate(catalogue.dsn, FILMS)

    def one(query: str) -> float:
        ((value,),) = catalogue.execute(query).fetchall()
        return float(value)

    assert one("SELECT count(*) FROM content.film_work") == FILMS
    assert one("SELECT count(*) FROM content.person") == FILMS // 2
    assert 4.8 < one("SELECT count(*) FROM content.person_film_work") / FILMS < 5.2
    assert 1.8 < one("SELECT count(*) FROM content.genre_film_work") / FILMS < 2.0
    largest = "SELECT max(n) FROM (SELECT count(*) AS n FROM content.{} GROUP BY {}) AS sizes"
    assert 0.45 < one(largest.format("genre_film_work", "genre_id")) / FILMS < 0.51
    assert catalogue.execute(CONSTRAINTS).fetchall() == constraints


def test_a_document_has_the_size_that_it_says(catalogue: Catalogue) -> None:
    generate(catalogue.dsn, FILMS)
    ids = [film for (film,) in catalogue.execute("SELECT id::text FROM content.film_work")]
    _version, pieces = catalogue.source().documents(ids)
    sizes = [len(document.text) for piece in pieces for document in piece]
    assert 1_100 < sum(sizes) / FILMS < 1_180


def test_progress_is_told_to_the_end(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "_RANGE", 20)
    told: list[tuple[str, int, int]] = []
    generate(catalogue.dsn, 50, lambda *step: told.append(step))
    assert told[:4] == [("films generated", done, 50) for done in (0, 20, 40, 50)]
    what, done, total = told[-1]
    assert what == "indexes made"
    assert done == total


def test_a_catalogue_that_is_there_is_left_alone(catalogue: Catalogue) -> None:
    catalogue.add_film()
    with pytest.raises(CatalogueError, match="a catalogue already"):
        generate(catalogue.dsn, 50)
    assert catalogue.execute("SELECT count(*) FROM content.film_work").fetchone() == (1,)


def test_what_is_interrupted_leaves_no_film(catalogue: Catalogue) -> None:
    def interrupted(_: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    constraints = catalogue.execute(CONSTRAINTS).fetchall()
    with pytest.raises(KeyboardInterrupt):
        generate(catalogue.dsn, 50, interrupted)
    assert catalogue.execute("SELECT count(*) FROM content.film_work").fetchone() == (0,)
    assert catalogue.execute(CONSTRAINTS).fetchall() == constraints


def test_an_index_that_was_interrupted_is_made_anew(catalogue: Catalogue) -> None:
    broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass"
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass"
    catalogue.execute(broken, "content.film_work_modified_id")
    make_indexes(catalogue.connection)
    assert catalogue.execute(valid, "content.film_work_modified_id").fetchone() == (True,)
