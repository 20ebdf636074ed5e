"""Faults between the tasks and their servers: nothing is lost, whatever the network does."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Generator, Iterator, Sequence

import psycopg
import pytest
from movies_etl.airflow import servers
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import IndexUnavailableError, SourceUnavailableError, WriterBusyError
from movies_etl.postgres import lock, session
from movies_etl.postgres.assembly import Assembled
from movies_etl.postgres.source import Source

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.faults import each_item, refusal
from tests.support.proxy import Fault, Proxy, answer, cut_answer, cut_request, delay, silence
from tests.support.site import MemoryCursors, Site
from tests.support.tasks import Tasks
from tests.support.truthful import TruthfulCursors

FILMS = 300
BULK = b"/_bulk?filter_path"
"""A bulk request of documents; one of letters has no filter."""
FOREVER = float("inf")


@pytest.fixture
def postgres_proxy(postgres: Postgres) -> Iterator[Proxy]:
    with Proxy(postgres.port, http=False) as proxy:
        yield proxy


@pytest.fixture
def elasticsearch_proxy(elasticsearch_node: Elasticsearch) -> Iterator[Proxy]:
    with Proxy(elasticsearch_node.port, http=True) as proxy:
        yield proxy


@pytest.fixture
def tasks(
    site: Site, postgres_proxy: Proxy, elasticsearch_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Tasks:
    """The tasks behind both proxies, over a catalogue that is not loaded yet."""
    site.fill(FILMS)
    site.cursors = TruthfulCursors(site)
    ports = (postgres_proxy.port, elasticsearch_proxy.port)
    return Tasks(site, monkeypatch, ports, page_size="50", bulk_bytes="20000")


def refuse_items(status: int, kind: str) -> Fault:
    """Answer a bulk request with a refusal of each item."""
    return answer(200, lambda body: each_item(status, kind)(body)[1])


PASSING: dict[str, tuple[Fault, int]] = {
    "bulk requests cut in the middle": (cut_request(1000), 3),
    "bulk requests never answered": (cut_answer(0), 3),
    "answers of bulk requests cut in the middle": (cut_answer(100), 3),
    "bulk requests swallowed": (silence, 2),
    "bulk requests delayed": (delay(1), 4),
    "a storm of 429": (answer(*refusal(429)), 8),
    "a storm of 503": (answer(*refusal(503)), 5),
    "a storm of 500": (answer(*refusal(500)), 5),
    "bodies that are too large": (answer(413, {}), 3),
    "items that are put off": (refuse_items(429, "es_rejected_execution_exception"), 5),
    "items on which a shard fails": (refuse_items(500, "already_closed_exception"), 2),
    "items without a shard": (refuse_items(503, "unavailable_shards_exception"), 5),
}
"""Faults of Elasticsearch that pass, and how many requests each befalls."""


@pytest.mark.long
@pytest.mark.parametrize("name", PASSING)
def test_a_load_ends_well_beside(
    tasks: Tasks, site: Site, elasticsearch_proxy: Proxy, name: str
) -> None:
    fault, times = PASSING[name]
    planned = elasticsearch_proxy.plan(fault, BULK, times)
    results = tasks.run()
    assert planned.hits == times
    site.assert_equal()
    assert sum(result["indexed"] for result in results.values()) == FILMS
    assert site.letters() == {}


@pytest.mark.long
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)])
def test_a_run_ends_well_whichever_of_its_requests_fails(
    tasks: Tasks, site: Site, elasticsearch_proxy: Proxy, step: int
) -> None:
    tasks.run()
    film = site.add_film()
    faults = (cut_answer(20), answer(*refusal(503)))
    for number in range(0, 100, step):
        site.execute(
            "UPDATE content.film_work SET title = %s, modified = now() WHERE id = %s",
            f"Number {number}",
            film,
        )
        site.execute("UPDATE content.person SET modified = now() WHERE full_name = 'Person 1'")
        site.cursors = TruthfulCursors(site)
        planned = elasticsearch_proxy.plan(faults[number // step % 2], skip=number)
        tasks.run()
        site.assert_equal()
        if not planned.hits:
            assert number > 20  # so many are seen to fail
            return
    pytest.fail("a run sends requests without end")


def test_a_task_waits_for_an_elasticsearch_that_does_not_answer_its_first_question(
    tasks: Tasks, site: Site, elasticsearch_proxy: Proxy
) -> None:
    context = tasks.init()
    planned = elasticsearch_proxy.plan(silence)
    assert tasks.sync(FILM_WORK, context)["indexed"] == FILMS
    assert planned.hits == 1
    site.assert_equal()


@pytest.mark.long
def test_an_elasticsearch_that_stays_silent_is_told_and_the_next_run_mends_it(
    tasks: Tasks, site: Site, elasticsearch_proxy: Proxy
) -> None:
    tasks.configure(patience="3")
    elasticsearch_proxy.plan(silence, BULK, FOREVER, skip=9)
    with pytest.raises(IndexUnavailableError, match=r"movies_elasticsearch.*cannot be reached"):
        tasks.run()
    elasticsearch_proxy.heal()
    results = tasks.run()
    site.assert_equal()
    assert 0 < results["film_work"]["read"] < FILMS


@pytest.mark.long
@pytest.mark.parametrize("after", [0, 3_000, 50_000, 100_000, 150_000])
def test_a_run_goes_on_when_postgresql_is_cut_in_the_middle_of_an_answer(
    tasks: Tasks, site: Site, postgres_proxy: Proxy, after: int
) -> None:
    context = tasks.init()
    planned = postgres_proxy.plan(cut_answer(after), skip=1 if after else 30)
    result = tasks.sync(FILM_WORK, context)
    assert planned.hits == 1
    assert result["indexed"] >= FILMS
    site.assert_equal()


@pytest.mark.long
def test_a_postgresql_that_stands_still_is_given_up_and_named_for_as_long_as_it_has_the_lock(
    tasks: Tasks,
    site: Site,
    postgres_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks.configure(bulk_bytes="5000")  # so that a page is settled by then
    take = lock.take
    context = tasks.init()
    planned = postgres_proxy.plan(silence, b"Whole documents", skip=2)
    with monkeypatch.context() as hasty:
        hasty.setattr(session, "MAX_ANSWER_SECONDS", 3.0)
        hasty.setattr(lock, "take", lambda held, uuid, wait: take(held, uuid, wait / 100))
        with pytest.raises(WriterBusyError, match="movies_etl film_work test"):
            tasks.sync(FILM_WORK, context)
    assert planned.hits == 1
    assert "no answer within 3 s" in caplog.text
    postgres_proxy.heal()
    results = tasks.run()
    assert 0 < results["film_work"]["read"] < FILMS
    site.assert_equal()


@pytest.mark.long
def test_a_statement_that_is_given_up_lets_go_of_the_lock_at_once(
    tasks: Tasks, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tasks.init()
    monkeypatch.setattr(session, "MAX_ANSWER_SECONDS", 2.0)
    with psycopg.connect(site.dsn) as altering:
        altering.execute("LOCK TABLE content.film_work IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceUnavailableError, match="no answer within 2 s"):
            tasks.sync(FILM_WORK, context)
        lock.take(site.source().server, context["uuid"], wait=10)  # not only when the table is free
    site.reconnect()
    tasks.run()
    site.assert_equal()


def test_bodies_that_no_sender_has_taken_are_dropped_after_an_error() -> None:
    is_busy, may_end = threading.Event(), threading.Event()
    sent: list[str] = []

    def send() -> None:
        is_busy.set()
        may_end.wait(10)

    def send_two_and_fail() -> None:
        with servers.senders(1) as executor:
            executor.submit(send)
            waiting = executor.submit(sent.append, "a second body")
            waiting.add_done_callback(lambda _: may_end.set())
            assert is_busy.wait(10)
            raise IndexUnavailableError("lost")

    with pytest.raises(IndexUnavailableError):
        send_two_and_fail()
    assert sent == []


def test_seconds_and_rate_are_those_of_all_attempts_of_a_task(
    tasks: Tasks, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site.cursors = MemoryCursors()  # quick ones: an attempt is over before the pause ends
    monkeypatch.setattr(servers, "RECONNECT_PAUSE_SECONDS", 2.0)
    context = tasks.init()
    documents = Source.documents
    is_lost = iter([False, False, True])

    def read_or_lose(
        source: Source, films: Sequence[str]
    ) -> tuple[int, Generator[list[Assembled], None, None]]:
        if next(is_lost, False):
            raise SourceUnavailableError("lost")
        return documents(source, films)

    monkeypatch.setattr(Source, "documents", read_or_lose)
    result = tasks.sync(FILM_WORK, context)
    assert next(is_lost, None) is None
    assert result["seconds"] >= servers.RECONNECT_PAUSE_SECONDS
    rates = [
        int(rate.replace(",", "")) for rate in re.findall(r"\(([\d,]+) films/s\)", caplog.text)
    ]
    assert 0 < rates[-1] <= result["read"] / servers.RECONNECT_PAUSE_SECONDS


@pytest.mark.long
def test_a_postgresql_that_does_not_let_in_is_told_and_the_next_run_mends_it(
    tasks: Tasks, site: Site, postgres_proxy: Proxy
) -> None:
    context = tasks.init()
    tasks.configure(patience="1")
    postgres_proxy.plan(silence, times=FOREVER)
    with pytest.raises(SourceUnavailableError, match=r"movies_postgres.*cannot be reached"):
        tasks.sync(FILM_WORK, context)
    postgres_proxy.heal()
    tasks.configure(patience="20")
    tasks.run()
    site.assert_equal()
