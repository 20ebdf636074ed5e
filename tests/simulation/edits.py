"""What the site's writers do to the rows of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.postgres import INFINITY, MINUS_INFINITY, Film, Link, Named, Postgres
from tests.simulation.postgres import Transaction as Tx
from tests.simulation.shapes import DESCRIPTION, OF_MOVIES, Shape
from tests.simulation.world import World, weighted
from tests.support.divergence import POISON

LONG_AGO = "2020-01-01T00:00:00.000000"
FAR_AWAY = "2099-01-01T00:00:00.000000"
ODD_STAMPS = (None, INFINITY, MINUS_INFINITY, FAR_AWAY, FAR_AWAY)
LETTERS = "ABC"
"""Contents come from few values, so that a change from A to B and back to A is common."""

MOST_FILMS = 9


class Edits:
    """Writes rows at random, in transactions that others begin and end.

    :param shape: of the index that is made of them.
    :param note: takes what was done, for the trace: a line, and the values for its ``%s``.
    """

    def __init__(self, postgres: Postgres, shape: Shape, note: Callable[..., None]) -> None:
        self.postgres = postgres
        self._shape = shape
        self.world: World = postgres.world
        self.random = self.world.random
        self.note = note
        is_of_films = shape is OF_MOVIES
        self._named = ("genre", "person") if is_of_films else ("person",)
        self._kinds = weighted(
            (self._edit_any, 5),
            (self._edit_films, 2),
            (self._add_film, 2),
            (self._rename, 6),
            (self._link_genre, 2 if is_of_films else 0),
            (self._link_person, 3 if is_of_films else 5),
        )
        self._made = 0

    def found(self, most: int) -> None:
        """Write the catalogue that was there before the program.

        :param most: films.
        """
        transaction = self.postgres.begin()
        transaction.stamp = LONG_AGO
        for table in ("genre", "person"):
            for _ in range(self.random.randint(1, max(2, most * 2 // 3))):
                self._add_named(transaction, table)
        for _ in range(self.random.randint(1, most)):
            self._add_film(transaction)
        for _ in range(self.random.randint(1, 2 * most)):
            self._link(transaction, self.world.pick(self._named))
        self.postgres.commit(transaction)

    def write(self, transaction: Tx) -> None:
        """Write one row or a few."""
        for _ in range(self.world.pick((1, 1, 1, 2, 3))):
            self.world.pick(self._kinds)(transaction)

    def _put(self, transaction: Tx, table: str, row: Any) -> None:
        transaction.writes.append((table, row))
        self.note("%s: %s %s", transaction.name, table, tuple(row))

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
        return f"{kind}{self.world.pick(LETTERS)}{self._made}"

    def _edit_any(self, transaction: Tx) -> None:
        film = self._free(transaction, "film_work")
        if film is not None:
            self._edit(transaction, film, self._stamp(transaction, film.stamp))

    def _edit_films(self, transaction: Tx) -> None:
        """Edit several films at once: they share one stamp."""
        stamp = self._stamp(transaction)
        for film in list(self.postgres.seen(transaction, "film_work").values()):
            if self.world.chance(0.6) and not self.postgres.is_locked(
                transaction, "film_work", film.id
            ):
                self._edit(transaction, film, stamp)

    def _edit(self, transaction: Tx, film: Film, stamp: str | None) -> None:
        draw = self.random.random()
        name, rating = f"{film.id} {self.world.pick(LETTERS)}", film.rating
        if draw < 0.05:
            name = f"{POISON} {name}"
        elif draw < 0.09:
            rating = float("nan")
        else:
            rating = self.world.pick((None, 1.5, 8.0))
        row = film._replace(name=name, rating=rating, stamp=stamp, xmin=transaction.xmin)
        self._put(transaction, "film_work", row)

    def _add_film(self, transaction: Tx) -> None:
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

    def _rename(self, transaction: Tx) -> None:
        """Rename one genre or person, or all of them at once."""
        table = self.world.pick(self._named)
        rows = [self._free(transaction, table)]
        if self.world.chance(0.3):
            seen = self.postgres.seen(transaction, table).values()
            rows = [row for row in seen if not self.postgres.is_locked(transaction, table, row.id)]
        for row in rows:
            if row is not None:
                name = self._name(row.id, table)
                stamp = self._stamp(transaction, row.stamp)
                new = row._replace(name=name, stamp=stamp, xmin=transaction.xmin)
                self._put(transaction, table, new)

    def _name(self, key: str, table: str) -> str | None:
        """Return a name; a document's own is long, and may be one that is refused."""
        name = f"{key} {self.world.pick(LETTERS)}"
        if table == self._shape.root:
            name += self._shape.padding
        draw = self.random.random() if table == self._shape.root else 1.0
        return f"{POISON} {name}" if draw < 0.05 else None if draw < 0.09 else name

    def _link_genre(self, transaction: Tx) -> None:
        self._link(transaction, "genre")

    def _link_person(self, transaction: Tx) -> None:
        self._link(transaction, "person")

    def _link(self, transaction: Tx, table: str, film: str | None = None) -> None:
        films = self._linkable(transaction, "film_work")
        others = self._linkable(transaction, table)
        if not others or self.world.chance(0.15):
            self._add_named(transaction, table)
            others = self._linkable(transaction, table)
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

    def _linkable(self, transaction: Tx, table: str) -> list[str]:
        seen, is_going = self.postgres.seen(transaction, table), self.postgres.is_going
        return [key for key in seen if not is_going(transaction, table, key)]

    def _add_named(self, transaction: Tx, table: str) -> None:
        key = self._key(table[0])
        stamp = self._stamp(transaction)
        self._put(transaction, table, Named(key, stamp, transaction.xmin, self._name(key, table)))
