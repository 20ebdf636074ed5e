"""Writers as a busy site has them: many at once, each in transactions of any length."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from local.processes import pause
from tests.support.catalogue import Catalogue

ROLES = ("director", "actor", "writer", None)
STAMPS = ("now()", "clock_timestamp()", "statement_timestamp()")
LONGEST = 0.6
"""Seconds that a transaction stays open, and prepared."""

CHANGES = {
    "UPDATE content.film_work SET title = %(text)s, modified = {stamp}"
    " WHERE id = %(film_work)s": 10,
    "UPDATE content.person SET full_name = %(text)s, modified = {stamp} WHERE id = %(person)s": 3,
    "UPDATE content.genre SET name = %(text)s, modified = {stamp} WHERE id = %(genre)s": 0.3,
    "INSERT INTO content.film_work (id, title, type, modified)"
    " VALUES (gen_random_uuid(), %(text)s, 'movie', {stamp})": 2,
    "INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)"
    " VALUES (gen_random_uuid(), %(film_work)s, %(person)s, %(role)s, {stamp})"
    " ON CONFLICT DO NOTHING": 4,
    "INSERT INTO content.genre_film_work (id, film_work_id, genre_id, created)"
    " VALUES (gen_random_uuid(), %(film_work)s, %(genre)s, {stamp}) ON CONFLICT DO NOTHING": 2,
}
"""What writers do, and how often. A renamed genre brings many films: were it frequent, it would
repair what a wrong sync has left stale."""

DELETIONS = {
    "UPDATE content.film_work SET title = %(text)s, modified = {stamp} WHERE id = %(film_work)s": 8,
    "UPDATE content.film_work SET title = %(text)s WHERE id = %(film_work)s": 1,
    "DELETE FROM content.film_work WHERE id = %(mortal)s": 3,
    "INSERT INTO content.film_work (id, title, type, modified)"
    " VALUES (%(mortal)s, %(text)s, 'movie', {stamp}) ON CONFLICT (id) DO NOTHING": 3,
    "INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)"
    " VALUES (gen_random_uuid(), %(film_work)s, %(person)s, %(role)s, {stamp})"
    " ON CONFLICT DO NOTHING": 3,
    "DELETE FROM content.person_film_work WHERE film_work_id = %(film_work)s": 1,
    "DELETE FROM content.genre_film_work WHERE film_work_id = %(film_work)s": 1,
}
"""What writers do that delete mortal films, and links of the others, and change titles unseen."""

Shares = dict[str, list[str]]


class Writer:
    """Changes its share of the catalogue until the event is set.

    Writers have no row in common and never wait for each other: nothing but its own pace decides
    when a transaction ends.

    :param number: of this writer, and the seed of what it does.
    :param changes: statements, and how often each is made.
    """

    def __init__(
        self, dsn: str, number: int, share: Shares, changes: Mapping[str, float] = CHANGES
    ) -> None:
        self._dsn = dsn
        self._changes = changes
        self._number = number
        self._share = share
        self._random = random.Random(number)  # noqa: S311 - no secret
        self.commits = 0

    def write(self, stop: threading.Event) -> int:
        """Write until the event; return how many transactions were committed."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not stop.is_set():
                self._transaction(connection)
        return self.commits

    def _transaction(self, connection: psycopg.Connection[Any]) -> None:
        steps = self._random.randint(1, 4)
        slow = self._random.random() < 0.7
        connection.execute("BEGIN")
        for _ in range(steps):
            self._step(connection)
            pause(self._random.uniform(0, LONGEST / steps) if slow else 0.0)
        chance = self._random.random()
        if chance < 0.03:
            connection.execute("ROLLBACK")
            return
        if chance < 0.07:
            gid = f"storm {self._number} {self.commits}"
            connection.execute(f"PREPARE TRANSACTION '{gid}'")
            pause(self._random.uniform(0, LONGEST))
            connection.execute(f"COMMIT PREPARED '{gid}'")
        else:
            connection.execute("COMMIT")
        self.commits += 1

    def _step(self, connection: psycopg.Connection[Any]) -> None:
        ((change,), stamp, role) = (
            self._random.choices([*self._changes], [*self._changes.values()]),
            self._random.choice(STAMPS),
            self._random.choice(ROLES),
        )
        values = {table: self._random.choice(ids) for table, ids in self._share.items()}
        values["text"] = f"Writer {self._number}, {self._random.random()}"
        connection.execute("SAVEPOINT step")
        connection.execute(change.format(stamp=stamp), values | {"role": role})
        if self._random.random() < 0.1:
            connection.execute("ROLLBACK TO step")


@contextmanager
def storm(
    catalogue: Catalogue,
    writers: int = 8,
    *,
    mortal: Sequence[str] = (),
    changes: Mapping[str, float] = CHANGES,
) -> Iterator[list[int]]:
    """Let writers write during the block; behind it the list has the commits of each.

    :param mortal: films that may be deleted.
    """
    ids = {
        table: [str(row[0]) for row in catalogue.execute(f"SELECT id FROM content.{table}")]
        for table in ("film_work", "person", "genre")
    }
    if mortal:
        ids["film_work"] = [one for one in ids["film_work"] if one not in set(mortal)]
        ids["mortal"] = [*mortal]
    stop = threading.Event()
    commits: list[int] = []
    with ThreadPoolExecutor(writers) as threads:
        running = [
            threads.submit(Writer(catalogue.dsn, number, share, changes).write, stop)
            for number in range(writers)
            for share in [{table: rows[number::writers] for table, rows in ids.items()}]
        ]
        try:
            yield commits
        finally:
            stop.set()
        commits += [one.result() for one in running]
