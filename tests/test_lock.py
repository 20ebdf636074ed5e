"""One writer per index: what a task that waits does, and what it says of the holder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from movies_etl.errors import SourceUnavailableError, WriterBusyError
from movies_etl.postgres import lock
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.server import Server
from movies_etl.settings import Settings

from local.postgres import Postgres
from local.processes import wait_until
from tests.support.catalogue import Catalogue

OpenServer = Callable[..., Server]


@pytest.fixture
def open_server(catalogue: Catalogue) -> Iterator[OpenServer]:
    """Return sources over sessions of their own."""
    connections = []

    def opened(application: str = "movies_etl genre", role: str = "postgres") -> Server:
        dsn = catalogue.dsn.replace("postgres@", f"{role}@")
        connection = psycopg.connect(dsn, autocommit=True, application_name=application)
        connections.append(connection)
        return Server(Queries(connection, Settings().include_dir / "sql", "content"))

    yield opened
    for connection in connections:
        connection.close()


def test_a_second_writer_is_refused_and_told_who_the_first_is(open_server: OpenServer) -> None:
    first = open_server("movies_etl film_work")
    lock.take(first, "uuid", wait=0)
    with pytest.raises(WriterBusyError) as caught:
        lock.take(open_server(), "uuid", wait=0)
    said = str(caught.value)
    assert (
        f"movies_etl film_work (pid {first.queries.connection.info.backend_pid}, role postgres"
        in said
    )
    assert "from 127.0.0.1" in said


def test_the_lock_is_free_when_the_session_has_ended(open_server: OpenServer) -> None:
    first, second = open_server(), open_server()
    lock.take(first, "uuid", wait=0)
    first.queries.connection.close()
    lock.take(second, "uuid", wait=10)
    assert second.lock_holder(lock.key_of("uuid")) is not None


def test_who_waits_gets_the_lock_when_it_is_let_go(open_server: OpenServer) -> None:
    first, second = open_server(), open_server()
    key = lock.key_of("uuid")
    lock.take(first, "uuid", wait=0)
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(lock.take, second, "uuid", 60)
        wait_until(lambda: first.is_awaited(key), seconds=60, what="a session that waits")
        first.unlock(key)
        assert not first.lock(key)  # it was handed over, whatever the first does then
        waiting.result(timeout=60)
    assert not second.is_awaited(key)


def test_a_wait_that_was_in_vain_leaves_the_session_as_it_was(open_server: OpenServer) -> None:
    first, second = open_server(), open_server()
    lock.take(first, "uuid", wait=0)
    assert not second.wait_for_lock(lock.key_of("uuid"), 0.01)
    ((timeout,),) = second.queries.connection.execute("SHOW lock_timeout").fetchall()
    assert timeout == "0"
    first.queries.connection.close()
    assert second.wait_for_lock(lock.key_of("uuid"), 10)
    ((timeout,),) = second.queries.connection.execute("SHOW lock_timeout").fetchall()
    assert timeout == "0"


def test_a_lock_that_is_given_when_the_time_is_over_is_taken_once(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL may cancel a statement that has taken the lock; the session keeps it."""
    first, second = open_server(), open_server()
    rows = first.queries.rows

    def cancelled(file: str, *names: Any, **parameters: Any) -> list[tuple[Any, ...]]:
        found = rows(file, *names, **parameters)
        if file == "lock_wait.sql":
            raise SourceUnavailableError("too late") from psycopg.errors.LockNotAvailable()
        return found

    monkeypatch.setattr(first.queries, "rows", cancelled)
    key = lock.key_of("uuid")
    assert first.wait_for_lock(key, 10)
    first.unlock(key)
    assert second.lock(key)


def test_writers_of_different_indexes_do_not_wait_for_each_other(open_server: OpenServer) -> None:
    first, second = open_server(), open_server()
    lock.take(first, "one", wait=0)
    lock.take(second, "other", wait=0)
    pid = first.queries.connection.info.backend_pid
    holder = second.lock_holder(lock.key_of("one"))
    assert holder is not None
    assert holder.pid == pid


def test_a_lock_that_nobody_holds_has_no_holder(open_server: OpenServer) -> None:
    assert open_server().lock_holder(lock.key_of("uuid")) is None


def test_a_holder_that_this_role_may_not_look_into_is_named_as_far_as_it_may(
    open_server: OpenServer, postgres: Postgres
) -> None:
    postgres.createuser("onlooker")
    first = open_server("secret application")
    lock.take(first, "uuid", wait=0)
    with pytest.raises(WriterBusyError) as caught:
        lock.take(open_server(role="onlooker"), "uuid", wait=0)
    assert f"pid {first.queries.connection.info.backend_pid}" in str(caught.value)


def test_keys_are_of_64_bits_the_same_each_time_and_spread() -> None:
    keys = {lock.key_of(f"uuid {number}") for number in range(500)}
    assert len(keys) == 500
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert min(keys) < 0 < max(keys)
    assert lock.key_of("M5kGq4LzQ9iB7Z0yXw") == lock.key_of("M5kGq4LzQ9iB7Z0yXw")
