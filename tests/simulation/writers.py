"""The site's writers: what they do to the catalogue, in transactions of any length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.elasticsearch import POISON
from tests.simulation.postgres import INFINITY, MINUS_INFINITY, Film, Link, Named, Postgres
from tests.simulation.postgres import Transaction as Tx
from tests.simulation.world import MINUTE, World

LONG_AGO = "2020-01-01T00:00:00.000000"
FAR_AWAY = "2099-01-01T00:00:00.000000"
ODD_STAMPS = (None, INFINITY, MINUS_INFINITY, FAR_AWAY, FAR_AWAY)
LETTERS = "ABC"
"""Contents come from few values, so that a change from A to B and back to A is common."""

DESCRIPTION = "long enough for a body of a thousand bytes to hold few films " * 4
MOST_OPEN = 3
MOST_FILMS = 9
LONGEST_PREPARED = 50 * MINUTE
"""A prepared transaction older than an hour is not waited for; its rows need a reconcile."""


class Writers:
    """Writes to the catalogue at random.

    :param note: takes what was done, for the trace.
    """

    def __init__(self, postgres: Postgres, note: Callable[[str], None]) -> None:
        self.postgres = postgres
        self.world: World = postgres.world
        self.random = self.world.random
        self.note = note
        self.actions = self.world.random.choices(
            (
                self.write_at_once,
                self.begin,
                self.write,
                self.commit,
                self.roll_back,
                self.savepoint,
                self.prepare,
            ),
            (8, 4, 6, 4, 1, 2, 1),
            k=64,
        )
        kinds: tuple[Callable[[Tx], None], ...] = (
            self.edit_film,
            self.edit_films,
            self.add_film,
            self.rename,
            self.link_genre,
            self.link_person,
        )
        self.kinds = self.world.random.choices(kinds, (5, 2, 2, 6, 2, 3), k=64)
        self._made = 0

    def act(self) -> None:
        """Do one thing."""
        self.world.pick(self.actions)()

    def settle_down(self) -> None:
        """End every transaction."""
        for transaction in (*self.postgres.open, *self.postgres.prepared):
            self._end(transaction)

    def hurry(self, until: int) -> None:
        """End what would be prepared for too long at a time to come."""
        for transaction in list(self.postgres.prepared):
            if until - transaction.start > LONGEST_PREPARED:
                self._end(transaction)

    # -- transactions ----------------------------------------------------------------------------

    def _any_open(self) -> Tx | None:
        return self.world.pick(self.postgres.open) if self.postgres.open else None

    def write_at_once(self) -> None:
        transaction = self.postgres.begin()
        self._write(transaction)
        self._commit(transaction)

    def begin(self) -> None:
        if len(self.postgres.open) < MOST_OPEN:
            transaction = self.postgres.begin()
            self.note(f"{transaction.name}: begin, stamp {transaction.stamp}")
            self._write(transaction)

    def write(self) -> None:
        if transaction := self._any_open():
            self._write(transaction)

    def commit(self) -> None:
        waiting = self.postgres.open + self.postgres.prepared
        if waiting:
            self._commit(self.world.pick(waiting))

    def _commit(self, transaction: Tx) -> None:
        self.note(f"{transaction.name}: commit")
        self.postgres.commit(transaction)

    def roll_back(self) -> None:
        waiting = self.postgres.open + self.postgres.prepared
        if waiting:
            transaction = self.world.pick(waiting)
            self.note(f"{transaction.name}: rollback")
            self.postgres.roll_back(transaction)

    def _end(self, transaction: Tx) -> None:
        if self.world.chance(0.8):
            self._commit(transaction)
        else:
            self.note(f"{transaction.name}: rollback")
            self.postgres.roll_back(transaction)

    def savepoint(self) -> None:
        transaction = self._any_open()
        if transaction is None:
            return
        if transaction.savepoint is None:
            self.note(f"{transaction.name}: savepoint")
            self.postgres.set_savepoint(transaction)
            self._write(transaction)
        else:
            self.note(f"{transaction.name}: rollback to savepoint")
            self.postgres.roll_back_to_savepoint(transaction)

    def prepare(self) -> None:
        transaction = self._any_open()
        if transaction and self.world.database_clock - transaction.start < LONGEST_PREPARED:
            self.note(f"{transaction.name}: prepare transaction")
            self.postgres.prepare(transaction)

    # -- rows ------------------------------------------------------------------------------------

    def _write(self, transaction: Tx) -> None:
        for _ in range(self.world.pick((1, 1, 1, 2, 3))):
            self.world.pick(self.kinds)(transaction)

    def _put(self, transaction: Tx, table: str, row: Any) -> None:
        transaction.writes.append((table, row))
        self.note(f"{transaction.name}: {table} {tuple(row)}")

    def _stamp(self, transaction: Tx, before: str | None = LONG_AGO) -> str | None:
        """Return a stamp: the transaction's, the site's clock at this moment, or an odd one."""
        odd = 0.25 if before in (None, INFINITY, MINUS_INFINITY, FAR_AWAY) else 0.04
        draw = self.random.random()
        if draw < odd:
            return self.world.pick(ODD_STAMPS)
        if draw < 0.7:
            return transaction.stamp
        early = self.random.randint(0, self.postgres.margin // 2)
        return self.postgres.stamped(self.world.now - early)

    def _free(self, transaction: Tx, table: str) -> Any | None:
        """Return a row that this transaction may write, as it sees it; None when it may not."""
        rows = self.postgres.seen(transaction, table)
        if not rows:
            return None
        key = self.world.pick(list(rows))
        return None if self.postgres.is_locked(transaction, table, key) else rows[key]

    def _key(self, kind: str) -> str:
        self._made += 1
        return f"{kind}{self.random.randint(10, 99)}-{self._made}"

    def edit_film(self, transaction: Tx) -> None:
        film = self._free(transaction, "film_work")
        if film is not None:
            self._edit(transaction, film, self._stamp(transaction, film.stamp))

    def edit_films(self, transaction: Tx) -> None:
        """Edit several films at once: they share one stamp."""
        stamp = self._stamp(transaction)
        for film in list(self.postgres.seen(transaction, "film_work").values()):
            if self.world.chance(0.6) and not self.postgres.is_locked(
                transaction, "film_work", film.id
            ):
                self._edit(transaction, film, stamp)

    def _edit(self, transaction: Tx, film: Film, stamp: str | None) -> None:
        draw = self.random.random()
        title, rating = f"{film.id} {self.world.pick(LETTERS)}", film.rating
        if draw < 0.05:
            title = f"{POISON} {title}"
        elif draw < 0.09:
            rating = float("nan")
        else:
            rating = self.world.pick((None, 1.5, 8.0))
        row = film._replace(title=title, rating=rating, stamp=stamp, xmin=transaction.xmin)
        self._put(transaction, "film_work", row)

    def add_film(self, transaction: Tx) -> None:
        if len(self.postgres.tables["film_work"]) >= MOST_FILMS:
            return
        film = Film(
            self._key("f"), self._stamp(transaction), transaction.xmin, "", None, DESCRIPTION
        )
        self._edit(transaction, film, film.stamp)
        if self.world.chance(0.7):
            self._link(transaction, "genre", film.id)
        if self.world.chance(0.7):
            self._link(transaction, "person", film.id)

    def rename(self, transaction: Tx) -> None:
        """Rename one genre or person, or all of them at once."""
        table = self.world.pick(("genre", "person"))
        rows = [self._free(transaction, table)]
        if self.world.chance(0.3):
            seen = self.postgres.seen(transaction, table).values()
            rows = [row for row in seen if not self.postgres.is_locked(transaction, table, row.id)]
        for row in rows:
            if row is not None:
                name = f"{row.id} {self.world.pick(LETTERS)}"
                stamp = self._stamp(transaction, row.stamp)
                new = row._replace(name=name, stamp=stamp, xmin=transaction.xmin)
                self._put(transaction, table, new)

    def link_genre(self, transaction: Tx) -> None:
        self._link(transaction, "genre")

    def link_person(self, transaction: Tx) -> None:
        self._link(transaction, "person")

    def _link(self, transaction: Tx, table: str, film: str | None = None) -> None:
        films = list(self.postgres.seen(transaction, "film_work"))
        others = list(self.postgres.seen(transaction, table))
        if not others or self.world.chance(0.15):
            self._add_named(transaction, table)
            others = list(self.postgres.seen(transaction, table))
        links = self.postgres.tables[f"{table}_film_work"]
        if not films or len(links) > 40:
            return
        stamp = self._stamp(transaction)
        self._put(
            transaction,
            f"{table}_film_work",
            Link(
                self._key("l"),
                stamp,
                transaction.xmin,
                film or self.world.pick(films),
                self.world.pick(others),
                self.world.pick(("actor", "writer", "director", None)),
            ),
        )

    def _add_named(self, transaction: Tx, table: str) -> None:
        key = self._key(table[0])
        stamp = self._stamp(transaction)
        self._put(transaction, table, Named(key, stamp, transaction.xmin, f"{key} A"))

    def found(self) -> None:
        """Write the catalogue that was there before the program."""
        transaction = self.postgres.begin()
        transaction.stamp = LONG_AGO
        for table, most in (("genre", 4), ("person", 4)):
            for _ in range(self.random.randint(1, most)):
                self._add_named(transaction, table)
        for _ in range(self.random.randint(2, 6)):
            self.add_film(transaction)
        for _ in range(self.random.randint(2, 14)):
            self._link(transaction, self.world.pick(("genre", "person")))
        self._commit(transaction)
