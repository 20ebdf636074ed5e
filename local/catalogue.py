"""The sample catalogue in a PostgreSQL database: `python -m local.catalogue --dsn postgresql://...`.

It makes the schema `content`, loads 17,472 real films once, and makes the indexes that the DAGs
want (`include/sql/setup/indexes.sql`). It runs against any PostgreSQL, with psycopg and the
standard library only. The data are CC0-1.0, by Wikidata contributors (see `local.films`).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from local.files import CHECKOUT
from local.films import films, key, stamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from local.films import Film

    Progress = Callable[[str, int, int], None]
    """Told what is counted, how many of it are done, and how many there are."""

SCHEMA = Path(__file__).parent / "schema.sql"
INDEXES = CHECKOUT / "include" / "sql" / "setup" / "indexes.sql"
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class CatalogueError(RuntimeError):
    """There are films where there must be none."""


def prepare(dsn: str) -> int:
    """Make the schema, load the films when there are none, apply the indexes; return films loaded.

    Raises psycopg.Error when the database is not reachable or the role may not create in it.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text().encode())
        with connection.transaction():
            loaded = 0 if has_films(connection) else load(connection, films())
        make_indexes(connection)
        connection.execute("ANALYZE")
    return loaded


def has_films(connection: psycopg.Connection[Any]) -> bool:
    """Whether there are films; until the transaction ends nobody else adds any.

    One loader at a time: a second one waits here and then finds the films.
    """
    connection.execute("LOCK TABLE content.film_work IN SHARE ROW EXCLUSIVE MODE")
    return connection.execute("SELECT FROM content.film_work LIMIT 1").fetchone() is not None


def make_indexes(connection: psycopg.Connection[Any], progress: Progress = lambda *_: None) -> None:
    """Make the indexes that the sync wants, and make half-made ones again.

    The connection must be in autocommit mode.
    """
    unfinished = connection.execute(
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE relnamespace = 'content'::regnamespace AND NOT indisvalid"
    ).fetchall()
    for (name,) in unfinished:
        connection.execute(sql.SQL("DROP INDEX content.{}").format(sql.Identifier(name)))
    wanted = statements(INDEXES.read_text())
    make(connection, wanted, "indexes made", progress)


def make(
    connection: psycopg.Connection[Any], wanted: Sequence[str], what: str, progress: Progress
) -> None:
    """Execute statements that take their time; report after each how many are done."""
    for number, statement in enumerate(wanted):
        progress(what, number, len(wanted))
        connection.execute(statement.encode())
    progress(what, len(wanted), len(wanted))


def load(connection: psycopg.Connection[Any], catalogue: Sequence[Film]) -> int:
    """Copy the films with their genres and persons into an empty schema; return their number.

    The keys of link rows are md5 of what they link. A superuser skips the checks of foreign keys,
    which are half of the work; they hold by construction.
    """
    connection.execute(
        "SELECT set_config('session_replication_role', 'replica', true)"
        " FROM pg_roles WHERE rolname = current_user AND rolsuper"
    )
    names = dict.fromkeys(name for film in catalogue for _, name in film.credits())
    people = {name: key("person", name) for name in names}
    genres = {name: key("genre", name) for film in catalogue for name in film.genres}
    _copy(
        connection,
        "film_work (id, title, description, creation_date, rating, type, created, modified)",
        (
            (
                *(film.id, film.title, film.description, film.released, film.rating, "movie"),
                *stamps(film.id),
            )
            for film in catalogue
        ),
    )
    for table, things in (("genre (id, name", genres), ("person (id, full_name", people)):
        _copy(
            connection,
            f"{table}, created, modified)",
            ((identity, name, *stamps(identity)) for name, identity in things.items()),
        )
    _copy(
        connection,
        "genre_film_work (film_work_id, genre_id, created, id)",
        _links((film, (genres[name],)) for film in catalogue for name in film.genres),
    )
    _copy(
        connection,
        "person_film_work (film_work_id, person_id, role, created, id)",
        _links((film, (people[name], role)) for film in catalogue for role, name in film.credits()),
    )
    connection.execute("SELECT set_config('session_replication_role', 'origin', true)")
    return len(catalogue)


def _links(links: Iterable[tuple[Film, tuple[str, ...]]]) -> Iterator[tuple[object, ...]]:
    for film, other in links:
        row = (film.id, *other)
        digest = hashlib.md5("".join(row).encode(), usedforsecurity=False).hexdigest()
        yield (*row, stamps(film.id)[0], digest)


def statements(text: str) -> list[str]:
    """Split SQL without strings or bodies that contain a semicolon into its statements."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def _copy(
    connection: psycopg.Connection[Any], table: str, rows: Iterable[Sequence[object]]
) -> None:
    """Copy rows into a table in COPY's text form, made here: psycopg's own is twice as slow."""
    with connection.cursor().copy(f"COPY content.{table} FROM STDIN".encode()) as copy:
        rows = iter(rows)
        while page := list(islice(rows, 1000)):
            copy.write("".join(["\t".join(map(_field, row)) + "\n" for row in page]))


def _field(value: object) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def main() -> None:
    """Prepare the database that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m local.catalogue", description=__doc__)
    parser.add_argument("--dsn", required=True, help="libpq URI or key=value string")
    began = time.monotonic()
    loaded = prepare(parser.parse_args().dsn)
    print(f"{loaded or 'no new'} films loaded in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
