"""One query per file: its names filled in, its values bound, the driver's errors translated."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from movies_etl.errors import (
    CancelledStatementError,
    ConfigurationError,
    SourceUnavailableError,
    on_one_line,
)
from movies_etl.settings import included

Names = Mapping[str, str | None]
"""What stands for ``{name}`` in a query: an identifier, or None for NULL."""

_NAME = re.compile(r"\{(\w+)\}")


@cache
def _query(file: Path, names: tuple[tuple[str, str | None], ...]) -> bytes:
    """Read a query and fill in its names, quoted as identifiers."""
    known = dict(names)

    def identifier(match: re.Match[str]) -> str:
        name = known[match[1]]
        return "NULL" if name is None else sql.Identifier(name).as_string().replace("%", "%%")

    return _NAME.sub(identifier, included(file)).encode()


def filled(file: Path, names: Names) -> bytes:
    """Return a query with its names filled in.

    :raises KeyError: the query has a name that is not among these.
    """
    return _query(file, tuple(sorted(names.items())))


def _array(texts: list[str]) -> str:
    """Write a list as PostgreSQL's array text; the driver would look up the type of each element.

    A NUL, which no text has in PostgreSQL, keeps them apart while they are quoted together.
    """
    if not texts:
        return "{}"
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        return joined  # one of them has a NUL after all: the driver refuses it
    quoted = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{quoted}"}}'


def _values(parameters: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _array(value) if isinstance(value, list) else value
        for name, value in parameters.items()
    }


class Queries:
    """The queries of a folder over one connection in autocommit: each has its own snapshot.

    :param connection: an open one.
    :param folder: where the queries lie.
    :param schema: the schema that holds the catalogue; ``{schema}`` in every query.
    :param conn_id: the Airflow connection.
    :raises ConfigurationError: (every method) the database refuses the query.
    :raises SourceUnavailableError: (every method) the connection was lost; as
        ``CancelledStatementError`` the statement took too long.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        folder: Path,
        schema: str,
        conn_id: str = "movies_postgres",
    ) -> None:
        self.connection = connection
        self._folder = folder
        self.schema = schema
        self._conn_id = conn_id

    @property
    def database(self) -> str:
        """The name of the database that the connection leads to."""
        return self.connection.info.dbname

    def rows(
        self, file: str, names: Names | None = None, **parameters: object
    ) -> list[tuple[Any, ...]]:
        """Return every row that a query finds."""
        with self._translated_errors(file):
            return self.connection.execute(self.text(file, names), _values(parameters)).fetchall()

    def count(self, file: str, names: Names, **parameters: object) -> int:
        """Count the rows that a query finds."""
        query = b"SELECT count(*) FROM (\n" + self.text(file, names) + b"\n) AS counted"
        with self._translated_errors(file):
            ((rows,),) = self.connection.execute(query, _values(parameters)).fetchall()
        return int(rows)

    def around(self, file: str, outer: bytes, **parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of the query in a file, wrapped: ``SELECT outer FROM (file) AS built``.

        :param outer: the columns of the outer query.
        """
        # Without OFFSET the columns of the inner query would be computed once per mention.
        query = b"SELECT %b FROM (\n%b\nOFFSET 0) AS built" % (outer, self.text(file))
        with self._translated_errors(file):
            return self.connection.execute(query, _values(parameters)).fetchall()

    def run(self, file: str) -> None:
        """Run the statements of a file, sent together."""
        with self._translated_errors(file):
            self.connection.execute(self.text(file))

    def pieces(
        self, file: str, size: int, **parameters: object
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Fetch what a query finds bit by bit, in a transaction that lasts as long as it is wanted.

        The connection may be used between two pieces.

        :param size: rows per piece.
        """
        cursor = self.connection.cursor(binary=True)
        with self._translated_errors(file), self.connection.transaction():
            # The driver's own server cursor asks more, and complains when the session is lost.
            declare = b"DECLARE pieces NO SCROLL CURSOR FOR\n" + self.text(file)
            cursor.execute(declare, _values(parameters))
            more = True
            while more:
                rows = cursor.execute(b"FETCH %d FROM pieces" % size).fetchall()
                more = len(rows) == size
                if rows:
                    yield rows

    def close(self) -> None:
        """End the session."""
        self.connection.close()

    def text(self, file: str, names: Names | None = None) -> bytes:
        """Return a query with its names filled in."""
        return filled(self._folder / file, {"schema": self.schema, **(names or {})})

    @contextmanager
    def _translated_errors(self, file: str) -> Iterator[None]:
        """Turn the driver's errors into this program's, with the connection and the next step."""
        try:
            yield
        except psycopg.Error as error:
            # A session that PostgreSQL ends for having been idle too long is an InternalError.
            if isinstance(error, psycopg.OperationalError) or self.connection.closed:
                is_cancelled = isinstance(error, psycopg.errors.QueryCanceled)
                kind = CancelledStatementError if is_cancelled else SourceUnavailableError
                raise kind(
                    f"PostgreSQL (connection {self._conn_id}) was lost or gave up at {file}: "
                    f"{on_one_line(error)}. The cursor stands at the last loaded page; the next "
                    "attempt goes on from there."
                ) from error
            raise ConfigurationError(
                f"PostgreSQL (connection {self._conn_id}) refused {file}: {on_one_line(error)}. "
                "Fix the catalogue, the role's rights or the value that it names: a cursor's is "
                "in a Variable movies_etl.*cursor.*, that of an id in the trigger form."
            ) from error
