"""A generated catalogue of any size: `python -m local.generator --dsn URI --films 100000`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from local.catalogue import (
    INDEXES,
    SCHEMA,
    CatalogueError,
    has_films,
    make,
    make_indexes,
    statements,
)

if TYPE_CHECKING:
    from local.catalogue import Progress

_FOLDER = Path(__file__).with_name("generated_catalogue")
_BEGIN, _FILMS, _END = (_FOLDER / name for name in ("begin.sql", "films.sql", "end.sql"))
_RANGE = 20_000
"""Films that are made together; an even number, as a person comes with every second film."""


def files() -> list[Path]:
    """Return all files that make a generated catalogue what it is."""
    return [SCHEMA, _BEGIN, _FILMS, _END, INDEXES]


def generate(dsn: str, films: int, progress: Progress = lambda *_: None) -> None:
    """Fill an empty database with `films` films: schema, rows, the indexes that the sync wants.

    It ends vacuumed, analysed and written to disk, so that nothing of it is left to do while
    something is measured. One that is interrupted leaves no film.

    Raises CatalogueError when there are films already, and psycopg.Error, also when the role is no
    superuser or the schema is there with constraints of other names.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text().encode())
        with connection.transaction():
            if has_films(connection):
                msg = "there is a catalogue already"
                raise CatalogueError(msg)
            connection.execute(_BEGIN.read_text().encode())
            _make_films(connection, films, progress)
            make(connection, statements(_END.read_text()), "constraints checked", progress)
        make_indexes(connection, progress)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _make_films(connection: psycopg.Connection[Any], films: int, progress: Progress) -> None:
    setting = "SELECT set_config('catalogue.' || %s, %s, true)"
    connection.execute(setting, ("films", str(films)))
    for first in range(0, films, _RANGE):
        progress("films generated", first, films)
        connection.execute(setting, ("first", str(first)))
        connection.execute(setting, ("end", str(min(first + _RANGE, films))))
        connection.execute(_FILMS.read_text().encode())
    progress("films generated", films, films)


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m local.generator", description=__doc__)
    parser.add_argument("--dsn", required=True, help="libpq URI or key=value string, a superuser's")
    parser.add_argument("--films", type=int, default=100_000)
    arguments = parser.parse_args()
    began = time.monotonic()
    generate(arguments.dsn, arguments.films)
    print(f"{arguments.films:,} films in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
