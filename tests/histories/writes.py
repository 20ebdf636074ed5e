"""The site: what it writes to the catalogue, at once or in transactions of any length.

In most histories nothing is deleted and nothing is dated back: what ``modified`` cannot show is not
the sync's to find. No statement waits for another transaction's lock: rows that are taken are
passed over.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import strategies as st
from psycopg.types.json import Json

from tests.support.divergence import POISON

STAMPS = {
    "now": "now()",
    "clock": "clock_timestamp()",
    "future": "'2099-01-01'",
    "infinity": "'infinity'",
    "-infinity": "'-infinity'",
    "none": "NULL",
}
KINDS = (
    "edit film",
    "edit films",
    "add film",
    "rename genre",
    "rename person",
    "rename all",
    "link genre",
    "link person",
    "recast",
    "spoil root",
)
UNTRACED = (
    "delete film",
    "delete genre",
    "delete person",
    "unlink genre",
    "unlink person",
    "edit role",
    "edit title",
    "edit titles",
    "truncate film",
    "truncate person",
)
"""Changes that leave no trace in ``modified``. What is truncated may come back as it was."""
NAMES = "ABC"
"""Contents come from few values, so that a change from A to B and back to A is common."""
ROLES = ("actor", "writer", "director", None)
TOO_LONG = f"{POISON} " + "x" * 33_000
"""A title or name that Elasticsearch refuses: no keyword is longer than 32,766 bytes."""
MOST_OPEN = 3


@dataclass(frozen=True)
class Write:
    """One change.

    :param kind: one of KINDS.
    :param which: the row that is written, counted among those there are.
    :param other: the row that is linked, or the new content.
    :param stamp: a key of STAMPS.
    """

    kind: str
    which: int
    other: int
    stamp: str


def writes(*kinds: str) -> st.SearchStrategy[Write]:
    """Draw a change of one of these kinds."""
    return st.builds(
        Write,
        kind=st.sampled_from(kinds),
        which=st.integers(0, 11),
        other=st.integers(0, 11),
        stamp=st.sampled_from(("now",) * 8 + ("clock",) * 4 + tuple(STAMPS)[2:]),
    )


def few(*kinds: str) -> st.SearchStrategy[list[Write]]:
    """Draw one to three changes of these kinds."""
    return st.lists(writes(*kinds), min_size=1, max_size=3)


WRITES = writes(*KINDS)


class Session:
    """A session of the site in an open transaction."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True, application_name="site")
        self.has_savepoint = False
        self.connection.execute("BEGIN")

    def end(self, statement: str) -> None:
        with closing(self.connection):
            self.connection.execute(statement)


