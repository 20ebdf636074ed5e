"""Refreshes that a task does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from movies_etl.errors import IndexUnavailableError
from movies_etl.es.refresher import Refresher

PATIENCE = 30.0


class Slow:
    """An index of which a refresh takes until it may end."""

    def __init__(self) -> None:
        self.began, self.may_end = Event(), Event()
        self.refreshes = 0
        self.fails = False

    def refresh(self) -> None:
        self.refreshes += 1
        self.began.set()
        assert self.may_end.wait(PATIENCE)
        if self.fails:
            raise IndexUnavailableError("gone")


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def index() -> Slow:
    return Slow()


@pytest.fixture
def refresher(index: Any, threads: Executor) -> Refresher:
    return Refresher(index, threads, 7)


def begin(refresher: Refresher, index: Slow) -> None:
    refresher.show(8)
    assert index.began.wait(PATIENCE)


def test_what_is_written_during_a_refresh_is_shown_by_one_more(
    refresher: Refresher, index: Slow
) -> None:
    begin(refresher, index)
    for written in (9, 10, 11):
        refresher.show(written)
    assert index.refreshes == 1
    index.may_end.set()
    refresher.wait()
    assert index.refreshes == 2
    refresher.show(12)
    refresher.wait()
    assert index.refreshes == 3


def test_nothing_is_refreshed_unless_more_was_written(refresher: Refresher, index: Slow) -> None:
    index.may_end.set()
    refresher.show(7)  # another attempt of the task has shown it
    refresher.wait()
    refresher.show(8)
    refresher.show(8)
    refresher.wait()
    assert index.refreshes == 1


@pytest.mark.parametrize("tell", [Refresher.wait, lambda refresher: refresher.show(9)])
def test_a_refresh_that_fails_fails_the_task(
    refresher: Refresher, index: Slow, tell: Callable[[Refresher], None]
) -> None:
    index.fails = True
    begin(refresher, index)
    index.may_end.set()
    with pytest.raises(IndexUnavailableError):
        refresher.wait()
    with pytest.raises(IndexUnavailableError):
        tell(refresher)
