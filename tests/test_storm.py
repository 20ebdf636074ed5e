"""A storm of writers against a sync that runs all the time: nothing is left stale."""

from __future__ import annotations

import logging
import time

import pytest
from movies_etl.postgres import horizon
from movies_etl.postgres.horizon import Measured

from tests.support.site import Site
from tests.support.storm import storm

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


@pytest.mark.usefixtures("without_horizon")
def test_a_storm_shows_what_a_missing_horizon_loses(filled: Site) -> None:
    assert weather(filled, seconds=4) != []
