"""How much is done for a film, counted rather than timed: the same on every machine.

Each bound is what the program does, and a little: it fails when a second query per page, a look-up
for every film, or a copy of every document creeps in. A change that does less may lower it.
"""

from __future__ import annotations

import cProfile
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import elastic_transport
import psycopg
import pytest
from movies_etl.sync import page_size

from local.generator import generate
from tests.support.site import Site

FILMS = 2_000
PAGE = 250
BODY = 500_000

QUERIES_A_PAGE = 4
"""Changed rows, the clock, documents, fetched at once. A cursor that is saved reads the clock once
more."""

CALLS_A_FILM = 33.0
"""Python's calls of functions, its own and C's, in the task's thread."""

BULK = "PUT _bulk"
"""How the requests of a load are named here."""

BYTES_A_FILM = 120
"""Bytes of a bulk body beside the document itself."""

MEMORY_A_FILM = 400.0
"""Bytes that the peak grows by with each film of the catalogue: no document is kept (1,143 bytes),
while the peak itself varies by some 100 kB with what is in flight when a page is read."""


@dataclass
class Work:
    """What was asked of both servers."""

    queries: int = 0
    saves: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    bulk_bytes: int = 0


class _CountingCursor(psycopg.Cursor[Any]):
    """Counts what is executed, however it is asked for."""

    work: Work

    def _start_query(self, *args: Any, **kwargs: Any) -> Any:
        self.work.queries += 1
        return super()._start_query(*args, **kwargs)


@pytest.fixture
def work(site: Site, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts what the program asks of both servers while it loads a generated catalogue."""
    work = Work()
    generate(site.dsn, FILMS)
    site.configure(page_size=PAGE, bulk_bytes=BODY)
    monkeypatch.setattr(page_size, "MAX_PAGE_DOCUMENTS", PAGE)
    monkeypatch.setattr(_CountingCursor, "work", work, raising=False)
    site.reconnect()
    site._reader.cursor_factory = _CountingCursor

    original = elastic_transport.Transport.perform_request

    def counted(transport: Any, method: str, target: str, **kwargs: Any) -> Any:
        api = target.split("?", maxsplit=1)[0].rpartition("/")[2]
        kind = f"{method} {api if api.startswith('_') else 'an index'}"
        work.requests[kind] += 1
        if kind == BULK:
            work.bulk_bytes += len(kwargs["body"])
        return original(transport, method, target, **kwargs)

    monkeypatch.setattr(elastic_transport.Transport, "perform_request", counted)
    return work


def _first_load(site: Site, work: Work) -> Work:
    """Load everything into an index of its own; return what was asked for it."""
    for index in site.client.indices.get(index="movies-2*"):
        site.client.indices.delete(index=index)
    before = replace(work, requests=Counter(work.requests))
    saves = len(site.cursors.saves)
    counters = site.run()["film_work"]
    assert counters.pages == counters.indexed / PAGE
    return Work(
        queries=work.queries - before.queries,
        saves=len(site.cursors.saves) - saves,
        requests=work.requests - before.requests,
        bulk_bytes=work.bulk_bytes - before.bulk_bytes,
    )


def _halve(site: Site) -> None:
    """Leave half of the films: what a load does for them and not for more is paid once a run."""
    site.execute(
        "DELETE FROM content.film_work WHERE id IN"
        " (SELECT id FROM content.film_work ORDER BY modified OFFSET %s)",
        FILMS // 2,
    )


def test_a_page_costs_few_queries_and_no_request_but_bulk(site: Site, work: Work) -> None:
    def least() -> Work:
        """A transaction of autovacuum between two tasks costs a few queries once."""
        return min((_first_load(site, work) for _ in range(3)), key=lambda one: one.queries)

    _first_load(site, work)
    whole = least()
    _halve(site)
    half = least()

    pages = FILMS // 2 // PAGE
    queries = (whole.queries - whole.saves) - (half.queries - half.saves)
    assert 0 < queries <= QUERIES_A_PAGE * pages
    more = whole.requests - half.requests
    assert more.pop(BULK) > 0
    # An index that was made a moment ago may be asked for its history once more.
    assert more.total() < pages, more


def test_a_film_is_sent_once_with_little_around_it(site: Site, work: Work) -> None:
    done = _first_load(site, work)

    ids = [film for (film,) in site.execute("SELECT id::text FROM content.film_work").fetchall()]
    _version, pieces = site.source().documents(ids)
    size = sum(len(document.text) for piece in pieces for document in piece)
    assert 0 < done.bulk_bytes - size <= BYTES_A_FILM * FILMS
    assert done.requests[BULK] <= done.bulk_bytes / BODY + 1


def test_postgresql_works_a_text_out_once(site: Site) -> None:
    query = b"EXPLAIN (VERBOSE) " + site.source().queries.text("movies/documents.sql")
    rows = site.connection.execute(query, {"ids": "{}"}).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert plan.count("to_json(film_work.description)") == 1
    assert plan.count("md5(") == 1


def test_a_film_costs_few_calls(site: Site, work: Work) -> None:
    def calls() -> int:
        with cProfile.Profile() as profile:
            _first_load(site, work)
        return sum(entry.callcount for entry in profile.getstats())

    calls()  # what is imported or cached once
    whole = calls()
    _halve(site)
    a_film = (whole - calls()) / (FILMS / 2)
    assert 0 < a_film <= CALLS_A_FILM


def test_memory_does_not_grow_with_the_catalogue(site: Site, work: Work) -> None:
    def peak() -> int:
        tracemalloc.start()
        try:
            _first_load(site, work)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    site.configure(bulk_bytes=50_000)  # so that both loads fill everything that is kept
    peak()
    whole = peak()
    _halve(site)
    a_film = (whole - peak()) / (FILMS / 2)
    assert a_film <= MEMORY_A_FILM
