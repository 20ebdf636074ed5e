"""A storm of writers against a sync that runs all the time: nothing is left stale."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from movies_etl.errors import WriterBusyError
from movies_etl.postgres import horizon
from movies_etl.postgres.horizon import Measured

from tests.support.rebuild import Asked, Rebuild, run, until_done
from tests.support.site import Site
from tests.support.storm import DELETIONS, storm

log = logging.getLogger(__name__)

SEVERAL = 6
"""Runs that a storm lasts at least, on the slowest machine too."""


def weather(site: Site, seconds: float) -> list[str]:
    """Sync while the storm blows and once when it is over; return the films that are stale."""
    runs = 0
    until = time.monotonic() + seconds
    with storm(site) as commits:
        while runs < SEVERAL or time.monotonic() < until:
            site.run()
            runs += 1
    site.run()
    log.info("%d runs beside %d commits", runs, sum(commits))
    assert min(commits) > SEVERAL
    found, wanted = site.documents(), site.expected()
    stale = [film for film in found | wanted if found.get(film) != wanted.get(film)]
    log.info("%d of %d films are stale", len(stale), len(wanted))
    return stale


def searched(site: Site, films: list[str], stop: threading.Event) -> list[int]:
    """Search for films until the event; return how many were found each time."""
    found = []
    query = {"terms": {"id": films}}
    while not stop.is_set():
        found.append(site.client.count(index="movies", query=query)["count"])
    return found


def reconciled(site: Site, stop: threading.Event) -> int:
    """Reconcile until the event, beside the sync; return how many documents were deleted."""
    deleted = 0
    with site.another() as other:
        while not stop.is_set():
            results = other.reconcile()
            deleted += sum(one["deleted"] for one in results.values())
            assert results["presence"]["asked"] == 0
    return deleted


def weather_of_deletions(site: Site, seconds: float) -> None:
    """Sync and reconcile while films and links come and go, and once when the storm is over."""
    films = sorted(site.documents())
    mortal, steady = films[: len(films) // 8], films[len(films) // 8 :]
    until, runs, deleted = time.monotonic() + seconds, 0, 0
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads, storm(site, 4, mortal=mortal, changes=DELETIONS):
        searches = threads.submit(searched, site, steady, stop)
        reconciles = threads.submit(reconciled, site, stop)
        try:
            while runs < SEVERAL or time.monotonic() < until:
                deleted += site.run_and_check().get("deleted", 0)
                site.reconnect()  # the session has the lock, for which the reconcile waits
                runs += 1
        finally:
            stop.set()
    deleted += reconciles.result()
    log.info("%d runs, %d deletions, %d searches", runs, deleted, len(searches.result()))
    assert deleted
    assert set(searches.result()) == {len(steady)}
    site.run_and_check()
    for _ in range(2):
        site.reconnect()
        site.reconcile()
    site.assert_equal()


def rebuilt_and_back(site: Site) -> None:
    """Make the index anew, beside the sync, and take the one before back."""
    with site.another() as other:
        for asked in (Asked(), Asked(rollback=True)):
            rebuild = Rebuild(other, f"manual__{asked.rollback}", asked)
            plan = until_done(rebuild.begin)
            results = rebuild.load_all(plan)
            if plan.loads:
                until_done(partial(rebuild.loaded, plan, results))
            until_done(partial(rebuild.check, plan))
            until_done(partial(rebuild.swap, plan))


def weather_of_rebuilds(site: Site, rebuilds: int) -> None:
    """Sync and search while films and links come and go, and the index is made anew and back."""
    films = sorted(site.documents())
    mortal, steady = films[: len(films) // 8], films[len(films) // 8 :]
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads, storm(site, 4, mortal=mortal, changes=DELETIONS):
        searches = threads.submit(searched, site, steady, stop)
        try:
            for _ in range(rebuilds):
                rebuild = threads.submit(rebuilt_and_back, site)
                while not rebuild.done():
                    with suppress(WriterBusyError):  # at the swap; the next run goes on
                        run(site)
                rebuild.result()
        finally:
            stop.set()
    assert set(searches.result()) == {len(steady)}
    run(site)
    for _ in range(2):
        site.reconnect()
        site.reconcile()
    site.assert_equal()


@pytest.fixture
def without_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cursors follow to the clock, whatever is open."""
    measure = horizon.measure

    def clock(*arguments: object) -> Measured:
        measured = measure(*arguments)  # type: ignore[arg-type]
        return measured._replace(horizon=measured.now)

    monkeypatch.setattr(horizon, "measure", clock)


@pytest.fixture
def filled(site: Site) -> Site:
    """A site with some films, loaded."""
    site.fill(600)
    site.run()
    return site


def test_a_storm_of_writers_leaves_nothing_stale(filled: Site) -> None:
    assert weather(filled, seconds=4) == []


@pytest.mark.long
def test_a_long_storm_from_the_first_load_on_leaves_nothing_stale(site: Site) -> None:
    site.configure(horizon_margin=0.5)
    site.fill(3_000)
    assert weather(site, seconds=60) == []


@pytest.mark.long
def test_a_storm_of_deletions_takes_no_film_that_exists_and_leaves_none_that_does_not(
    filled: Site,
) -> None:
    weather_of_deletions(filled, seconds=4)


@pytest.mark.long
def test_a_long_storm_of_deletions_does_neither(filled: Site) -> None:
    weather_of_deletions(filled, seconds=40)


@pytest.mark.long
def test_a_rebuild_and_a_rollback_in_a_storm_lose_nothing_and_searches_find_everything(
    filled: Site,
) -> None:
    weather_of_rebuilds(filled, rebuilds=1)


@pytest.mark.soak
def test_many_rebuilds_in_a_storm_lose_nothing(filled: Site) -> None:
    weather_of_rebuilds(filled, rebuilds=20)


@pytest.mark.usefixtures("without_horizon")
def test_a_storm_shows_what_a_missing_horizon_loses(filled: Site) -> None:
    assert weather(filled, seconds=4) != []
