"""Turns at following: at the moment of a kill somebody stands by, also after a change-over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from movies_etl.follow.turns import Turns
from movies_etl.postgres import lock
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.server import Server
from movies_etl.settings import Settings

from local.processes import wait_until
from tests.support.catalogue import Catalogue
from tests.support.following import PATIENCE

TURN = lock.key_of("follow uuid")
STAND_BY = lock.key_of("stand by uuid")
LONG = 600.0
"""Seconds that nobody waits for: what is waited for comes before, or the test fails."""


class Task:
    """A task that wants to follow, in a session and a thread of its own."""

    def __init__(self, dsn: str, executor: ThreadPoolExecutor) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        queries = Queries(self.connection, Settings().include_dir / "sql", "content")
        self.server = Server(queries)
        self._turns = Turns(self.server, "uuid")
        self._executor = executor

    def begin(self) -> Future[bool]:
        return self._executor.submit(self._turns.begin, LONG)

    def hand_over(self, wait: float = LONG) -> Future[bool]:
        return self._executor.submit(self._turns.hand_over, wait)

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid


@pytest.fixture
def new_task(catalogue: Catalogue) -> Iterator[Callable[[], Task]]:
    """Return tasks; their sessions end with the test."""
    tasks: list[Task] = []
    with ThreadPoolExecutor(5) as executor:

        def task() -> Task:
            tasks.append(Task(catalogue.dsn, executor))
            return tasks[-1]

        yield task
        for one in tasks:  # a thread that still waits for a lock ends with its session
            catalogue.connection.execute("SELECT pg_terminate_backend(%s)", [one.pid])
            one.connection.close()


@pytest.fixture
def watcher(new_task: Callable[[], Task]) -> Server:
    """A session that only looks at locks."""
    return new_task().server


def holder(server: Server, key: int) -> int:
    found = server.lock_holder(key)
    return found.pid if found else 0


def awaits(server: Server, key: int) -> None:
    wait_until(lambda: server.is_awaited(key), seconds=PATIENCE, what="a task that waits")


def test_after_a_change_over_the_first_stands_in_and_follows_when_the_new_one_is_killed(
    new_task: Callable[[], Task], watcher: Server, catalogue: Catalogue
) -> None:
    first, second = new_task(), new_task()
    assert first.begin().result(PATIENCE)
    begun = second.begin()
    awaits(watcher, TURN)
    again = first.hand_over()
    assert begun.result(PATIENCE)
    awaits(watcher, TURN)  # before any other task has come
    catalogue.connection.execute("SELECT pg_terminate_backend(%s)", [second.pid])
    assert again.result(PATIENCE)
    assert holder(watcher, TURN) == first.pid
    assert not holder(watcher, STAND_BY)  # the next one may stand by


def test_who_stands_in_ends_when_the_next_one_stands_by(
    new_task: Callable[[], Task], watcher: Server, catalogue: Catalogue
) -> None:
    first, second, third, fourth = (new_task() for _ in range(4))
    assert first.begin().result(PATIENCE)
    begun = second.begin()
    awaits(watcher, TURN)
    again = first.hand_over()
    assert begun.result(PATIENCE)
    awaits(watcher, TURN)
    next_one = third.begin()
    assert not again.result(PATIENCE)
    wait_until(lambda: holder(watcher, STAND_BY) == third.pid, seconds=PATIENCE, what="the third")
    assert not fourth.begin().result(PATIENCE)  # one stands by, and nobody stands in
    catalogue.connection.execute("SELECT pg_terminate_backend(%s)", [second.pid])
    assert next_one.result(PATIENCE)
    assert holder(watcher, TURN) == third.pid


def test_where_nobody_stands_by_nobody_stands_in(
    new_task: Callable[[], Task], watcher: Server
) -> None:
    first = new_task()
    assert first.begin().result(PATIENCE)
    assert not first.hand_over().result(PATIENCE)
    assert not holder(watcher, TURN)
    assert not holder(watcher, STAND_BY)


def test_a_task_that_may_not_go_on_gives_its_turn_away_and_ends(
    new_task: Callable[[], Task], watcher: Server
) -> None:
    first, second = new_task(), new_task()
    assert first.begin().result(PATIENCE)
    begun = second.begin()
    awaits(watcher, TURN)
    assert not first.hand_over(0).result(PATIENCE)
    assert begun.result(PATIENCE)
    assert not watcher.is_awaited(TURN)
