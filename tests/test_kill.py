"""SIGKILL of the task, of Elasticsearch and of PostgreSQL in the middle of their work."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest
from movies_etl.errors import WriterBusyError
from movies_etl.state.cursors import Cursor
from movies_etl.sync import page_size
from movies_etl.sync import prepare as init

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import pause, wait_until
from tests.support.site import Site
from tests.support.tasks import Tasks
from tests.support.worker import NAME, FileCursors, Worker

FEW, MANY = 2_000, pytest.param(20_000, marks=pytest.mark.soak)
SOON = 60
"""Seconds in which anything moves, on the slowest machine."""


@pytest.fixture
def cursors(tmp_path: Path) -> FileCursors:
    """The worker's cursors."""
    return FileCursors(tmp_path)


@pytest.fixture
def worker(site: Site, elasticsearch_node: Elasticsearch, tmp_path: Path) -> Iterator[Worker]:
    """A process with small pages."""
    settings = {"page_size": 200, "bulk_bytes": 50_000, "horizon_margin": 0}
    worker = Worker(site.dsn, elasticsearch_node.url, tmp_path, **settings)
    yield worker
    worker.end()


def films_below(site: Site, cursor: Cursor) -> list[str]:
    """Return the films that a film cursor has passed."""
    if cursor.rows is None:
        return []
    return [
        str(row[0])
        for row in site.execute(
            "SELECT id FROM content.film_work WHERE (modified, id) <= (%s::timestamptz, %s::uuid)",
            cursor.rows.stamp,
            cursor.rows.id,
        )
    ]


def missing(site: Site, films: list[str]) -> list[str]:
    """Return which of these films the index does not have."""
    lost = []
    for at in range(0, len(films), 1000):
        answer = site.client.mget(index="movies", ids=films[at : at + 1000], source=False)
        lost += [document["_id"] for document in answer["docs"] if not document["found"]]
    return lost


def kill_when_it_moved(
    worker: Worker, cursors: FileCursors, stream: str, dice: random.Random
) -> bool:
    """Run; kill some pages later at any moment. Return False when the run had ended before."""
    child = worker.start()
    for _ in range(dice.randint(1, 4)):
        before = cursors.load(stream)

        def has_moved_on(before: Cursor | None = before) -> bool:
            return child.poll() is not None or cursors.load(stream) != before

        wait_until(
            has_moved_on,
            seconds=SOON,
            what="the cursor moves",
        )
    pause(dice.uniform(0, 0.05))
    if child.poll() is not None:
        return False
    child.kill()
    child.communicate()
    return True


@pytest.mark.long
@pytest.mark.parametrize("films", [FEW, MANY])
def test_a_load_that_is_killed_again_and_again_goes_on_where_it_was(
    site: Site, worker: Worker, cursors: FileCursors, films: int
) -> None:
    site.fill(films)
    worker.configure(page_size=films // 100)
    dice = random.Random(films)  # noqa: S311
    kills = 0
    below: list[str] = []
    while kill_when_it_moved(worker, cursors, "film_work", dice):
        kills += 1
        cursor = cursors.load("film_work")
        assert cursor is not None
        assert len(films_below(site, cursor)) >= len(below)
        below = films_below(site, cursor)
        assert missing(site, below) == []
    result = worker.result()
    assert kills > 1
    assert result["film_work"]["read"] == films - len(below)
    site.assert_equal()
    assert site.letters() == {}
    worker.start()
    assert [done["indexed"] for done in worker.result().values()] == [0, 0, 0]


@pytest.mark.long
def test_a_fan_out_that_is_killed_again_and_again_goes_on_where_it_was(
    site: Site, worker: Worker, cursors: FileCursors
) -> None:
    site.fill(5_000)
    worker.configure(page_size=500)
    worker.start()
    worker.result()
    site.execute("UPDATE content.genre SET name = name || '!', modified = now()")
    dice = random.Random(1)  # noqa: S311
    places = []
    while kill_when_it_moved(worker, cursors, "genre", dice):
        cursor = cursors.load("genre")
        assert cursor is not None
        if cursor.fan_out and cursor.fan_out.after_root:
            places.append(cursor.fan_out.after_root)
    read = worker.result()["genre"]["read"]
    assert len(places) > 1
    assert places == sorted(places)
    assert read < 5_000
    site.assert_equal()


def hold_still(child: Popen[str], worker_is_busy: Callable[[], bool]) -> None:
    """Stop a process, as a machine that sleeps does, in the middle of its work."""
    wait_until(worker_is_busy, seconds=SOON, what="the worker works")
    child.send_signal(signal.SIGSTOP)


def test_a_worker_that_stands_still_keeps_its_place_and_ends_well(
    site: Site, worker: Worker, cursors: FileCursors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "LOCK_WAIT_SECONDS", 0.0)
    site.fill(FEW)
    child = worker.start()
    hold_still(child, lambda: has_moved(cursors))
    state = {file: file.read_text() for file in cursors.folder.glob("*.json")}
    with pytest.raises(WriterBusyError, match=rf"{NAME} \(pid \d+, role postgres.*changed nothing"):
        site.open()
    assert {file: file.read_text() for file in cursors.folder.glob("*.json")} == state
    child.send_signal(signal.SIGCONT)
    worker.result()
    site.assert_equal()


def test_a_worker_that_wakes_up_after_it_was_let_go_moves_nothing_back(
    site: Site, worker: Worker, cursors: FileCursors
) -> None:
    site.fill(FEW)
    child = worker.start()
    hold_still(child, lambda: has_moved(cursors))
    site.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
        NAME,
    )
    site.cursors = cursors  # type: ignore[assignment]  # kept as files
    site.execute("UPDATE content.film_work SET title = title || '!', modified = now()")
    site.run()
    site.assert_equal()
    after = {file: file.read_text() for file in cursors.folder.glob("*.json")}
    child.send_signal(signal.SIGCONT)
    child.communicate(timeout=SOON)
    assert child.returncode == 1
    assert "SourceUnavailableError" in worker.log.read_text()
    assert {file: file.read_text() for file in cursors.folder.glob("*.json")} == after
    site.assert_equal()


