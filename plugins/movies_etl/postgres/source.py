"""PostgreSQL: pages of changed rows, the films they touch, and whole documents for films."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import psycopg

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres import horizon
from movies_etl.postgres.horizon import Activity, Epoch, Holder, Prepared
from movies_etl.postgres.lock import LockHolder
from movies_etl.postgres.schema import Columns
from movies_etl.state.cursors import Database, Position

NIL = "00000000-0000-0000-0000-000000000000"
BEGINNING = Position(stamp="0001-01-01T00:00:00.000000+00:00", id=NIL)
"""Below every row of a feed: what is stamped so early is read as undated."""

FETCH_SIZE = 1000
"""Documents that are fetched together: more would only take memory here."""


class Row(NamedTuple):
    """A changed row.

    :param stamp: its time as text in the column's own type, without zone; None when undated.
    :param xmin: the transaction that wrote this version of it.
    :param film: the film that it is or links; None where films are found by a query.
    """

    id: str
    stamp: str | None
    xmin: str
    film: str | None


class FilmPage(NamedTuple):
    """Changed films.

    :param films: their ids in keyset order.
    :param last: the position of the last of them.
    """

    films: list[str]
    last: Position


class Document(NamedTuple):
    """A film's document.

    :param text: JSON in UTF-8, as it is sent.
    """

    film: str
    text: bytes


@cache
def _query(file: Path) -> bytes:
    return file.read_bytes()


def _array(texts: list[str]) -> str:
    """Write a list as PostgreSQL's array text; the driver would look up how for each element.

    A NUL, which no text has in PostgreSQL, keeps them apart while they are quoted together.
    """
    if not texts:
        return "{}"
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        return joined  # one of them has a NUL after all: the driver refuses it
    quoted = joined.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{quoted}"}}'


def _between(after: Position | None, upto: Position | None) -> dict[str, str]:
    """Return the parameters that bound a page."""
    after = after or BEGINNING
    return {
        "after_stamp": after.stamp,
        "after_id": after.id,
        "upto_stamp": upto.stamp if upto else "infinity",
        "upto_id": upto.id if upto else NIL,
    }


def _values(parameters: dict[str, object]) -> dict[str, object]:
    return {
        name: _array(value) if isinstance(value, list) else value
        for name, value in parameters.items()
    }


class Source:
    """The catalogue, read over one connection in autocommit: each statement has its own snapshot.

    :param connection: an open connection to the primary.
    :param include_dir: the folder that holds ``sql/``.
    :param zone: the zone of columns without time zone.
    :param ignored_roles: roles whose transactions never write and hold no horizon.
    :raises ConfigurationError: (every method) the database refuses the query.
    :raises SourceUnavailableError: (every method) the connection was lost.

    ``without_zone`` are the tables whose stamp column has no time zone, known once ``prepared``.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        include_dir: Path,
        *,
        zone: str = "UTC",
        ignored_roles: Sequence[str] = (),
    ) -> None:
        self._connection = connection
        self._sql = include_dir / "sql"
        self._zone = zone
        self._ignored_roles = ignored_roles
        self.without_zone: tuple[str, ...] = ()

    def prepared(self) -> Self:
        """Put the session in order and learn the catalogue's column types.

        :raises ConfigurationError: a table, column or right is missing; names all that are.
        """
        for statement in _query(self._sql / "session.sql").split(b";"):
            with self._translated_errors("session.sql"):
                self._connection.execute(statement)
        columns = self.columns()
        if complaints := columns.problems():
            raise ConfigurationError(
                f"Database {self._connection.info.dbname} (connection movies_postgres) does not "
                f"fit: {'; '.join(complaints)}. Point the connection to the film catalogue, or "
                "give it these columns (a view is not enough: rows must have xmin)."
            )
        self.without_zone = columns.without_zone
        return self

    def columns(self) -> Columns:
        """Return the columns of schema ``content``."""
        return Columns(self._rows("columns.sql"))

    def indexes(self) -> list[tuple[str, list[str]]]:
        """Return table and columns of each usable index of schema ``content``."""
        return [(table, columns) for table, columns in self._rows("indexes.sql")]

    def database(self) -> Database:
        """Return which database this is.

        :raises SourceUnavailableError: it is a standby's, for now or for good.
        """
        ((name, _version, in_recovery),) = self._rows("identity.sql")
        if in_recovery:
            raise SourceUnavailableError(
                "Connection movies_postgres leads to a standby: nothing there tells which "
                "transactions are still open, nor keeps a second writer away. Point it to the "
                "primary, or wait for its promotion."
            )
        try:
            ((system_identifier, timeline),) = self._rows("cluster.sql")
        except ConfigurationError as error:
            if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
            system_identifier = timeline = None
        return Database(name=name, system_identifier=system_identifier, timeline=timeline)

    def server_version(self) -> int:
        """Return PostgreSQL's version as a number, for example 180006."""
        ((_name, version, _in_recovery),) = self._rows("identity.sql")
        return int(version)

    def now(self) -> str:
        """Read the clock; ISO 8601, UTC."""
        ((now,),) = self._rows("now.sql")
        return str(now)

    def activity(self) -> Activity:
        """Look at what is open in the database; see ``include/sql/activity.sql``."""
        ((now, oldest, hidden, *holder),) = self._rows(
            "activity.sql", ignored_roles=list(self._ignored_roles)
        )
        return Activity(now, oldest, hidden, Holder(*holder) if holder[0] else None)

    def prepared_transactions(self) -> list[Prepared]:
        """Return the prepared transactions, the oldest first."""
        return [Prepared(*row) for row in self._rows("prepared.sql")]

    def virtual_transactions(self) -> Epoch:
        """Return the open transactions by names that every role may see."""
        ((now, transactions),) = self._rows(
            "virtual_transactions.sql", ignored_roles=list(self._ignored_roles)
        )
        return Epoch(now=now, transactions=tuple(transactions))

    def lock(self, key: int) -> bool:
        """Take the writer's lock for the rest of the session, if it is free."""
        ((taken,),) = self._rows("lock.sql", key=key)
        return bool(taken)

    def lock_holder(self, key: int) -> LockHolder | None:
        """Return who holds the writer's lock, None when nobody does."""
        for row in self._rows("lock_holder.sql", key=key):
            return LockHolder(*row)
        return None

    def version(self) -> int:
        """Read the clock in microseconds: the version of what is read after it."""
        ((version,),) = self._rows("clock.sql")
        return int(version)

    def films(self) -> int:
        """Count the films."""
        ((films,),) = self._rows("counts.sql")
        return int(films)

    def existing(self, films: Sequence[str]) -> set[str]:
        """Return those of these films that the catalogue has."""
        return {film for (film,) in self._rows("existing.sql", ids=list(films))} if films else set()

    def below(self, feed: Feed, moment: str) -> Position:
        """Return the position that ends all rows of a feed with a stamp below a moment.

        :param moment: ISO 8601 with zone; brought into the column's own type.
        """
        if feed.table in self.without_zone:
            moment = horizon.on_the_wall(horizon.parse(moment), self._zone)
        return Position(stamp=moment, id=NIL)

    def position(self, feed: Feed, row: Row) -> Position:
        """Return a row's position as cursors keep it, with the zone."""
        if row.stamp is None:
            msg = f"row {row.id} of content.{feed.table} has no place in time"
            raise ValueError(msg)
        return self._placed(feed, row.id, row.stamp)

    def _placed(self, feed: Feed, row_id: str, stamp: str) -> Position:
        if feed.table in self.without_zone and self._zone != "UTC":
            return Position(stamp=horizon.wall_stamp(stamp, self._zone), id=row_id)
        return Position(stamp=f"{stamp}+00:00", id=row_id)

    def changed(
        self, feed: Feed, after: Position | None, upto: Position | None, limit: int | None
    ) -> list[Row]:
        """Read a page of a feed in keyset order.

        :param after: the last row before the page; None is the beginning.
        :param upto: the last position that may be on it; None is the end.
        :param limit: rows a page; None reads all between the bounds.
        """
        return [
            Row._make(row)
            for row in self._rows(feed.page, **_between(after, upto), page_size=limit)
            if row[1] is not None  # infinite, with an id below NIL: the last ones, and undated
        ]

    def count_changed(self, feed: Feed, after: Position) -> int:
        """Count the rows of a feed after a position."""
        query = b"SELECT count(*) FROM (\n" + _query(self._sql / feed.page) + b"\n) AS changed"
        bounds = _between(after, None)
        with self._translated_errors(feed.page):
            ((rows,),) = self._connection.execute(query, {**bounds, "page_size": None}).fetchall()
        return int(rows)

    def changed_films(self, after: Position | None, upto: Position, limit: int) -> FilmPage | None:
        """Read a page of changed films in keyset order, None after the last; see ``changed``."""
        bounds = _between(after, upto)
        ((films, stamp),) = self._rows("film_work/page.sql", **bounds, page_size=limit)
        if not films:
            return None
        return FilmPage(films, self._placed(FILM_WORK.rows, films[-1], stamp))

    def undated(self, feed: Feed, after: str | None, limit: int) -> list[Row]:
        """Read a page of the rows that no position in time reaches, in the order of their ids."""
        return [Row(*row) for row in self._rows(feed.undated, after_id=after, page_size=limit)]

    def last(self, feed: Feed, upto: Position) -> Position | None:
        """Return the last row of a feed at or below a position; None when there is none."""
        if feed.last is None:
            msg = f"nobody asks for the last row of content.{feed.table}"
            raise ValueError(msg)
        for row_id, stamp in self._rows(feed.last, upto_stamp=upto.stamp, upto_id=upto.id):
            return self._placed(feed, row_id, stamp)
        return None

    def linked_films(
        self, stream: Stream, rows: Iterable[Row], after: str | None, limit: int
    ) -> list[str]:
        """Return a page of the films that changed rows of a stream are linked to, by film id."""
        if stream.films is None:
            msg = f"rows of {stream.name} are films themselves"
            raise ValueError(msg)
        ids = [row.id for row in rows]
        return [
            film for (film,) in self._rows(stream.films, ids=ids, after_film=after, page_size=limit)
        ]

    def documents(self, films: Sequence[str]) -> tuple[int, Generator[list[Document], None, None]]:
        """Build whole documents from the present state of these films, in one snapshot.

        :returns: their version, read before the snapshot, and the documents of those that exist,
            in pieces, to be closed. The connection may be used between them.
        """
        version = self.version()
        return version, self._built(films)

    def _built(self, films: Sequence[str]) -> Generator[list[Document], None, None]:
        """Fetch documents bit by bit, in a transaction that lasts as long as they are wanted."""
        file = "documents.sql"
        cursor = self._connection.cursor(binary=True)
        with self._translated_errors(file), self._connection.transaction():
            # The driver's own server cursor asks more, and complains when the session is lost.
            declare = b"DECLARE documents NO SCROLL CURSOR FOR\n" + _query(self._sql / file)
            cursor.execute(declare, _values({"ids": list(films)}))
            more = True
            while more:
                rows = cursor.execute(b"FETCH %d FROM documents" % FETCH_SIZE).fetchall()
                more = len(rows) == FETCH_SIZE
                if rows:
                    yield list(map(Document._make, rows))

    def _rows(self, file: str, **parameters: object) -> list[tuple[Any, ...]]:
        with self._translated_errors(file):
            return self._connection.execute(
                _query(self._sql / file), _values(parameters)
            ).fetchall()

    @contextmanager
    def _translated_errors(self, file: str) -> Iterator[None]:
        """Turn the driver's errors into this program's, with the connection and the next step."""
        try:
            yield
        except psycopg.Error as error:
            # A session that PostgreSQL ends for having been idle too long is an InternalError.
            if isinstance(error, psycopg.OperationalError) or self._connection.closed:
                raise SourceUnavailableError(
                    f"PostgreSQL (connection movies_postgres) was lost or gave up at {file}: "
                    f"{_said(error)}. The cursor stands at the last loaded page; the next "
                    "attempt goes on from there."
                ) from error
            raise ConfigurationError(
                f"PostgreSQL (connection movies_postgres) refused {file}: {_said(error)}. "
                "Mend the catalogue, the role's rights or the value that it names: a cursor's is "
                "in a Variable movies_etl.cursor.*, that of an id in the trigger form."
            ) from error


def _said(error: psycopg.Error) -> str:
    """Return PostgreSQL's words on one line."""
    return " ".join(str(error).split())
