"""A run that goes on under strain: long transactions, deletions all the time, lost servers."""

from __future__ import annotations

import time
from itertools import count
from types import SimpleNamespace
from typing import Any

import elastic_transport
import psycopg
import pytest
from movies_etl.follow import hints
from movies_etl.follow import run as runs
from movies_etl.follow import spell as spells
from movies_etl.follow.hints import Hint, Hints
from movies_etl.follow.run import Stores, _Follower
from movies_etl.postgres.source import Row
from movies_etl.reconcile.fuses import FEW_DELETIONS
from movies_etl.state.comparison import TableStatistics
from movies_etl.steps import Steps
from movies_etl.sync import compared
from movies_etl.sync.batches import Batch
from movies_etl.sync.compared import Compared, Place
from movies_etl.sync.stream_run import StreamRun

from local.postgres import Postgres
from local.processes import wait_until
from tests.support.dag_run import no_others
from tests.support.faults import Faults, Time
from tests.support.following import PATIENCE, expect, following
from tests.support.site import Site

READER = "follower"


@pytest.fixture
def loaded(site: Site) -> Site:
    """A site with some films, loaded."""
    site.fill(20)
    site.run()
    return site


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The documents that are compared, in order."""
    load = StreamRun.load
    found: list[str] = []

    def noted(self: StreamRun, batch: Batch) -> None:
        load(self, batch)
        found.extend(batch.ids)

    monkeypatch.setattr(StreamRun, "load", noted)
    return found


def quiet(site: Site) -> None:
    """Wait until the follower has loaded everything, and has nothing left to do but to look."""
    wait_until(lambda: site.documents() == site.expected(), seconds=PATIENCE, what="everything")


def test_beside_an_open_transaction_a_cycle_compares_only_what_changed(
    loaded: Site, loads: list[str]
) -> None:
    with psycopg.connect(loaded.dsn) as holder:
        holder.execute("INSERT INTO content.genre (id, name) VALUES (gen_random_uuid(), 'Open')")
        with following(loaded):
            loaded.change("Written meanwhile")
            loaded.execute("UPDATE content.person SET full_name = 'New', modified = now()")
            loaded.execute("UPDATE content.genre_film_work SET created = now()")
            quiet(loaded)
            film = loaded.add_film("Before", modified="now")

            def compared_for_one_change(title: str) -> set[str]:
                before = len(loads)
                loaded.change(title, f"id = '{film}'")
                expect(loaded, title, of=film)
                return set(loads[before:])

            wait_until(  # the cycle that reads everything may go on
                lambda: compared_for_one_change(f"Title {len(loads)}") == {film},
                seconds=PATIENCE,
                what="a cycle of one film",
            )
            assert compared_for_one_change("One") == {film}
            assert compared_for_one_change("Another one") == {film}
    loaded.assert_equal()


def test_a_new_spell_compares_everything_above_the_horizon_once_more(
    loaded: Site, loads: list[str]
) -> None:
    """Others may have written meanwhile."""
    with psycopg.connect(loaded.dsn) as holder:
        holder.execute("INSERT INTO content.genre (id, name) VALUES (gen_random_uuid(), 'Open')")
        with following(loaded):
            film = loaded.add_film("Above", modified="now")
            expect(loaded, "Above", of=film)
            loaded.run()
            loads.clear()
            loaded.reconnect()
            other = loaded.add_film("Another", modified="now")
            expect(loaded, "Another", of=other)
            assert film in loads


def test_what_is_remembered_of_a_place_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "MAX_COMPARED_ROWS", 2)
    place, memory = Place("film_work", "tail"), Compared()
    rows = [Row(str(number), None, "700", str(number)) for number in range(3)]
    assert memory.fresh(place, rows) == rows
    memory.note(place, rows)
    assert memory.fresh(place, rows) == rows  # the reading may be cut short
    memory.end(place)
    assert memory.fresh(place, rows) == rows[2:]
    changed = [rows[0]._replace(xmin="701")]
    assert memory.fresh(place, changed) == changed
    memory.begin(place)
    memory.note(place, rows[1:2])
    memory.end(place)
    assert memory.fresh(place, rows) == [rows[0], rows[2]]


def test_searches_for_deleted_rows_take_a_fifth_of_the_time_at_most(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that changes are loaded between two steps does not count."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    deleted = count()

    def search(seconds: float) -> Steps[None]:
        for _ in range(2):
            clock.now += seconds / 2
            yield None

    def load() -> bool:
        clock.now += 7.0
        return False

    def counted(*_: Any) -> dict[str, TableStatistics]:
        return {"film_work": TableStatistics(deleted=next(deleted), files="1", since="1")}

    monkeypatch.setattr(runs, "time", clock)
    monkeypatch.setattr(hints, "time", clock)
    monkeypatch.setattr(hints, "statistics", counted)
    spell: Any = SimpleNamespace(is_awaited=False, look=load)
    with loaded.beside() as resources:
        follower = _Follower(
            resources, loaded.settings, Stores(loaded.horizons, loaded.difference, no_others)
        )
        follower._hints.begin()
        for seconds, rest in ((2.0, 8.0), (30.0, hints.MAX_REST_SECONDS)):
            follower._meanwhile(spell, search(seconds))
            clock.now += rest - 0.1
            assert not follower._hints.look()
            clock.now += 0.2
            assert follower._hints.look()


def test_statistics_tell_only_of_more_deletions_than_were_found(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.run_and_check()
    known = loaded.difference.load()
    assert known
    assert known.statistics
    counted = known.statistics
    monkeypatch.setattr(hints, "HINT_SECONDS", 0)
    monkeypatch.setattr(hints, "REST_TIMES", 0)
    monkeypatch.setattr(hints, "statistics", lambda *_: {"film_work": counted})
    monkeypatch.setattr(hints, "difference_of", lambda *_: 0)
    with loaded.beside() as resources:
        found = Hints(resources, loaded.difference)
        found.begin()
        found.changed(time.monotonic())
        assert found.look() is None
        found.found(2)
        counted = known.statistics.model_copy(update={"deleted": known.statistics.deleted + 2})
        assert found.look() is None
        counted = known.statistics.model_copy(update={"deleted": known.statistics.deleted + 3})
        assert found.look() is Hint.FEW
        counted = known.statistics.model_copy(update={"files": "another"})
        assert found.look() is Hint.MANY


def test_only_a_few_deletions_are_made_without_the_fuses(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.run_and_check()
    last = loaded.difference.load()
    assert last
    monkeypatch.setattr(hints, "REST_TIMES", 0)
    few = FEW_DELETIONS
    for difference, surplus, found, hint in (
        (0, 0, 0, None),
        (-1, 0, 0, Hint.FEW),
        (-1, 0, few, Hint.MANY),
        (-few - 1, 0, 0, Hint.MANY),
        (-7, 7, 0, None),
        (-8, 7, 0, Hint.MANY),  # those that a person decides about are among them
    ):
        loaded.difference.kept = last.model_copy(update={"surplus": surplus})
        monkeypatch.setattr(hints, "difference_of", lambda *_, number=difference: number)
        monkeypatch.setattr(Hints, "_of_statistics", lambda _: None)
        with loaded.beside() as resources:
            looks = Hints(resources, loaded.difference)
            looks.begin()
            looks.found(found)
            looks.changed(time.monotonic())
            assert looks.look() is hint


def test_a_lost_elasticsearch_is_waited_for_and_nothing_is_lost(
    loaded: Site, waits: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spells, "KEEP_SECONDS", 0.0)
    real = loaded.client
    (node,) = real.transport.node_pool.all()
    faults = Faults()
    with faults.client(node.base_url) as client:
        loaded.client = client
        with following(loaded, patience=120) as task:
            quiet(loaded)
            loaded.client = real
            faults.left += [elastic_transport.ConnectionError("refused")] * 5
            film = loaded.add_film("While it is away", modified="now")
            expect(loaded, "While it is away", of=film)
            assert not faults.left
            assert len(waits.slept) >= 3
            other = loaded.add_film("When it is back", modified="now")
            expect(loaded, "When it is back", of=other)
            assert not task.result.done()
    loaded.assert_equal()


def test_a_role_that_does_not_see_others_follows_and_loses_nothing(
    loaded: Site, postgres: Postgres
) -> None:
    """Beside a transaction that was open before, whose rows come below the others."""
    postgres.createuser(READER)
    loaded.execute(f"GRANT USAGE ON SCHEMA content TO {READER}")
    loaded.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA content TO {READER}")
    loaded.read_as(READER)
    loaded.run()
    late = loaded.add_film("Before", modified="now")
    with psycopg.connect(loaded.dsn) as writer:
        writer.execute(
            "UPDATE content.film_work SET title = 'Late', modified = now() WHERE id = %s", [late]
        )
        with following(loaded, role=READER):
            film = loaded.add_film("Beside it", modified="now")
            expect(loaded, "Beside it", of=film)
            until = time.monotonic() + 1
            wait_until(lambda: time.monotonic() > until, seconds=PATIENCE, what="some cycles")
            writer.commit()
            expect(loaded, "Late", of=late)
    loaded.execute(f"DROP OWNED BY {READER}")
    loaded.assert_equal()
