"""A rebuild beside servers that push back, and servers that are killed in the middle of it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import psycopg
import pytest
from movies_etl.errors import IndexUnavailableError
from movies_etl.rebuild import beside as rebuild_beside
from movies_etl.rebuild import load as rebuild_load
from movies_etl.rebuild import split as rebuild_split
from movies_etl.rebuild import swap as rebuild_swap
from movies_etl.reconcile.contents import Contents
from movies_etl.sync.stream_run import StreamRun

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from tests.support.faults import Answer, Faults, Time, each_item, refusal
from tests.support.rebuild import Rebuild, behind, run, until_done
from tests.support.site import Site

SOON = 60
"""Seconds in which anything starts, on the slowest machine."""
FILMS = 400


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part a small catalogue into ranges of several pages."""
    monkeypatch.setattr(rebuild_split, "SMALL_RANGE", FILMS // 4)
    monkeypatch.setattr(rebuild_load, "PAGE_SIZE", FILMS // 16)


# -- push-back ------------------------------------------------------------------------------------


class Busy:
    """Answers bulk requests by 429, each kind in turn, until it has done so often enough."""

    def __init__(self, times: float) -> None:
        self._left = times
        refusals: tuple[Callable[[bytes], Answer], ...] = (
            lambda _: refusal(429),
            each_item(429, "es_rejected_execution_exception"),
        )
        self._answers = itertools.cycle(refusals)
        self._lock = threading.Lock()

    def __call__(self, body: bytes) -> Answer | None:
        with self._lock:
            if b'{"index":' not in body or self._left <= 0:
                return None
            self._left -= 1
            answer = next(self._answers)
        return answer(body)


def load_side_by_side(site: Site, busy: Busy, url: str) -> tuple[Rebuild, list[Any]]:
    """Load all ranges at the same time; return what each load returns or raises."""
    rebuild = Rebuild(site)
    plan = rebuild.begin()
    parts = rebuild.split(plan)
    assert len(parts) == 4
    client, site.client = site.client, Faults(forever=busy).client(url)

    def load(part: Any) -> Any:
        try:
            return rebuild.load(plan, part)
        except IndexUnavailableError as error:
            return error

    try:
        with ThreadPoolExecutor(len(parts)) as executor:
            found = [*executor.map(load, parts)]
    finally:
        site.client.close()
        site.client = client
    if any(isinstance(one, Exception) for one in found):
        return rebuild, found
    rebuild.loaded(plan, found)
    rebuild.check(plan)
    rebuild.swap(plan)
    return rebuild, found


@pytest.mark.usefixtures("waits")
def test_loaders_that_are_all_pushed_back_end_well(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    site.fill(FILMS)
    site.run()
    site.configure(patience=600)
    _, found = load_side_by_side(site, Busy(60), elasticsearch_node.url)
    assert sum(one["indexed"] for one in found) == FILMS
    site.assert_equal()
    assert site.letters() == {}


def test_loaders_that_are_pushed_back_for_too_long_go_on_later(
    site: Site, elasticsearch_node: Elasticsearch, waits: Time
) -> None:
    """No document becomes a dead letter for that, and nothing is decided."""
    site.fill(FILMS)
    site.run()
    before = behind(site)
    rebuild, found = load_side_by_side(site, Busy(float("inf")), elasticsearch_node.url)
    assert all(isinstance(one, IndexUnavailableError) for one in found)
    assert "MOVIES_ETL_PATIENCE" in str(found[0]) or "429" in str(found[0])
    assert waits.slept
    assert behind(site) == before
    plan = rebuild.begin()
    results = rebuild.load_all(plan)
    rebuild.loaded(plan, results)
    rebuild.check(plan)
    rebuild.swap(plan)
    site.assert_equal()
    assert site.letters() == {}


# -- servers that are killed ----------------------------------------------------------------------


class Moment(NamedTuple):
    """Where a server is killed: at which call of what, before it or behind it."""

    owner: Any
    name: str
    call: int = 1
    is_behind: bool = False


def moments(site: Site) -> dict[str, Moment]:
    """Return where servers are killed in a rebuild, in its order."""
    return {
        "load": Moment(StreamRun, "load", 2),
        "catch-up": Moment(rebuild_beside, "sync", 2),
        "gate": Moment(Contents, "compare_next"),
        "under the locks": Moment(rebuild_swap, "compare_again", 2),
        "behind the swap": Moment(site.client.indices, "update_aliases", is_behind=True),
    }


@contextmanager
def striking(moment: Moment, strike: Callable[[], None]) -> Iterator[None]:
    """Strike once, in the middle of the program's work and in its own thread."""
    real, calls = getattr(moment.owner, moment.name), itertools.count(1)

    def struck(*arguments: Any, **named: Any) -> Any:
        is_now = next(calls) == moment.call
        if is_now and not moment.is_behind:
            strike()
        answer = real(*arguments, **named)
        if is_now and moment.is_behind:
            strike()
        return answer

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(moment.owner, moment.name, struck)
        yield


def killed_at_every_stage(site: Site, kill: Callable[[], None]) -> list[str]:
    """Rebuild while a server is killed at every stage, and rows change; return the stages."""
    site.fill(FILMS)
    site.run()
    struck: list[str] = []

    def strike(stage: str) -> None:
        kill()
        gone, *_ = sorted(site.expected())
        site.execute("DELETE FROM content.film_work WHERE id = %s", gone)
        site.execute(
            "DELETE FROM content.person_film_work WHERE id ="
            " (SELECT min(id::text)::uuid FROM content.person_film_work)"
        )
        site.add_root(f"Added at {stage}")
        struck.append(stage)

    rebuild = Rebuild(site)
    with ExitStack() as stack:
        for stage, moment in moments(site).items():
            stack.enter_context(striking(moment, partial(strike, stage)))
        plan = rebuild.begin()
        parts = rebuild.split(plan)
        results = [until_done(partial(rebuild.load, plan, part)) for part in parts]

        def check() -> None:
            rebuild.loaded(plan, results)
            rebuild.check(plan)

        until_done(check)
        until_done(partial(rebuild.swap, plan))
    assert behind(site) == plan.context.index
    site.reconcile("presence", "touched")  # what was written behind the swap
    run(site)
    site.assert_equal()
    assert site.letters() == {}
    return struck


@pytest.mark.long
def test_a_rebuild_ends_well_though_postgresql_is_killed_at_every_stage(
    durable_site: Site, durable: Postgres
) -> None:
    site = durable_site

    def kill() -> None:
        os.kill(durable.pid or 0, signal.SIGKILL)
        wait_until(lambda: not durable.running, seconds=SOON, what="the server is gone")
        durable.start()
        site.connection.close()
        site.connection = psycopg.connect(site.dsn, autocommit=True)
        site.reconnect()

    assert killed_at_every_stage(site, kill) == [*moments(site)]


@pytest.mark.soak
def test_a_rebuild_ends_well_though_elasticsearch_is_killed_at_every_stage(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    def kill() -> None:
        os.kill(elasticsearch_node.pid or 0, signal.SIGKILL)
        wait_until(lambda: not elasticsearch_node.running, seconds=SOON, what="the node is gone")
        elasticsearch_node.start()

    assert killed_at_every_stage(site, kill) == [*moments(site)]
