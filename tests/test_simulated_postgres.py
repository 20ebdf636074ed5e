"""The simulation's model of PostgreSQL and the real server show the program the same.

The same random transactions are played on both; after each step everything that the program asks is
asked of both: pages of every feed with bounds of all kinds, undated rows, last rows, linked films,
documents, counts, what is open or prepared, and the traces of transactions. Each look is that of
one of the simulated indexes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from movies_etl.definitions.definition import Feed
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.definitions.ranges import ranges
from movies_etl.definitions.registry import declared
from movies_etl.postgres.inventory import RowInventory
from movies_etl.postgres.queries import Names
from movies_etl.postgres.source import Row, Source
from movies_etl.postgres.traces import Traces
from movies_etl.settings import Settings
from movies_etl.state.cursors import Position

from tests.simulation.postgres import (
    INFINITY,
    MINUS_INFINITY,
    TABLES,
    Film,
    Link,
    Named,
    Postgres,
    Transaction,
)
from tests.simulation.queries import SimulatedQueries, method_of, source_over
from tests.simulation.stand_ins import simulated
from tests.simulation.world import World
from tests.support.catalogue import Catalogue

NAME = {"film_work": "title", "genre": "name", "person": "full_name"}
STAMPS = (
    None,
    INFINITY,
    MINUS_INFINITY,
    "2099-01-01T00:00:00.000000",
    *(f"2026-03-03T12:00:00.{number:06}" for number in range(4)),
)
"""Few, so that ties are common."""
SIMULATED = (MOVIES, PERSONS)
MOMENT = "2026-03-03T12:00:00.000002+00:00"


class Pair(NamedTuple):
    """A transaction in the model and in the real server."""

    model: Transaction
    real: psycopg.Connection[Any]


class Alike:
    """Whether two sides use different names for the same things: one to one, for good."""

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._back: dict[str, str] = {}

    def __call__(self, model: Iterable[str], real: Iterable[str]) -> bool:
        return all(
            self._there.setdefault(one, other) == other and self._back.setdefault(other, one) == one
            for one, other in zip(model, real, strict=True)
        )


class Both:
    """The model and the real server, written to and asked alike."""

    def __init__(self, catalogue: Catalogue, seed: int, zone: str | None, stack: ExitStack) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a game
        self.looks = random.Random(seed)  # noqa: S311 - what is asked does not change what is done
        self.catalogue = catalogue
        self.stack = stack
        self.world = World(seed)
        self.world.now = 1_000_000_000
        self.postgres = Postgres(self.world, zone=zone, margin=0)
        settings = Settings(timestamp_zone=zone or "UTC")
        reader = psycopg.connect(catalogue.dsn, autocommit=True)
        stack.callback(reader.close)
        self.sides = [
            (
                source_over(SimulatedQueries(self.postgres, "model"), definition),
                Source.opened(reader, definition, settings),
            )
            for definition in SIMULATED
        ]
        self.model, self.real = self.sides[0]
        self.open: list[Pair] = []
        self.numbers: list[tuple[int, int]] = []
        self.digests: dict[tuple[str, str | None], str | None] = {}
        catalogue.execute("CREATE TABLE public.scratch (number int)")
        self.xmins = Alike()
        self.checksums = Alike()
        self.transactions = Alike()
        self.linked: set[tuple[object, ...]] = set()

    # -- writing ---------------------------------------------------------------------------------

    def begin(self) -> None:
        self.world.now += 1000
        model = self.postgres.begin()
        real = psycopg.connect(self.catalogue.dsn, autocommit=True, application_name=model.name)
        self.stack.callback(real.close)
        real.execute("BEGIN")
        row = real.execute("SELECT txid_current()").fetchone()  # else it begins with a write
        assert row
        self.numbers.append((model.number, row[0]))
        self.open.append(Pair(model, real))
        self.write(self.open[-1])

    def write(self, pair: Pair) -> None:
        """Add or change a row of any table, as far as the model says that nobody holds it."""
        table = self.random.choice(TABLES)
        row = self._row(pair.model, table)
        if row is None:
            return
        pair.model.writes.append((table, row))
        if isinstance(row, Link):
            other = table.partition("_")[0]
            columns: dict[str, object] = {
                "film_work_id": row.film,
                f"{other}_id": row.other,
                "created": row.stamp,
            }
            columns |= {"role": row.role} if other == "person" else {}
        else:
            columns = {NAME[table]: row[3], "modified": row.stamp}
            if isinstance(row, Film):
                columns |= {"type": "movie", "rating": row.rating, "description": row.description}
        columns = {"id": row.id, **columns}
        pair.real.execute("SET TimeZone = 'UTC'")
        pair.real.execute(
            f"INSERT INTO content.{table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT (id) DO UPDATE SET "
            + ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name != "id"),
            list(columns.values()),
        )

    def delete(self, pair: Pair) -> None:
        """Delete a row with its links, as far as the model says that nobody is in the way."""
        table = self.random.choice(TABLES)
        seen = self.postgres.seen(pair.model, table)
        if not seen:
            return
        key = self.random.choice(list(seen))
        if self.postgres.delete(pair.model, table, key):
            pair.real.execute(f"DELETE FROM content.{table} WHERE id = %s", (key,))

    def _row(self, transaction: Transaction, table: str) -> Any | None:
        seen = self.postgres.seen(transaction, table)
        key = _key(self.random)
        if seen and self.random.random() < 0.5 and "film_work" not in table[1:]:
            key = self.random.choice(list(seen))
            if self.postgres.is_locked(transaction, table, key):
                return None
        stamp, xmin = self.random.choice(STAMPS), transaction.xmin
        if table == "film_work":
            rating = self.random.choice((None, 1.5, 8.25))
            return Film(key, stamp, xmin, self._text(), rating, self.random.choice((None, "d")))
        if table in NAME:
            return Named(key, stamp, xmin, self._text())
        return self._link(transaction, table, Link(key, stamp, xmin, "", "", None))

    def _link(self, transaction: Transaction, table: str, link: Link) -> Link | None:
        other = table.partition("_")[0]
        films, others = (
            [
                key
                for key in self.postgres.seen(transaction, where)
                if not self.postgres.is_going(transaction, where, key)
            ]
            for where in ("film_work", other)
        )
        if not films or not others:
            return None
        role = self.random.choice(("actor", "director", "writer", "producer", None))
        link = link._replace(
            film=self.random.choice(films),
            other=self.random.choice(others),
            role=role if other == "person" else None,
        )
        place = (table, link.film, link.other, link.role)
        if place in self.linked:
            return None
        self.linked.add(place)
        return link

    def _text(self) -> str:
        return self.random.choice(("A", "B", 'quote " and \\ and é', "line\nbreak"))

    def act(self) -> None:
        """Do one thing on both sides."""
        if not self.open or (len(self.open) < 3 and self.random.random() < 0.2):
            self.begin()
            return
        pair = self.random.choice(self.open)
        actions: tuple[Callable[[Pair], None], ...] = (
            *(self.write,) * 5,
            self.delete,
            *(self.commit,) * 3,
            self.roll_back,
            self.savepoint,
            self.prepare,
        )
        if pair.model in self.postgres.prepared:
            actions = (self.commit, self.roll_back)
        self.random.choice(actions)(pair)

    def commit(self, pair: Pair) -> None:
        self._end(pair, "COMMIT", self.postgres.commit)

    def roll_back(self, pair: Pair) -> None:
        self._end(pair, "ROLLBACK", self.postgres.roll_back)

    def _end(self, pair: Pair, how: str, model: Callable[[Transaction], None]) -> None:
        prepared = pair.model in self.postgres.prepared
        model(pair.model)
        pair.real.execute(f"{how} PREPARED '{pair.model.name}'" if prepared else how)
        pair.real.close()
        self.open.remove(pair)

    def savepoint(self, pair: Pair) -> None:
        if pair.model.savepoint is None:
            self.postgres.set_savepoint(pair.model)
            pair.real.execute("SAVEPOINT one")
            pair.real.execute("INSERT INTO public.scratch VALUES (1)")  # that takes a number
            self.write(pair)
        else:
            self.postgres.roll_back_to_savepoint(pair.model)
            pair.real.execute("ROLLBACK TO one")
            self.postgres.set_savepoint(pair.model)  # it stays, with an id of its own
            pair.real.execute("INSERT INTO public.scratch VALUES (1)")

    def prepare(self, pair: Pair) -> None:
        self.world.now += 1000
        self.postgres.prepare(pair.model)
        pair.real.execute(f"PREPARE TRANSACTION '{pair.model.name}'")

    # -- asking ----------------------------------------------------------------------------------

    def compare(self) -> None:
        """Ask both sides everything that the sync of one index asks."""
        self.model, self.real = self.looks.choice(self.sides)
        self.compare_pages()
        self.compare_documents()
        self.compare_traces()
        self.compare_snapshots()
        self.compare_what_is_open()
        for pair in self.open:
            if pair.model not in self.postgres.prepared:
                self.compare_sight(pair)

    def positions(self, feed: Feed) -> list[Position | None]:
        """Return bounds of each kind: none, a moment, rows that are there, rows that are not."""
        rows = self.model.changed(feed, None, None, None)
        found = [self.model.position(feed, row) for row in rows]
        assert found == [self.real.position(feed, row) for row in rows]
        below = self.model.below(feed, MOMENT)
        assert below == self.real.below(feed, MOMENT)
        chosen = self.looks.sample(found, min(2, len(found)))
        return [None, below, Position(stamp=below.stamp, id=_key(self.looks)), *chosen]

    def compare_pages(self) -> None:
        for feed in (feed for stream in self.model.definition.streams for feed in stream.feeds):
            positions = self.positions(feed)
            for limit in (None, 1, 3):
                after, upto = self.looks.choice(positions), self.looks.choice(positions)
                self.same_rows(lambda side: side.changed(feed, after, upto, limit))  # noqa: B023
            for upto in filter(None, positions):
                self.same_ids(feed, self.looks.choice(positions), upto)
                assert self.model.last(feed, upto) == self.real.last(feed, upto)
                counts = [side.count_changed(feed, upto) for side in (self.model, self.real)]
                assert counts[0] == counts[1]
                self.same_standing(feed, upto)
            self.same_versions(feed)
            key = self.looks.choice((None, _key(self.looks)))
            self.same_rows(lambda side: side.undated(feed, key, 3))  # noqa: B023

    def same_rows(self, ask: Callable[[Source], list[Row]]) -> None:
        model, real = ask(self.model), ask(self.real)
        assert [row._replace(xmin="") for row in model] == [row._replace(xmin="") for row in real]
        assert self.xmins([row.xmin for row in model], [row.xmin for row in real])

    def same_versions(self, feed: Feed) -> None:
        keys = [*self.postgres.tables[feed.table], _key(self.looks)]
        versions = [
            sorted(side.queries.rows("feed/versions.sql", side._names(feed), ids=keys))
            for side in (self.model, self.real)
        ]
        model, real = ([*zip(*side, strict=True)] or [(), ()] for side in versions)
        assert model[0] == real[0]
        assert self.xmins(model[1], real[1])

    def same_standing(self, feed: Feed, position: Position) -> None:
        """Compare the numbers for rows above a position: equal digests here are equal there."""
        rows, digest = self.model.above(feed, position, 2)
        real_rows, real_digest = self.real.above(feed, position, 2)
        assert (rows, digest is None) == (real_rows, real_digest is None)
        known = self.digests.setdefault((feed.table, digest), real_digest)
        assert known == real_digest

    def same_ids(self, feed: Feed, after: Position | None, upto: Position) -> None:
        """Compare a page of ids with the other side's, and with what is read row by row."""
        limit = self.looks.choice((1, 3, 1000))
        model = self.model.changed_ids(feed, after, upto, limit)
        assert model == self.real.changed_ids(feed, after, upto, limit)
        rows = self.real.changed(feed, after, upto, limit)
        assert (model.ids if model else []) == [row.id for row in rows]

    def compare_documents(self) -> None:
        root, *others = self.model.definition.streams
        for stream in others:
            rows = [Row(key, None, "", None) for key in self.postgres.tables[stream.name]]
            some = self.looks.sample(rows, min(3, len(rows)))
            for after in (None, _key(self.looks)):
                assert self.model.fanned_out(stream, some, after, 2) == self.real.fanned_out(
                    stream, some, after, 2
                )
        assert self.model.count() == self.real.count()
        role: Names = {"table": "person_film_work", "field": "role"}
        for known in (["actor"], ["director", "writer"], ["producer"]):
            assert self.both("check/known_value.sql", role, known_values=known)
        assert self.both("check/values.sql", role)
        ids = [*self.postgres.tables[root.name], _key(self.looks)]
        assert self.model.existing(ids) == self.real.existing(ids)
        _, model = self.model.documents(ids)
        _, real = self.real.documents(ids)
        texts = [
            {document.id: json.loads(document.text) for piece in side for document in piece}
            for side in (model, real)
        ]
        checksums = [
            [str(one.pop("checksum")) for _, one in sorted(side.items())] for side in texts
        ]
        assert texts[0] == texts[1]
        assert self.checksums(*checksums)

    def both(self, file: str, names: Names, **parameters: object) -> bool:
        """Whether both sides answer a query alike."""
        return self.model.queries.rows(file, names, **parameters) == self.real.queries.rows(
            file, names, **parameters
        )

    def compare_snapshots(self) -> None:
        """Compare which transactions are over: a text changes when one ends, and only then."""
        for model, real in self.numbers:
            assert _is_over(self.model, model) == _is_over(self.real, real)

    def compare_traces(self) -> None:
        """Compare what the reconcile asks: ids by ranges, rows by the transactions of two looks.

        The number of any transaction may be a ceiling; a savepoint's is greater than its own.
        """
        definition = self.model.definition
        bounds = sorted(_key(self.looks) for _ in range(2))
        inventories = [RowInventory(side) for side in (self.model, self.real)]
        counts = [one.counts(bounds) for one in inventories]
        assert counts[0] == counts[1]
        part = self.looks.choice(ranges(bounds))
        assert inventories[0].ids(part, 3) == inventories[1].ids(part, 3)
        model, real = (Traces(side) for side in (self.model, self.real))
        (before, real_before), (now, real_now) = sorted(self.looks.choices(self.numbers, k=2))
        for table, root in definition.links.items():
            assert model.stood(table, root, before) == real.stood(table, root, real_before)
            standing = model.standing(table, root, before, now)
            real_standing = real.standing(table, root, real_before, real_now)
            assert [*map(sum, standing)] == [*map(sum, real_standing)]
        after = self.looks.choice((None, _key(self.looks)))
        for stream in definition.streams:
            for feed in stream.feeds:
                touched = model.touched(stream, feed, before, after, 3)
                assert touched == real.touched(stream, feed, real_before, after, 3)
            if stream.fan_out:
                assert model.dangling(stream, after, 3) == real.dangling(stream, after, 3) == []

    def compare_what_is_open(self) -> None:
        model, real = self.model.server.activity(), self.real.server.activity()
        assert (model.hidden, model.oldest == model.now) == (real.hidden, real.oldest == real.now)
        assert bool(model.holder) == bool(real.holder)
        if model.holder and real.holder:
            assert model.holder.application == real.holder.application
            assert real.holder.since == real.oldest
        servers = (self.model.server, self.real.server)
        prepared = [server.prepared_transactions() for server in servers]
        assert [one.gid for one in prepared[0]] == [one.gid for one in prepared[1]]
        assert all(one.prepared <= real.now for one in prepared[1])
        names = [set(server.virtual_transactions().transactions) for server in servers]
        known = {pair.model.name: self.virtual_transaction(pair) for pair in self.open}
        assert {known[name] for name in names[0]} == names[1]
        assert self.both("replayed.sql", {}, place=10**15)  # neither is a standby
        assert self.real.server.clock() < self.real.server.clock()

    def virtual_transaction(self, pair: Pair) -> str | None:
        """Return the real name of a transaction in a session."""
        if pair.model in self.postgres.prepared:
            return None
        row = pair.real.execute(
            "SELECT virtualtransaction FROM pg_locks"
            " WHERE pid = pg_backend_pid() AND locktype = 'virtualxid'"
        ).fetchone()
        return str(row[0]) if row else None

    def compare_sight(self, pair: Pair) -> None:
        """Compare what a transaction sees, and what it may not write."""
        for table in TABLES:
            seen = self.postgres.seen(pair.model, table)
            rows = pair.real.execute(f"SELECT id::text FROM content.{table}").fetchall()
            assert seen.keys() == {key for (key,) in rows}
            if table in NAME:
                free = {key for key in seen if not self.postgres.is_locked(pair.model, table, key)}
                self.compare_locks(pair, table, free)

    def compare_locks(self, pair: Pair, table: str, free: set[str]) -> None:
        """Compare which rows others hold, without holding them afterwards."""
        pair.real.execute("SAVEPOINT look")
        rows = pair.real.execute(
            f"SELECT id::text FROM content.{table} FOR NO KEY UPDATE SKIP LOCKED"
        ).fetchall()
        pair.real.execute("ROLLBACK TO look")
        pair.real.execute("RELEASE look")
        assert {key for (key,) in rows} == free


