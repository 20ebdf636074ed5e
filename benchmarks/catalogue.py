"""A generated catalogue of any size: `python -m benchmarks.catalogue --dsn URI --films 100000`."""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from local.catalogue import SCHEMA, SETUP, statements

if TYPE_CHECKING:
    from local.postgres import Postgres

GENERATOR = Path(__file__).with_name("catalogue.sql")


def generate(dsn: str, films: int) -> None:
    """Fill an empty database with `films` films: schema, rows, the indexes that the sync wants.

    It ends vacuumed, analysed and written to disk, so that nothing of it is left to do while
    something is measured. Raises psycopg.Error, also when the schema is there with constraints of
    other names.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text().encode())
        connection.execute("SELECT set_config('benchmark.films', %s, false)", (str(films),))
        with connection.transaction():
            connection.execute(GENERATOR.read_text().encode())
        for file in sorted(SETUP.glob("*.sql")):
            for statement in statements(file.read_text()):
                connection.execute(statement.encode())
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def template(server: Postgres, films: int) -> str:
    """Return the name of a database with this many films, generated when it is not there yet.

    The name has a digest of what generates it, so that no catalogue outlives its generator.
    """
    files = (SCHEMA, GENERATOR, *sorted(SETUP.glob("*.sql")))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
    name, unfinished = f"films_{films}_{digest}", f"films_{films}_unfinished"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        there = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if there.fetchone() is not None:
            return name
        server.dropdb(unfinished)
        server.createdb(unfinished)
        generate(server.dsn(unfinished), films)
        connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {name}".encode())
    return name


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue", description=__doc__)
    parser.add_argument("--dsn", required=True, help="libpq URI or key=value string, a superuser's")
    parser.add_argument("--films", type=int, default=100_000)
    arguments = parser.parse_args()
    began = time.monotonic()
    generate(arguments.dsn, arguments.films)
    print(f"{arguments.films:,} films in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
