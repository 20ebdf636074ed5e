from __future__ import annotations

import psycopg

from benchmarks.catalogue import generate, template
from local.postgres import Postgres
from tests.support.catalogue import Catalogue

FILMS = 2_000
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


def test_the_catalogue_is_the_same_each_time(catalogue: Catalogue, postgres: Postgres) -> None:
    generate(catalogue.dsn, FILMS)
    postgres.dropdb("generated")
    postgres.createdb("generated")
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
    assert one("SELECT count(*) FROM content.person") == FILMS / 2
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


def test_a_catalogue_is_generated_once_and_never_left_half_made(postgres: Postgres) -> None:
    postgres.createdb("films_100_unfinished")  # of a benchmark that was killed
    name = template(postgres, 100)
    try:
        with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM content.film_work").fetchone() == (100,)
            connection.execute("CREATE TABLE still_there ()")
        assert template(postgres, 100) == name
        with psycopg.connect(postgres.dsn(name)) as connection:
            assert connection.execute("SELECT FROM still_there").fetchall() == []
    finally:
        postgres.dropdb(name)
