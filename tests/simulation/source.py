"""The program's source over the model of PostgreSQL: what answers each of its queries."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cache
from typing import Any

import psycopg
from movies_etl.definitions.definition import Feed
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres.schema import REQUIRED, Columns
from movies_etl.postgres.source import Document, Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Position

from tests.simulation.documents import document
from tests.simulation.postgres import INFINITY, MINUS_INFINITY, TABLES, Link, Postgres, Row
from tests.simulation.world import utc

ANSWERS: dict[str, tuple[str, str | None]] = {
    "clock.sql": ("_clock", None),
    "now.sql": ("_moment", None),
    "activity.sql": ("_activity", None),
    "prepared.sql": ("_prepared", None),
    "virtual_transactions.sql": ("_virtual_transactions", None),
    "lock.sql": ("_lock", None),
    "lock_holder.sql": ("_lock_holder", None),
    "identity.sql": ("_identity", None),
    "cluster.sql": ("_cluster", None),
    "indexes.sql": ("_indexes", None),
    "counts.sql": ("_counts", None),
    "existing.sql": ("_existing", None),
    "documents.sql": ("_documents", None),
    "film_work/changed.sql": ("_page", "film_work"),
    "film_work/page.sql": ("_film_page", None),
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


PIECE = 2
"""Documents that the program takes at a time."""


class SimulatedSource(Source):
    """The program's source, its queries answered by the model.

    Only ``_rows`` and ``_built`` are replaced: what is done around queries is the program's own.

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

    def count_changed(self, feed: Feed, after: Position) -> int:
        """Count the rows of a feed after a position."""
        return len(self.changed(feed, after, None, None))

    def _built(self, films: Sequence[str]) -> Generator[list[Document], None, None]:
        rows = self._rows("documents.sql", ids=list(films))
        for start in range(0, len(rows), PIECE):
            if start:
                self._move("next piece")
            yield [Document(*row) for row in rows[start : start + PIECE]]

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
        return [("movies", 18_00_06, False)]

    def _cluster(self) -> list[tuple[Any, ...]]:
        if self.privileged:
            return [(self.postgres.system_identifier, 1)]
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

    def _film_page(self, **bounds: Any) -> list[tuple[Any, ...]]:
        rows = self._page("film_work", **bounds)
        return [([film for film, *_ in rows], rows[-1][1])] if rows else [(None, None)]

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
            (film, document(self.postgres, films[film], genres, persons))
            for film in ids
            if film in films
        ]

    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the names of genres and of persons that documents are built with."""
        genres, persons = (
            {row.id: row.name for row in self.postgres.tables[table].values()}
            for table in ("genre", "person")
        )
        return genres, persons


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