class Writers:
    """Writes to the catalogue.

    :param connection: for what is written at once; in autocommit.
    :param root: the table whose rows are the documents. Where these are persons, what is drawn for
        genres is done to persons.
    """

    def __init__(self, dsn: str, connection: psycopg.Connection[Any], root: str) -> None:
        self.dsn = dsn
        self.connection = connection
        self.root = root
        self._linked = ("genre" if root == "film_work" else "person", "person")
        self.open: list[Session] = []
        self.prepared: list[str] = []
        self.films: list[str] = []
        self.genres: list[str] = []
        self.persons: list[str] = []
        self._links: dict[tuple[object, ...], str] = {}
        self._made = 0
        self._salt = time.time_ns()

    @property
    def roots(self) -> list[str]:
        """The ids of the rows that are documents."""
        return self.films if self.root == "film_work" else self.persons

    # -- transactions ----------------------------------------------------------------------------

    def at_once(self, writes: Sequence[Write]) -> None:
        """Write in one transaction that is over at once."""
        with self.connection.transaction():
            for write in writes:
                self.write(self.connection, write)

    def begin(self, writes: Sequence[Write]) -> None:
        """Leave a transaction open."""
        self.open.append(Session(self.dsn))
        self.write_in(len(self.open) - 1, writes)

    def write_in(self, which: int, writes: Sequence[Write]) -> None:
        """Write in an open transaction, or at once when none is."""
        if not self.open:
            self.at_once(writes)
            return
        connection = self.open[which % len(self.open)].connection
        for write in writes:
            self.write(connection, write)

    def savepoint(self, which: int, writes: Sequence[Write]) -> None:
        """Set a savepoint and write, or roll back to the one that is set."""
        session = self.open[which % len(self.open)]
        if session.has_savepoint:
            session.connection.execute("ROLLBACK TO one")
        else:
            session.connection.execute("SAVEPOINT one")
            session.has_savepoint = True
            self.write_in(which, writes)

    def end(self, which: int, how: str) -> None:
        """End an open or prepared transaction, if there is one.

        :param how: COMMIT, ROLLBACK or PREPARE; a prepared one is committed instead.
        """
        if not self.is_anything_open():
            return
        which %= len(self.open) + len(self.prepared)
        if which >= len(self.open):
            gid = self.prepared.pop(which - len(self.open))
            how = "ROLLBACK" if how == "ROLLBACK" else "COMMIT"
            self.connection.execute(f"{how} PREPARED '{gid}'")
        elif how == "PREPARE":
            self.prepared.append(f"history {self._new_id()}")
            self.open.pop(which).end(f"PREPARE TRANSACTION '{self.prepared[-1]}'")
        else:
            self.open.pop(which).end(how)

    def is_anything_open(self) -> bool:
        return bool(self.open or self.prepared)

    def at_once_untraced(self, writes: Sequence[Write]) -> None:
        """Make changes without a trace, each at once, where no other transaction is in the way."""
        for write in writes:
            kind, _, what = write.kind.partition(" ")
            with suppress(psycopg.errors.LockNotAvailable), self.connection.transaction():
                self.connection.execute("SET LOCAL lock_timeout = '1ms'")
                if kind == "truncate":
                    self._truncate("film_work" if what == "film" else what, write.other)
                    continue
                statement, rows = self._untraced(kind, what)
                self.connection.execute(statement, {"id": rows[write.which % len(rows)]})

    def _truncate(self, table: str, which: int) -> None:
        """Empty a table and the links to it; import none of its rows, all but one, or all."""
        rows = self.connection.execute(
            f"SELECT row_to_json(one) FROM content.{table} AS one ORDER BY id"
        ).fetchall()
        self.connection.execute(f"TRUNCATE content.{table} CASCADE")
        for (row,) in () if which % 3 == 0 else rows[which % 3 - 1 :]:
            self.connection.execute(
                f"INSERT INTO content.{table} SELECT * FROM"
                f" json_populate_record(NULL::content.{table}, %s)",
                (Json(row),),
            )

    def _untraced(self, kind: str, what: str) -> tuple[str, list[str]]:
        """Return a statement about one of some rows."""
        if what == "genre":
            what = self._linked[0]
        if kind == "delete" and what == "film":
            return "DELETE FROM content.film_work WHERE id = %(id)s", self.films[1:] or self.films
        if kind == "delete":
            return f"DELETE FROM content.{what} WHERE id = %(id)s", self._named(what)[0]
        if kind == "unlink":
            link = f"DELETE FROM content.{what}_film_work WHERE film_work_id = %(id)s"
            return link, self.films
        if what == "role":
            roles = "UPDATE content.person_film_work SET role = NULL WHERE film_work_id = %(id)s"
            return roles, self.films
        titles = "UPDATE content.film_work SET title = 'no trace'"
        return titles if what == "titles" else f"{titles} WHERE id = %(id)s", self.films

    # -- rows ------------------------------------------------------------------------------------

    def write(self, connection: psycopg.Connection[Any], write: Write) -> None:
        """Make one change."""
        kind, _, what = write.kind.partition(" ")
        if what == "genre":
            what = self._linked[0]
        if kind == "add":
            self.add_film(connection, write)
        elif kind == "spoil" and self.root == "person":
            self._rename(connection, write, "person")
        elif kind in ("edit", "spoil"):
            self._edit(connection, write)
        elif kind == "rename":
            self._rename(connection, write, what)
        elif kind == "link":
            self._link(connection, write, what)
        else:
            self._recast(connection, write)

    def _new_id(self) -> str:
        """Return an id whose order has nothing to do with its age.

        The order is the same when a history is played again, the id is not: letters of deleted
        films are remembered by Elasticsearch for a while.
        """
        self._made += 1
        place = self._made * 0x9E3779B97F4A7C15 % (1 << 64)
        return str(UUID(int=(place << 64) | self._salt))

    def add_film(self, connection: psycopg.Connection[Any], write: Write) -> None:
        """Add a film with one link of each kind, as far as there is something to link."""
        film = self._new_id()
        self.films.append(film)
        connection.execute(
            "INSERT INTO content.film_work (id, title, type, description, modified)"
            f" VALUES (%s, %s, 'movie', %s, {STAMPS[write.stamp]})",
            (film, f"{len(self.films)} {NAMES[write.which % 3]}", "long " * 40),
        )
        self._link_film(connection, "genre", film, write)
        self._link_film(connection, "person", film, write)

    def add_named(self, connection: psycopg.Connection[Any], table: str, write: Write) -> None:
        """Add a genre or a person."""
        rows, column = self._named(table)
        rows.append(self._new_id())
        connection.execute(
            f"INSERT INTO content.{table} (id, {column}, modified)"
            f" VALUES (%s, %s, {STAMPS[write.stamp]})",
            (rows[-1], f"{table} {len(rows)} A"),
        )

    def _named(self, table: str) -> tuple[list[str], str]:
        return (self.genres, "name") if table == "genre" else (self.persons, "full_name")

    def _edit(self, connection: psycopg.Connection[Any], write: Write) -> None:
        """Edit a film, or every second one: they share one stamp."""
        films = self.films
        chosen = films[write.which % 2 :: 2] if write.kind == "edit films" else []
        chosen = chosen or [films[write.which % len(films)]]
        title, rating = f"title {NAMES[write.other % 3]}", (None, 1.5, 8.0)[write.other // 4]
        if write.kind == "spoil root":
            title, rating = (TOO_LONG, 1.0) if write.other % 2 else (title, float("nan"))
        connection.execute(
            f"UPDATE content.film_work SET title = %s, rating = %s, modified = "
            f"{STAMPS[write.stamp]} WHERE id IN (SELECT id FROM content.film_work"
            " WHERE id = ANY(%s::uuid[]) FOR NO KEY UPDATE SKIP LOCKED)",
            (title, rating, chosen),
        )

    def _rename(self, connection: psycopg.Connection[Any], write: Write, what: str) -> None:
        """Rename a genre or a person, or all of one kind, or give a person a name too long."""
        table = self._linked[write.which % 2] if what == "all" else what
        rows, column = self._named(table)
        chosen = rows if what == "all" else [rows[write.which % len(rows)]]
        name = f"regexp_replace({column}, '^{POISON} x+|.$', '') || '{NAMES[write.other % 3]}'"
        if write.kind == "spoil root":
            name = f"'{TOO_LONG}'"
        connection.execute(
            f"UPDATE content.{table} SET {column} = {name}, modified = "
            f"{STAMPS[write.stamp]} WHERE id IN (SELECT id FROM content.{table}"
            " WHERE id = ANY(%s::uuid[]) FOR NO KEY UPDATE SKIP LOCKED)",
            (chosen,),
        )

    def _link(self, connection: psycopg.Connection[Any], write: Write, table: str) -> None:
        """Link a genre or person, sometimes a fresh one, to a film."""
        rows, _ = self._named(table)
        if write.other == 11 and len(rows) < 8:
            self.add_named(connection, table, write)
        self._link_film(connection, table, self.films[write.which % len(self.films)], write)

    def _link_film(
        self, connection: psycopg.Connection[Any], table: str, film: str, write: Write
    ) -> None:
        """Link what this transaction sees; a pair that was linked once is not tried again."""
        rows, _ = self._named(table)
        other = rows[write.other % len(rows)]
        role = ROLES[write.which % 4]
        place = (table, film, other, role if table == "person" else None)
        if place in self._links:
            return
        link = self._new_id()
        values: list[str | None] = [link, film, other]
        columns = "id, film_work_id, " + ("person_id, role" if table == "person" else "genre_id")
        values += [role] if table == "person" else []
        made = connection.execute(
            f"INSERT INTO content.{table}_film_work ({columns}, created)"
            f" SELECT {', '.join(['%s::uuid'] * 3 + ['%s'] * (len(values) - 3))},"
            f" {STAMPS[write.stamp]}"
            " WHERE EXISTS (SELECT FROM content.film_work WHERE id = %s)"
            f" AND EXISTS (SELECT FROM content.{table} WHERE id = %s)",
            (*values, film, other),
        )
        if made.rowcount:
            self._links[place] = link

    def _recast(self, connection: psycopg.Connection[Any], write: Write) -> None:
        """Give a link of a person another role, and the time at which that was done."""
        links = [place for place in self._links if place[0] == "person"]
        if not links:
            return
        table, film, person, role = place = links[write.which % len(links)]
        other = (table, film, person, ROLES[(ROLES.index(role) + 1 + write.other % 3) % 4])
        if other in self._links:
            return
        done = connection.execute(
            f"UPDATE content.person_film_work SET role = %s, created = {STAMPS[write.stamp]}"
            " WHERE id = (SELECT id FROM content.person_film_work WHERE id = %s"
            " FOR UPDATE SKIP LOCKED)",
            (other[3], self._links[place]),
        )
        if done.rowcount:  # both places stay taken: the change may be rolled back
            self._links[other] = self._links[place]
