"""The program's queries over the model of PostgreSQL: what answers each of their files."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres.layout import by_table, layout_of
from movies_etl.postgres.queries import Names
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.layout import Layout
from movies_etl.state.visible import Cluster, Visible

from tests.simulation.documents import movie, person
from tests.simulation.postgres import INFINITY, MINUS_INFINITY, Film, Postgres, Row
from tests.simulation.traces import FIELDS, TraceQueries
from tests.simulation.world import utc
from tests.support.columns import fitting


class SimulatedQueries(TraceQueries):
    """One session's queries, each answered by the method that is named after its file.

    :param name: of the session.
    :param privileged: whether the role sees when others' transactions began.
    """

    def __init__(self, postgres: Postgres, name: str, *, privileged: bool = True) -> None:
        super().__init__(None, Path(), "content")  # type: ignore[arg-type]
        self.postgres = postgres
        self.name = name
        self.privileged = privileged
        self.lost = False
        self.locked_at = 0
        self._taken: Counter[int] = Counter()

    def close(self) -> None:
        self.lose()

    def run(self, file: str) -> None:
        """Put nothing in order: a model has no settings."""

    def lose(self) -> None:
        """End the session; its advisory locks are free."""
        self.lost = True
        locks = self.postgres.locks
        for key in [key for key, holder in locks.items() if holder is self]:
            del locks[key]

    def rows(
        self, file: str, names: Names | None = None, **parameters: object
    ) -> list[tuple[Any, ...]]:
        self._move(f"{file} {names['table']}" if names else file)
        return self._answer(file, **(names or {}), **parameters)

    def count(self, file: str, names: Names, **parameters: object) -> int:
        return len(self.rows(file, names, **parameters))

    def pieces(
        self, file: str, size: int, **parameters: object
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        rows = self.rows(file, None, **parameters)
        for start in range(0, len(rows), size):
            if start:
                self._move("next piece")
            yield rows[start : start + size]

    def around(self, file: str, outer: bytes, **parameters: object) -> list[tuple[Any, ...]]:
        """Build documents, and return their ends; of some the whole text."""
        del outer
        whole = parameters.pop("whole")
        assert isinstance(whole, Sequence)
        return [
            (key, text[-40:], text if key in whole else None)
            for key, text in self.rows(file, None, **parameters)
        ]

    def _answer(self, file: str, **values: object) -> list[tuple[Any, ...]]:
        answer: Callable[..., list[tuple[Any, ...]]] = getattr(self, method_of(file))
        return answer(**values)

    def _move(self, action: str) -> None:
        self.postgres.world.step(action)
        if self.lost:
            raise SourceUnavailableError(f"the session of {self.name} was lost at {action}")

    def _moment(self) -> str:
        return utc(self.postgres.world.database_clock) + "+00:00"

    # -- the server ------------------------------------------------------------------------------

    def _clock(self) -> list[tuple[Any, ...]]:
        return [(self.postgres.world.database_clock,)]

    def _now(self) -> list[tuple[Any, ...]]:
        return [(self._moment(),)]

    def _activity(self, ignored_roles: Sequence[str]) -> list[tuple[Any, ...]]:
        del ignored_roles
        read = self._moment()
        self._move("activity.sql, its clock read, before it looks at the sessions")
        others = self.postgres.open + self.postgres.committing
        if not self.privileged:
            return [(read, read, len(others), None, None, None, None)]
        if not others:
            return [(read, read, 0, None, None, None, None)]
        oldest = min(others, key=lambda one: one.start)
        since = utc(oldest.start) + "+00:00"
        return [(read, min(read, since), 0, 4711, "site", oldest.name, since)]

    def _log_end(self) -> list[tuple[Any, ...]]:
        return [(1, len(self.postgres.log))]

    def _replayed(self, place: int) -> list[tuple[Any, ...]]:
        del place
        return [(False, False, None, False)]

    def _snapshot(self) -> list[tuple[Any, ...]]:
        return [(self.postgres.snapshot,)]

    def _prepared(self) -> list[tuple[Any, ...]]:
        waiting = sorted((one.prepared_at or 0, one.name) for one in self.postgres.prepared)
        return [(name, utc(at) + "+00:00", "site") for at, name in waiting]

    def _virtual_transactions(self, ignored_roles: Sequence[str]) -> list[tuple[Any, ...]]:
        del ignored_roles
        read = self._moment()
        self._move("virtual_transactions.sql, its clock read, before it looks at the locks")
        others = self.postgres.open + self.postgres.committing
        return [(read, [one.name for one in others])]

    def _lock(self, key: int) -> list[tuple[Any, ...]]:
        is_taken = self.postgres.locks.setdefault(key, self) is self
        if is_taken and not self._taken[key]:
            self.locked_at = self.postgres.world.steps
        self._taken[key] += is_taken
        return [(is_taken,)]

    def _unlock(self, key: int) -> list[tuple[Any, ...]]:
        self._taken[key] -= 1
        if not self._taken[key]:
            del self.postgres.locks[key]
        return [(True,)]

    def _lock_wait(self, key: int, milliseconds: int) -> list[tuple[Any, ...]]:
        self.postgres.world.sleep(milliseconds / 1e3)
        if not self._lock(key)[0][0]:
            raise SourceUnavailableError("no lock") from psycopg.errors.LockNotAvailable()
        return [(None, None)]

    def _held(self, key: int) -> list[tuple[Any, ...]]:
        return [(self.postgres.locks.get(key) is self,)]

    def _awaited(self, key: int) -> list[tuple[Any, ...]]:
        """Say now and then that another task waits: it would be paused beneath this one."""
        del key
        world = self.postgres.world
        return [(not (world.calm or world.hushed) and world.chance(0.1),)]

    def _lock_holder(self, key: int) -> list[tuple[Any, ...]]:
        holder = self.postgres.locks.get(key)
        return [(1, "etl", holder.name, None, None)] if holder else []

    def _identity(self) -> list[tuple[Any, ...]]:
        return [("movies", 16_384, 18_00_06, False)]

    def _cluster(self) -> list[tuple[Any, ...]]:
        if self.privileged:
            identifier = self.postgres.system_identifier
            return [(identifier, 1, identifier, self.postgres.snapshot)]
        raise ConfigurationError("refused") from psycopg.errors.InsufficientPrivilege()

    def _indexes(self, schema: str) -> list[tuple[Any, ...]]:
        del schema
        return [
            (table, list(columns)) for one in (MOVIES, PERSONS) for table, columns in one.read_by
        ]

    def _check_known_value(
        self, *, table: str, field: str, known_values: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        values = {getattr(row, field) for row in self.postgres.tables[table].values()}
        return [(not values.isdisjoint(known_values),)]

    def _check_values(self, *, table: str, field: str) -> list[tuple[Any, ...]]:
        values = {getattr(row, field) for row in self.postgres.tables[table].values()}
        return [(value,) for value in sorted(values - {None})[:10]]

    def _check_common_values(self, *, schema: str, table: str, field: str) -> list[tuple[Any, ...]]:
        del schema, table, field
        return []  # nothing was analysed

    def _check_subscriptions(self, *, schema: str, tables: Sequence[str]) -> list[tuple[Any, ...]]:
        del schema, tables
        return []

    # -- the catalogue ---------------------------------------------------------------------------

    def _root_count(self, table: str) -> list[tuple[Any, ...]]:
        return [(len(self.postgres.tables[table]),)]

    def _root_existing(self, table: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return [(key,) for key in ids if key in self.postgres.tables[table]]

    def _feed_page(
        self,
        *,
        table: str,
        stamp: str,
        root: str | None,
        after_stamp: str,
        after_id: str,
        upto_stamp: str,
        upto_id: str,
        page_size: int | None,
    ) -> list[tuple[Any, ...]]:
        del stamp
        after, upto = (after_stamp[:26], after_id), (upto_stamp[:26], upto_id)
        found = [
            row
            for row in self.postgres.tables[table].values()
            if row.stamp is not None and after < (row.stamp, row.id) <= upto
        ]
        found.sort(key=_place)
        return [_shown(row, root) for row in found[:page_size]]

    def _feed_ids(self, **values: Any) -> list[tuple[Any, ...]]:
        rows = self._feed_page(**values)
        return [([key for key, *_ in rows], rows[-1][1])] if rows else [(None, None)]

    def _feed_above(
        self,
        *,
        table: str,
        stamp: str,
        root: str | None,
        after_stamp: str,
        after_id: str,
        page_size: int,
    ) -> list[tuple[Any, ...]]:
        del stamp, root
        after, rows = (after_stamp[:26], after_id), self.postgres.tables[table].values()
        dated = [row for row in rows if row.stamp and row.stamp != MINUS_INFINITY]
        undated = sorted(row.id for row in rows if row.stamp in (None, MINUS_INFINITY))
        standing = [row for row in dated if (row.stamp, row.id) > after]
        standing += [self.postgres.tables[table][key] for key in undated[:page_size]]
        digest = sum(zlib.crc32(f"{row.id} {row.xmin}".encode()) for row in standing)
        return [(len(standing), str(digest) if standing else None)]

    def _feed_undated(
        self, *, table: str, stamp: str, root: str | None, after_id: str | None, page_size: int
    ) -> list[tuple[Any, ...]]:
        del stamp
        found = [
            row
            for row in self.postgres.tables[table].values()
            if (row.stamp is None or row.stamp in (INFINITY, MINUS_INFINITY))
            and (after_id is None or row.id > after_id)
        ]
        found.sort(key=lambda row: row.id)
        return [_shown(row, root) for row in found[:page_size]]

    def _feed_versions(
        self, *, table: str, stamp: str, root: str | None, ids: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        del stamp, root
        rows = self.postgres.tables[table]
        return [(key, rows[key].xmin) for key in ids if key in rows]

    def _feed_last(
        self, *, table: str, stamp: str, root: str | None, upto_stamp: str, upto_id: str
    ) -> list[tuple[Any, ...]]:
        del stamp, root
        upto = (upto_stamp[:26], upto_id)
        places = [
            (row.stamp, row.id)
            for row in self.postgres.tables[table].values()
            if row.stamp not in (None, MINUS_INFINITY) and (row.stamp, row.id) <= upto
        ]
        if not places:
            return []
        at, key = max(places)
        return [(key, at)]

    def _feed_fan_out(
        self,
        *,
        table: str,
        link: str,
        key: str,
        root: str,
        ids: Sequence[str],
        after_root: str | None,
        page_size: int,
    ) -> list[tuple[Any, ...]]:
        wanted = self.postgres.tables[table].keys() & set(ids)
        roots = {
            getattr(row, FIELDS[root])
            for row in self.postgres.tables[link].values()
            if getattr(row, FIELDS[key]) in wanted
        }
        after = sorted(one for one in roots if after_root is None or one > after_root)
        return [(one,) for one in after[:page_size]]

    def _movies_documents(self, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        films = self.postgres.tables["film_work"]
        genres, persons, _ = self.shown()
        return [
            (film, movie(self.postgres, films[film], genres, persons))
            for film in ids
            if film in films
        ]

    def _persons_documents(self, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        persons, (*_, films) = self.postgres.tables["person"], self.shown()
        return [(one, person(self.postgres, persons[one], films)) for one in ids if one in persons]

    def shown(self) -> tuple[dict[str, str], dict[str, str], dict[str, Film]]:
        """Return what documents show of other rows: names of genres and of persons, and films."""
        tables = self.postgres.tables
        genres, persons = (
            {row.id: row.name for row in tables[table].values()} for table in ("genre", "person")
        )
        return genres, persons, dict(tables["film_work"])


def source_over(
    queries: SimulatedQueries, definition: IndexDefinition = MOVIES, *, text_ids: bool = False
) -> Source:
    """Return the program's own source and server over a session of the model.

    :param text_ids: any text may be an id.
    """
    layout = _layouts(queries.postgres.zone)[definition.name]
    if text_ids:
        layout = layout.model_copy(update={"lowest_ids": dict.fromkeys(layout.lowest_ids, "")})
    if queries.privileged:
        (cluster,) = queries._cluster()
        visible = Visible.of(Cluster(*cluster), layout.reader)
        layout = layout.model_copy(update={"visible": visible})
    return Source(queries, Server(queries), definition, layout)


@cache
def _layouts(zone: str | None) -> dict[str, Layout]:
    """Return what the program learns of the model's columns, by index; ids are uuids."""
    return {one.name: _layout(one, zone) for one in (MOVIES, PERSONS)}


def _layout(definition: IndexDefinition, zone: str | None) -> Layout:
    stamp = f"timestamp {'with' if zone is None else 'without'} time zone"
    columns = [
        column._replace(type=stamp) if column.name in ("modified", "created") else column
        for column in fitting(definition)
    ]
    return layout_of(by_table(columns), definition, Settings(timestamp_zone=zone or "UTC"))


@cache
def method_of(file: str) -> str:
    """Return the name of the method that answers a file of ``include/sql``."""
    return "_" + file.removesuffix(".sql").replace("/", "_")


def _place(row: Row) -> tuple[str | None, str]:
    return row.stamp, row.id


def _shown(row: Row, root: str | None) -> tuple[Any, ...]:
    stamp = None if row.stamp in (INFINITY, MINUS_INFINITY) else row.stamp
    return (row.id, stamp, row.xmin, root and getattr(row, FIELDS[root]))
