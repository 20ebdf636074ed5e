"""A model of PostgreSQL: transactions, visibility, row locks, clocks, and the program's queries.

What is modelled: writes become visible at commit, all at once; a transaction holds the rows that
it wrote, so that nobody else writes them; savepoints have ids of their own (``xmin``) and may be
rolled back; PREPARE takes a transaction out of the list of sessions and into another list. Each
query of the program sees what is committed at its moment: one statement, one snapshot.

**The assumption about stamps** (the design's, section 1b of the proof): a row's stamp is not older
than its transaction's start by more than the margin. Here ``start`` is taken up to a part of the
margin before the transaction shows in the list of sessions, and a stamp may be older than the start
by the rest. The site stamps by a clock of its own, which never goes back; the database's may be set
back against it (``World.behind``), which makes stamps younger in its eyes, never older.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import psycopg
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.schema import REQUIRED, Columns
from movies_etl.settings import Settings
from movies_etl.source import Source

from tests.simulation.world import World, on_the_wall, utc

INFINITY = "infinity"
MINUS_INFINITY = "-infinity"
"""Compares lower than every digit, as it does in PostgreSQL."""

TABLES = ("film_work", "genre", "person", "genre_film_work", "person_film_work")
ROLES = ("director", "actor", "writer")


class Film(NamedTuple):
    """A row of ``film_work``; ``stamp`` as text in the column's type, None for NULL."""

    id: str
    stamp: str | None
    xmin: str
    title: str
    rating: float | str | None
    description: str | None


class Named(NamedTuple):
    """A row of ``genre`` or ``person``."""

    id: str
    stamp: str | None
    xmin: str
    name: str


class Link(NamedTuple):
    """A row of a link table."""

    id: str
    stamp: str | None
    xmin: str
    film: str
    other: str
    role: str | None


Row = Film | Named | Link


class Transaction:
    """An open transaction.

    :param start: its ``now()``, microseconds.
    :param stamp: what it writes into ``modified``, as text.
    """

    def __init__(self, number: int, name: str, start: int, stamp: str) -> None:
        self.name = name
        self.start = start
        self.stamp = stamp
        self.xmin = str(number)
        self.writes: list[tuple[str, Any]] = []
        self.savepoint: int | None = None
        self.prepared_at: int | None = None

    def own(self, table: str, key: str) -> Any | None:
        """Return the newest version of a row that this transaction wrote."""
        for where, row in reversed(self.writes):
            if where == table and row.id == key:
                return row
        return None


