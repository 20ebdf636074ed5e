"""Waiting for a server: how often it is tried, for how long, and what is not waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from movies_etl.errors import (
    ConfigurationError,
    IndexUnavailableError,
    MoviesEtlError,
    RefusedDocumentsError,
    SourceUnavailableError,
)
from movies_etl.retries import MAX_PAUSE_SECONDS, retrying

from tests.support.faults import Time


def failing(error: Exception, times: int) -> tuple[Callable[[], str], list[int]]:
    """Return a function that fails so many times, and the list of its calls."""
    calls: list[int] = []

    def attempt() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        return "done"

    return attempt, calls


@pytest.mark.parametrize("kind", [IndexUnavailableError, SourceUnavailableError])
def test_an_unavailable_server_is_tried_again(waits: Time, kind: type[MoviesEtlError]) -> None:
    attempt, calls = failing(kind("away"), 4)
    assert retrying(120)(attempt) == "done"
    assert len(calls) == 5
    assert len(waits.slept) == 4


@pytest.mark.parametrize(
    "error", [ConfigurationError("x"), RefusedDocumentsError("x"), ValueError("x")]
)
def test_what_waiting_does_not_mend_fails_at_once(waits: Time, error: Exception) -> None:
    attempt, calls = failing(error, 1)
    with pytest.raises(type(error)):
        retrying(120)(attempt)
    assert len(calls) == 1
    assert waits.slept == []


def test_the_last_error_is_raised_when_the_time_is_up(waits: Time) -> None:
    began = waits.now
    last = IndexUnavailableError("still away")
    attempt, calls = failing(last, 10**6)
    with pytest.raises(IndexUnavailableError) as caught:
        retrying(60)(attempt)
    assert caught.value is last
    assert 5 < len(calls) < 200
    assert waits.now - began == pytest.approx(60)  # however long the next pause would have been


def test_without_patience_it_is_tried_once(waits: Time) -> None:
    attempt, calls = failing(IndexUnavailableError("away"), 1)
    with pytest.raises(IndexUnavailableError):
        retrying(0)(attempt)
    assert len(calls) == 1
    assert waits.slept == []


def test_pauses_grow_up_to_a_limit_and_are_spread(waits: Time) -> None:
    for _ in range(30):
        with pytest.raises(IndexUnavailableError):
            retrying(300)(failing(IndexUnavailableError("away"), 10**6)[0])
    assert max(waits.slept) <= MAX_PAUSE_SECONDS
    assert max(waits.slept) > MAX_PAUSE_SECONDS / 2
    assert len(set(waits.slept)) > len(waits.slept) / 2
    assert min(waits.slept) < 0.2


@pytest.mark.usefixtures("waits")
def test_each_wait_is_said_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="movies_etl.patience"):
        retrying(60)(failing(IndexUnavailableError("the index is away"), 2)[0])
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("Try 1 again in ")
    assert caplog.messages[1].endswith(" s: the index is away")
