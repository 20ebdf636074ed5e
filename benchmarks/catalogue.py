"""A generated catalogue of any size: `python -m benchmarks.catalogue --dsn URI --films 100000`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import psycopg

from local.catalogue import SCHEMA, SETUP, statements

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
