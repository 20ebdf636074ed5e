"""Ids of documents, however many: a table that was emptied leaves one for each document.

They lie in a database of SQLite that has no name: in memory while they are few, else in a file of
the system's folder for temporary files, which nobody else sees and which goes with the process.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from movies_etl.errors import ConfigurationError

_T = TypeVar("_T")

MEMORY_KILOBYTES = 8_000
"""Kilobytes that are held in memory: of some 150,000 ids."""

IDS_PER_READ = 10_000
"""Ids that are read together."""


class Ids(AbstractSet[str]):
    """A set of ids, in the order of their bytes.

    :param ids: to begin with.
    :raises ConfigurationError: (every method) the temporary file has no room.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._database: sqlite3.Connection | None = None
        self._number = 0
        self.update(ids)

    def update(self, ids: Iterable[str]) -> None:
        """Add ids."""
        for page in in_pages(ids, IDS_PER_READ):
            self._number += self._changed("INSERT OR IGNORE INTO ids VALUES (?)", page)

    def difference_update(self, ids: Iterable[str]) -> None:
        """Take ids away; those that are not there do not matter."""
        if self._database:
            for page in in_pages(ids, IDS_PER_READ):
                self._number -= self._changed("DELETE FROM ids WHERE id = ?", page)

    def clear(self) -> None:
        """Take all ids away."""
        if self._database:
            with _told_errors(), self._database as database:
                database.execute("DELETE FROM ids")
            self._number = 0

    def __len__(self) -> int:
        return self._number

    def __contains__(self, id_: object) -> bool:
        return bool(self._database and self._asked("SELECT 1 FROM ids WHERE id = ?", id_))

    def __iter__(self) -> Iterator[str]:
        page = self._asked("SELECT id FROM ids ORDER BY id LIMIT ?", IDS_PER_READ)
        while page:
            yield from (id_ for (id_,) in page)
            (after,) = page[-1]
            page = self._asked(
                "SELECT id FROM ids WHERE id > ? ORDER BY id LIMIT ?", after, IDS_PER_READ
            )

    def __repr__(self) -> str:
        return f"Ids({[*islice(self, 10)]}, {len(self)} in all)"

    def _asked(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with _told_errors():
            return self._database.execute(query, values).fetchall() if self._database else []

    def _changed(self, statement: str, ids: Iterable[str]) -> int:
        """Change the table; return how many ids came or went."""
        database = self._database = self._database or _empty(self)
        before = database.total_changes
        with _told_errors(), database:
            database.executemany(statement, ((one,) for one in ids))
        return database.total_changes - before


@contextmanager
def _told_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"So many documents differ that their ids need a temporary file, and there is none: "
            f"{error}. Give the tasks a folder with room by the environment variable TMPDIR. "
            "Nothing is lost; the next run compares again."
        ) from error


def _empty(owner: Ids) -> sqlite3.Connection:
    """Return a database that is there as long as its owner."""
    database = sqlite3.connect("", check_same_thread=False)
    weakref.finalize(owner, database.close)
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{MEMORY_KILOBYTES}"):
        database.execute(f"PRAGMA {setting}")
    database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
    return database


def in_pages(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield items in lists of this size, the last one shorter."""
    left = iter(items)
    while page := [*islice(left, size)]:
        yield page
