"""A catalogue that lives: the simulator's edits in a real PostgreSQL."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import closing

import psycopg
import pytest

from local import catalogue, simulate, slow_transaction
from local.films import Film
from local.simulate import KINDS, Simulation
from local.slow_transaction import SlowTransaction
from tests.local.conftest import NUMBER
from tests.support.site import Site

NUMBERS = re.compile(r"([a-z ]+) (\d+(?:,\d+)*)")


class Clock:
    """Time that passes by waiting only, and ends by an interruption."""

    def __init__(self, ends: float) -> None:
        self.now = 0.0
        self.ends = ends

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.ends:
            raise KeyboardInterrupt


def played(dsn: str, *, seconds: float, rate: float) -> list[str]:
    """Simulate for some seconds; return the lines."""
    clock = Clock(seconds)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        Simulation(dsn, rate, said.append, 7, clock, clock.wait).run()
    return said


def tally(line: str) -> Counter[str]:
    """Read a line's numbers."""
    return Counter(
        {what.strip(): int(number.replace(",", "")) for what, number in NUMBERS.findall(line)}
    )


def value(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


@pytest.mark.long
def test_every_kind_of_edit_is_made_and_counted(filled: str) -> None:
    *_, line = (text for text in played(filled, seconds=300, rate=5) if "in all" in text)
    done = tally(line)
    assert KINDS.keys() | {"slow transactions"} <= done.keys()
    films = NUMBER + done["films added"] - done["films deleted"]
    assert value(filled, "SELECT count(*) FROM content.film_work") == films


def test_the_rate_is_kept_on_average(filled: str) -> None:
    lines = played(filled, seconds=200, rate=2)
    edits = [int(line.split(" edits")[0]) for line in lines if line[0].isdigit()]
    assert len(edits) == 39  # every five seconds, but for the last
    assert 340 < sum(edits) < 440
    assert len(set(edits)) > 3  # not by the clock's tick


def test_a_database_that_was_slow_is_not_flooded_afterwards(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(120)
    stood_still = iter([100.0])

    def edit(connection: object, chance: random.Random) -> str:
        clock.now += next(stood_still, 0.0)
        return real(connection, chance)  # type: ignore[arg-type]

    real = simulate._one
    monkeypatch.setattr(simulate, "_one", edit)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        Simulation(filled, 10, said.append, 7, clock, clock.wait).run()
    (whole,) = (line for line in said if "in all" in line)
    assert int(whole.split()[2]) < 300


def test_a_slow_transaction_is_seen_long_after_its_stamps(filled: str) -> None:
    clock, chance = Clock(1e9), random.Random(7)  # noqa: S311 - nothing is secret here
    changed = "SELECT count(*) FROM content.film_work WHERE modified > now() - interval '1 hour'"
    with closing(SlowTransaction(filled, chance, clock)) as slow:
        while slow.age is None:
            assert not slow.go_on()
            clock.wait(1)
        assert value(filled, changed) == 0
        while slow.age is not None:
            committed = slow.go_on()
            clock.wait(1)
        assert committed
    assert value(filled, changed)


def test_an_open_transaction_is_told_and_rolled_back(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_transaction, "_OPEN", (1e6, 1e6))
    lines = played(filled, seconds=80, rate=0.1)  # the first begins within a minute
    assert any("a transaction has been open for" in line for line in lines)
    assert lines[-1] == "the transaction that is open is rolled back"
    inside = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert value(filled, inside) == 0


def test_an_edit_that_meets_a_lock_is_given_up(filled: str) -> None:
    with psycopg.connect(filled) as other:
        other.execute("LOCK TABLE content.film_work")
        *_, line = played(filled, seconds=10, rate=0.5)
    done = tally(line)
    assert done["given up"] > 0
    assert done["ratings"] == 0


@pytest.mark.long
def test_the_sync_finds_every_edit_but_deletions(
    site: Site, some_films: list[Film], monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.connection.transaction():
        catalogue.load(site.connection, some_films[:60])
    site.run()
    found = {name: kind for name, kind in KINDS.items() if name != "films deleted"}
    monkeypatch.setattr(simulate, "KINDS", found)
    played(site.dsn, seconds=100, rate=3)
    site.run()
    site.assert_equal()