def has_moved(cursors: FileCursors) -> bool:
    """Whether a film was loaded."""
    cursor = cursors.load("film_work")
    return cursor is not None and cursor.rows is not None


@contextmanager
def when_it_moved(site: Site, do: Callable[[], None], *, pages: int = 1) -> Iterator[None]:
    """Do something, in a thread, as soon as the block has loaded some pages of films."""

    def has_moved() -> bool:
        saved = list(site.cursors.saves)
        return len({one.rows for name, one in saved if name == "film_work" and one.rows}) >= pages

    def wait_and_do() -> None:
        wait_until(has_moved, seconds=SOON, what="it moves")
        do()

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(wait_and_do)
        yield
        done.result()


@pytest.mark.long
@pytest.mark.parametrize("films", [FEW, MANY])
def test_a_load_ends_well_though_elasticsearch_is_killed_in_the_middle(
    site: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
    films: int,
) -> None:
    ports = (postgres.port, elasticsearch_node.port)
    tasks = Tasks(site, monkeypatch, ports, page_size="100", bulk_bytes="50000", patience="120")
    site.fill(films)

    def kill() -> None:
        os.kill(elasticsearch_node.pid or 0, signal.SIGKILL)
        wait_until(lambda: not elasticsearch_node.running, seconds=SOON, what="the node is gone")
        elasticsearch_node.start()

    with when_it_moved(site, kill):
        results = tasks.run()
    assert results["film_work"]["read"] == films
    site.assert_equal()
    assert site.letters() == {}


@pytest.mark.parametrize(
    ("films", "growth", "pages", "most_twice"),
    [
        (FEW, 1, 1, 500),
        pytest.param(20_000, 1, 1, 500, marks=pytest.mark.soak),
        pytest.param(
            20_000, page_size.MAX_PAGE_GROWTH, 3, 9_600, marks=pytest.mark.long
        ),  # two pages
    ],
)
def test_a_load_ends_well_though_postgresql_is_killed_in_the_middle(
    durable_site: Site,
    durable: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
    *,
    films: int,
    growth: int,
    pages: int,
    most_twice: int,
) -> None:
    monkeypatch.setattr(page_size, "MAX_PAGE_GROWTH", growth)
    site = durable_site
    ports = (durable.port, elasticsearch_node.port)
    tasks = Tasks(site, monkeypatch, ports, page_size="100", bulk_bytes="50000", patience="120")
    site.fill(films)

    def kill() -> None:
        with psycopg.connect(site.dsn) as lost:
            lost.execute("UPDATE content.film_work SET title = 'Never committed', modified = now()")
            site.execute("UPDATE content.person SET full_name = 'Committed', modified = now()")
            os.kill(durable.pid or 0, signal.SIGKILL)
            wait_until(lambda: not durable.running, seconds=SOON, what="the server is gone")
            durable.start()
            lost.close()

    with when_it_moved(site, kill, pages=pages):
        results = tasks.run()
    site.connection.close()
    site.connection = psycopg.connect(site.dsn, autocommit=True)
    assert films <= results["film_work"]["read"] <= films + most_twice
    site.assert_equal()
    assert "Committed" in {
        name for one in site.documents().values() for name in one["actors_names"]
    }