def _key(dice: random.Random) -> str:
    return str(UUID(int=dice.getrandbits(128)))


def _is_over(side: Source, number: int) -> bool:
    before, visible = side.server.snapshot(), side.visible()
    assert visible
    assert visible.snapshot in {before, side.server.snapshot()}  # autovacuum has transactions, too
    _, end, running = visible.snapshot.split(":")
    return number < int(end) and str(number) not in running.split(",")


UNASKED = {
    *("tables.sql", "columns.sql", "check/without_id.sql"),
    *("feed/row.sql", "root/words.sql", "limit.sql"),
}
"""Queries that no task asks in the simulation: there the columns are given, nobody looks at a page,
and a model has no settings."""


def test_every_query_has_an_answer_in_the_model() -> None:
    folder = Settings().include_dir / "sql"
    others = declared().keys() - {one.name for one in SIMULATED}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.sql")}
    asked = {
        file for file in files if file.split("/")[0] not in (*others, "setup", "session.sql")
    } - UNASKED
    missing = {file for file in asked if not hasattr(SimulatedQueries, method_of(file))}
    assert not missing, "tests/README.md says what a new query needs"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack, simulated():
        yield stack


def play(catalogue: Catalogue, stack: ExitStack, seed: int, zone: str | None, steps: int) -> None:
    if zone:
        catalogue.use_wall_time()
    both = Both(catalogue, seed, zone, stack)
    for _ in range(steps):
        both.act()
        both.compare()
    while both.open:
        both.commit(both.open[0])
    both.compare()
    assert both.sides[0][1].count() > 2


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_both_show_the_same(catalogue: Catalogue, stack: ExitStack, zone: str | None) -> None:
    play(catalogue, stack, 1, zone, 80)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "zone"), [(2, None), (3, "Europe/Berlin"), (4, None)])
def test_both_show_the_same_for_long(
    catalogue: Catalogue, stack: ExitStack, seed: int, zone: str | None
) -> None:
    play(catalogue, stack, seed, zone, 200)


@pytest.mark.soak
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("seed", range(5, 10))
def test_both_show_the_same_for_very_long(
    catalogue: Catalogue, stack: ExitStack, seed: int, zone: str | None
) -> None:
    play(catalogue, stack, seed, zone, 300)
