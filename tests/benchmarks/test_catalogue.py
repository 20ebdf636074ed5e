from __future__ import annotations

import psycopg

from benchmarks.catalogue import template
from local.postgres import Postgres


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
