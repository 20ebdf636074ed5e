"""The version protocol by itself: values in, values out, no server."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from movies_etl.state.cursors import Cursor
from movies_etl.state.database import Database
from movies_etl.sync.versions import (
    MAX_READINGS_AHEAD,
    RESERVED_MICROSECONDS,
    Versions,
    at_the_beginning,
    first_version,
)

CLOCK = 1_700_000_000_000_000
"""A time of the database's clock."""


def cursor(version: int = 0, *, is_open: bool = False, trusted_from: int = 0) -> Cursor:
    return Cursor(
        index="uuid",
        database=Database(name="movies"),
        version=version,
        open=is_open,
        trusted_from=trusted_from,
    )


@pytest.mark.parametrize(
    ("highest", "first"),
    [
        pytest.param(CLOCK - 1, CLOCK, id="the clock is ahead"),
        pytest.param(CLOCK, CLOCK + 1, id="the clock stands"),
        pytest.param(CLOCK + 5, CLOCK + 6, id="a dead task had reserved more"),
    ],
)
def test_a_run_begins_above_everything_that_may_have_been_sent(highest: int, first: int) -> None:
    cursors = [cursor(7), cursor(highest), cursor(8)]
    assert first_version(CLOCK, cursors, is_fresh=False) == first


def test_a_cursor_that_is_missing_may_have_been_that_of_a_dead_task() -> None:
    begun = first_version(CLOCK, [cursor(), None], is_fresh=False)
    assert begun == CLOCK + RESERVED_MICROSECONDS + 1
    assert first_version(CLOCK, [None, None], is_fresh=True) == CLOCK


def test_only_a_clock_that_was_set_back_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    first_version(CLOCK, [cursor(CLOCK + RESERVED_MICROSECONDS)], is_fresh=False)
    assert caplog.messages == []
    hour = 3_600_000_000
    assert first_version(CLOCK, [cursor(CLOCK + hour)], is_fresh=False) == CLOCK + hour + 1
    (said,) = caplog.messages
    assert "is 3600.0 s behind the newest document" in said


def test_positions_are_forgotten_but_not_what_a_dead_task_may_have_sent() -> None:
    clean = {"film_work": cursor(50, trusted_from=9), "genre": cursor(70)}
    assert at_the_beginning(100, clean) == (99, False, 9)
    assert at_the_beginning(60, clean) == (70, False, 9)
    unclean = clean | {"genre": cursor(70, is_open=True)}
    assert at_the_beginning(100, unclean) == (99, False, 100)
    assert at_the_beginning(100, {"film_work": cursor(50), "genre": None}) == (99, False, 100)


def test_after_a_clean_end_documents_are_trusted_as_before() -> None:
    versions = Versions.after_clean_end(100, [cursor(50, trusted_from=40), cursor(60)])
    assert not versions.is_trusted(39)
    assert versions.is_trusted(40)
    assert versions.next_reading(100) == 100


def test_after_an_unclean_end_only_what_this_task_writes_is_trusted() -> None:
    died = [cursor(150, is_open=True), cursor(60)]
    versions = Versions.after_unclean_end(151, died, clock=200)
    assert not versions.is_trusted(200)
    assert versions.is_trusted(versions.next_reading(150))


def test_nothing_is_sent_before_the_cursor_says_so() -> None:
    versions = Versions.after_clean_end(CLOCK, [cursor()])
    assert versions.reserve(CLOCK) == (CLOCK - 1, False, 0)
    versions.next_reading(CLOCK)
    assert versions.about_to_send()
    assert versions.is_open
    assert versions.reserve(CLOCK) == (CLOCK + RESERVED_MICROSECONDS, True, 0)
    versions.next_reading(CLOCK + 1)
    assert not versions.about_to_send()  # it lies within what was reserved
    versions.close()
    assert versions.reserve(CLOCK) == (CLOCK + 1, False, 0)


def test_what_was_reserved_lasts_for_half_of_its_time() -> None:
    versions = Versions.after_clean_end(CLOCK, [cursor()])
    versions.next_reading(CLOCK)
    versions.about_to_send()
    reserved = versions.reserve(CLOCK)
    half = RESERVED_MICROSECONDS // 2
    assert versions.reserve(CLOCK + half) == reserved
    assert versions.reserve(CLOCK + half + 1).version > reserved.version


@given(
    first=st.integers(1, 2 * MAX_READINGS_AHEAD),
    clocks=st.lists(st.integers(0, 3 * RESERVED_MICROSECONDS), min_size=1, max_size=50),
)
def test_whatever_the_clock_does_readings_rise_and_none_passes_what_was_saved(
    first: int, clocks: list[int]
) -> None:
    """The cursor is saved where ``about_to_send`` says so, and at no other moment."""
    versions = Versions.after_clean_end(first, [cursor()])
    saved, before = versions.reserve(0), first - 1
    for clock in clocks:
        reading = versions.next_reading(clock)
        assert reading > before
        assert reading >= clock
        if versions.about_to_send():
            saved = versions.reserve(clock)
        assert saved.open
        assert reading <= saved.version
        before = reading
    died = cursor(saved.version, is_open=True)
    begun = first_version(0, [died], is_fresh=False)
    successor = Versions.after_unclean_end(begun, [died], clock=0)
    assert successor.next_reading(0) > saved.version
    assert not successor.is_trusted(before)
