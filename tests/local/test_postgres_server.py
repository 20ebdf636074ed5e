"""Our own PostgreSQL server through crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from local.postgres import Postgres, PostgresError
from local.processes import free_port, wait_until


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server; under root its data lie elsewhere, as nobody else enters pytest's folders."""
    folder = tmp_path_factory.mktemp("server")
    server = Postgres(folder / "postgres", port=free_port(24_000), options={"fsync": "off"})
    try:
        yield server
    finally:
        server.remove()
        assert not server.folder.exists()


@pytest.fixture
def server(one: Postgres) -> Postgres:
    """The server, running, with its own settings."""
    one.options.pop("wal_level", None)
    one.start()
    return one


def test_it_comes_back_after_a_kill_with_what_was_committed(server: Postgres) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not server.running, seconds=5, what="the server is gone")
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (1,)
    assert server.pid != pid


def test_a_stale_lock_file_with_the_number_of_another_process_does_not_matter(
    server: Postgres,
) -> None:
    lock = server.folder / "cluster" / "postmaster.pid"
    text = lock.read_text()
    server.stop("immediate")
    lock.write_text(text.replace(text.split("\n", 1)[0], str(os.getpid()), 1))
    assert not server.running
    server.start()
    assert server.running
    assert server.pid != os.getpid()


def test_starting_and_stopping_twice_is_harmless(server: Postgres) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert not server.running


def test_it_moves_to_another_port(server: Postgres) -> None:
    pid = server.pid
    moved = Postgres(server._data, port=free_port(24_100))
    moved.start()
    assert moved.pid != pid
    with psycopg.connect(moved.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_start_shows_the_end_of_the_log(server: Postgres) -> None:
    server.stop()
    server.options["wal_level"] = "much"
    with pytest.raises(PostgresError, match="wal_level"):
        server.start()


def test_databases_are_created_once(server: Postgres) -> None:
    server.createuser("somebody")
    server.createuser("somebody")
    assert server.createdb("theirs", owner="somebody")
    assert not server.createdb("theirs", owner="somebody")
    server.dropdb("theirs")
    server.dropdb("theirs")
    assert server.createdb("theirs")