class Postgres:
    """The catalogue and everything that is open in it.

    :param zone: of columns without time zone; None makes them ``timestamptz``.
    :param margin: microseconds by which stamps may be older than the list of sessions shows.
    """

    def __init__(self, world: World, *, zone: str | None, margin: int) -> None:
        self.world = world
        self.zone = zone
        self.margin = margin
        self.tables: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
        self.places: dict[str, set[tuple[str, str]]] = {table: set() for table in TABLES}
        self.open: list[Transaction] = []
        self.prepared: list[Transaction] = []
        self.locks: dict[int, SimulatedSource] = {}
        self.system_identifier = "7000000000000000001"
        self._number = 700

    # -- what the site does ----------------------------------------------------------------------

    def stamped(self, moment: int) -> str:
        """Write a moment as the columns' type keeps it."""
        return utc(moment) if self.zone is None else on_the_wall(moment, self.zone)

    def begin(self) -> Transaction:
        """Begin a transaction, which shows in the list of sessions a little after its start."""
        unseen = self.world.random.randint(0, self.margin // 2)
        early = self.world.random.randint(0, self.margin // 2)
        self._number += 1
        stamp = self.stamped(self.world.now - unseen - early)
        start = self.world.database_clock - unseen
        transaction = Transaction(self._number, f"t{self._number}", start, stamp)
        self.open.append(transaction)
        return transaction

    def is_locked(self, transaction: Transaction | None, table: str, key: str) -> bool:
        """Whether another transaction has written this row and not ended."""
        return any(
            where == table and row.id == key
            for other in (*self.open, *self.prepared)
            if other is not transaction
            for where, row in other.writes
        )

    def seen(self, transaction: Transaction, table: str) -> dict[str, Any]:
        """Return a table as a transaction sees it: what is committed, and its own writes."""
        rows = dict(self.tables[table])
        rows.update((row.id, row) for where, row in transaction.writes if where == table)
        return rows

    def set_savepoint(self, transaction: Transaction) -> None:
        """Begin a subtransaction: rows that it writes carry an id of its own."""
        self._number += 1
        transaction.xmin = str(self._number)
        transaction.savepoint = len(transaction.writes)

    def roll_back_to_savepoint(self, transaction: Transaction) -> None:
        """Undo what was written since the savepoint, and give those rows free."""
        del transaction.writes[transaction.savepoint :]
        transaction.savepoint = None

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction's rows visible."""
        for table, row in transaction.writes:
            self.tables[table][row.id] = row
            self.places[table].add((row.stamp, row.id))
        self.roll_back(transaction)

    def roll_back(self, transaction: Transaction) -> None:
        """End a transaction."""
        (self.prepared if transaction.prepared_at else self.open).remove(transaction)

    def prepare(self, transaction: Transaction) -> None:
        """Take a transaction out of its session."""
        self.open.remove(transaction)
        transaction.prepared_at = self.world.database_clock
        self.prepared.append(transaction)

    # -- what the program's documents are made of ------------------------------------------------

    def names(self, table: str) -> dict[str, str]:
        """Return the names of genres or persons by id."""
        return {row.id: row.name for row in self.tables[table].values()}

    def document(self, film: Film, genres: dict[str, str], persons: dict[str, str]) -> str:
        """Assemble a document's text, as ``documents.sql`` does."""
        cast: dict[str, set[tuple[str, str]]] = {role: set() for role in ROLES}
        for link in self.tables["person_film_work"].values():
            if link.film == film.id and link.role in cast:
                cast[link.role].add((persons[link.other], link.other))
        labels = {
            genres[link.other]
            for link in self.tables["genre_film_work"].values()
            if link.film == film.id
        }
        rating = "NaN" if film.rating != film.rating else film.rating
        return _document(
            film._replace(stamp=None, xmin="", rating=rating),
            tuple(sorted(labels)),
            tuple(tuple(sorted(cast[role])) for role in ROLES),
        )


@lru_cache(1000)
def _document(
    film: Film, genres: tuple[str, ...], cast: tuple[tuple[tuple[str, str], ...], ...]
) -> str:
    people = dict(zip(ROLES, cast, strict=True))
    body = {
        "id": film.id,
        "imdb_rating": film.rating,
        "genres": genres,
        "title": film.title,
        "description": film.description,
        **{f"{role}s_names": [name for name, _ in people[role]] for role in ROLES},
        **{f"{role}s": [{"id": key, "name": name} for name, key in people[role]] for role in ROLES},
    }
    text = json.dumps(body, separators=(",", ":"))[:-1]
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8]
    return f'{text},"checksum":{int.from_bytes(digest, signed=True)}}}'


ANSWERS: dict[str, tuple[str, str | None]] = {
    "clock.sql": ("_clock", None),
    "now.sql": ("_moment", None),
    "activity.sql": ("_activity", None),
    "prepared.sql": ("_prepared", None),
    "virtual_transactions.sql": ("_virtual_transactions", None),
    "lock.sql": ("_lock", None),
    "lock_holder.sql": ("_lock_holder", None),
    "identity.sql": ("_identity", None),
    "system_identifier.sql": ("_system_identifier", None),
    "indexes.sql": ("_indexes", None),
    "counts.sql": ("_counts", None),
    "existing.sql": ("_existing", None),
    "documents.sql": ("_documents", None),
    "film_work/changed.sql": ("_page", "film_work"),
    "film_work/undated.sql": ("_undated", "film_work"),
}
"""What answers each SQL file, and the table that it is asked for."""

for _name in ("genre", "person"):
    ANSWERS |= {
        f"{_name}/changed.sql": ("_page", _name),
        f"{_name}/undated.sql": ("_undated", _name),
        f"{_name}/last.sql": ("_last", _name),
        f"{_name}/links.sql": ("_page", f"{_name}_film_work"),
        f"{_name}/undated_links.sql": ("_undated", f"{_name}_film_work"),
        f"{_name}/last_link.sql": ("_last", f"{_name}_film_work"),
        f"{_name}/films.sql": ("_films", f"{_name}_film_work"),
    }


class SimulatedSource(Source):
    """The program's source, its queries answered by the model.

    Only ``_rows`` is replaced: what the class does around its queries is the program's own.

    :param privileged: whether the role sees when others' transactions began.
    """

    def __init__(
        self, postgres: Postgres, settings: Settings, name: str, *, privileged: bool = True
    ) -> None:
        super().__init__(None, settings.include_dir, zone=settings.timestamp_zone)  # type: ignore[arg-type]
        self.postgres = postgres
        self.name = name
        self.privileged = privileged
        self.lost = False
        self.without_zone = () if postgres.zone is None else TABLES

    def lose(self) -> None:
        """End the session; its advisory locks are free."""
        self.lost = True
        locks = self.postgres.locks
        for key in [key for key, holder in locks.items() if holder is self]:
            del locks[key]

    def _rows(self, file: str, **parameters: Any) -> list[tuple[Any, ...]]:
        self._move(file)
        answer, table = ANSWERS[file]
        of: Callable[..., list[tuple[Any, ...]]] = getattr(self, answer)
        return of(**parameters) if table is None else of(table, **parameters)

    def _move(self, action: str) -> None:
        self.postgres.world.step(action)
        if self.lost:
            raise SourceUnavailableError(f"the session of {self.name} was lost at {action}")

    def _now(self) -> str:
        return utc(self.postgres.world.database_clock) + "+00:00"

    # -- the clock, sessions and locks -----------------------------------------------------------

    def _clock(self) -> list[tuple[Any, ...]]:
        return [(self.postgres.world.database_clock,)]

    def _moment(self) -> list[tuple[Any, ...]]:
        return [(self._now(),)]

    def _activity(self, ignored_roles: Sequence[str]) -> list[tuple[Any, ...]]:
        del ignored_roles
        read = self._now()
        self._move("activity.sql, its clock read, before it looks at the sessions")
        others = self.postgres.open
        if not self.privileged:
            return [(read, read, len(others), None, None, None, None)]
        if not others:
            return [(read, read, 0, None, None, None, None)]
        oldest = min(others, key=lambda one: one.start)
        since = utc(oldest.start) + "+00:00"
        return [(read, min(read, since), 0, 4711, "site", oldest.name, since)]

    def _prepared(self) -> list[tuple[Any, ...]]:
        waiting = sorted((one.prepared_at or 0, one.name) for one in self.postgres.prepared)
        return [(name, utc(at) + "+00:00", "site") for at, name in waiting]

    def _virtual_transactions(self, ignored_roles: Sequence[str]) -> list[tuple[Any, ...]]:
        del ignored_roles
        read = self._now()
        self._move("virtual_transactions.sql, its clock read, before it looks at the locks")
        return [(read, [one.name for one in self.postgres.open])]

    def _lock(self, key: int) -> list[tuple[Any, ...]]:
        return [(self.postgres.locks.setdefault(key, self) is self,)]

    def _lock_holder(self, key: int) -> list[tuple[Any, ...]]:
        holder = self.postgres.locks.get(key)
        return [(1, "etl", holder.name, None, None)] if holder else []

    # -- the catalogue ---------------------------------------------------------------------------

    def _identity(self) -> list[tuple[Any, ...]]:
        return [("movies", 18_00_06)]

    def _system_identifier(self) -> list[tuple[Any, ...]]:
        if self.privileged:
            return [(self.postgres.system_identifier,)]
        raise ConfigurationError("refused") from psycopg.errors.InsufficientPrivilege()

    def columns(self) -> Columns:
        """Return the columns; they are the same at every look."""
        self._move("columns.sql")
        return _columns("with" if self.postgres.zone is None else "without")

    def _indexes(self) -> list[tuple[Any, ...]]:
        return []

    def _counts(self) -> list[tuple[Any, ...]]:
        return [(len(self.postgres.tables["film_work"]),)]

    def _existing(self, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return [(film,) for film in ids if film in self.postgres.tables["film_work"]]

    def _page(
        self,
        table: str,
        *,
        after_stamp: str,
        after_id: str,
        upto_stamp: str,
        upto_id: str,
        page_size: int | None,
    ) -> list[tuple[Any, ...]]:
        after, upto = (after_stamp[:26], after_id), (upto_stamp[:26], upto_id)
        found = [
            row
            for row in self.postgres.tables[table].values()
            if row.stamp is not None and after < (row.stamp, row.id) <= upto
        ]
        found.sort(key=_place)
        return [_shown(table, row) for row in found[:page_size]]

    def _undated(
        self, table: str, *, after_id: str | None, page_size: int
    ) -> list[tuple[Any, ...]]:
        found = [
            row
            for row in self.postgres.tables[table].values()
            if (row.stamp is None or row.stamp in (INFINITY, MINUS_INFINITY))
            and (after_id is None or row.id > after_id)
        ]
        found.sort(key=lambda row: row.id)
        return [_shown(table, row) for row in found[:page_size]]

    def _last(self, table: str, *, upto_stamp: str, upto_id: str) -> list[tuple[Any, ...]]:
        upto = (upto_stamp[:26], upto_id)
        places = [
            (row.stamp, row.id)
            for row in self.postgres.tables[table].values()
            if row.stamp not in (None, MINUS_INFINITY) and (row.stamp, row.id) <= upto
        ]
        if not places:
            return []
        stamp, key = max(places)
        return [(key, stamp)]

    def _films(
        self, table: str, *, ids: Iterable[str], after_film: str | None, page_size: int
    ) -> list[tuple[Any, ...]]:
        wanted = set(ids)
        films = {
            link.film
            for link in self.postgres.tables[table].values()
            if link.other in wanted and (after_film is None or link.film > after_film)
        }
        return [(film,) for film in sorted(films)[:page_size]]

    def _documents(self, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        films = self.postgres.tables["film_work"]
        genres, persons = self.names()
        return [
            (film, self.postgres.document(films[film], genres, persons))
            for film in ids
            if film in films
        ]

    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the names of genres and of persons that documents are built with."""
        return self.postgres.names("genre"), self.postgres.names("person")


@cache
def _columns(zone: str) -> Columns:
    stamp = f"timestamp {zone} time zone"
    return Columns(
        (table, column, stamp if column in ("modified", "created") else "text", True)
        for table, columns in REQUIRED.items()
        for column in columns
    )


def _place(row: Row) -> tuple[str | None, str]:
    return row.stamp, row.id


def _shown(table: str, row: Any) -> tuple[Any, ...]:
    film = row.film if isinstance(row, Link) else row.id if table == "film_work" else None
    stamp = None if row.stamp in (INFINITY, MINUS_INFINITY) else row.stamp
    return (row.id, stamp, row.xmin, film)
