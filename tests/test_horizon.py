"""How far it is safe to read, in the time zone of a column that has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from movies_etl.postgres import timestamps

# Half hours, two-hour changes, changes on other days, negative and quarter offsets, none at all.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Moscow",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Chatham",
    "Pacific/Apia",
)
zones = st.sampled_from(ZONES)
instants = st.datetimes(
    datetime(2024, 1, 1),  # noqa: DTZ001 - the zone is given beside it
    datetime(2036, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=37))]),
)
gaps = st.timedeltas(timedelta(0), timedelta(hours=30))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wall(at: datetime, zone: str) -> datetime:
    """Return what a clock on the wall shows at an instant."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def bound(at: datetime, zone: str) -> datetime:
    return moment(timestamps.on_the_wall(at, zone)).replace(tzinfo=None)


BEFORE_THE_CHANGE = moment("2026-10-25T00:59:59+00:00")


@given(zones, instants, gaps)
@example("Europe/Berlin", BEFORE_THE_CHANGE, timedelta(seconds=1))
@example("Australia/Lord_Howe", moment("2026-04-04T14:50:00+00:00"), timedelta(minutes=10))
@example("Antarctica/Troll", moment("2026-10-25T00:30:00+00:00"), timedelta(minutes=30))
@example("America/St_Johns", moment("2026-11-01T09:57:00+05:37"), timedelta(minutes=10))
def test_no_later_row_is_stamped_below_the_horizon(
    zone: str, at: datetime, later: timedelta
) -> None:
    assert wall(at + later, zone) >= bound(at, zone)


@given(zones, instants)
@example("Europe/Berlin", moment("2026-06-01T10:20:00+05:37"))
def test_the_horizon_is_a_time_that_the_wall_shows_then_or_within_three_hours(
    zone: str, at: datetime
) -> None:
    waits = bound(at, zone)
    shown = wall(at, zone)
    assert waits <= shown
    if waits < shown:
        quarter = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        quarters = [quarter + timedelta(minutes=15) * step for step in range(17)]
        assert waits in [wall(later, zone) for later in quarters if later > at]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-10-24T23:30:00+00:00", "2026-10-25T01:30:00.000000+02:00"),  # nothing to wait for
        ("2026-10-25T00:00:00+00:00", "2026-10-25T02:00:00.000000+02:00"),
        ("2026-10-25T00:59:59+00:00", "2026-10-25T02:00:00.000000+01:00"),  # waits
        ("2026-10-25T01:00:00+00:00", "2026-10-25T02:00:00.000000+01:00"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25T02:30:00.000000+01:00"),  # the second pass
        ("2026-03-29T00:59:59+00:00", "2026-03-29T01:59:59.000000+01:00"),
        ("2026-03-29T01:00:00+00:00", "2026-03-29T03:00:00.000000+02:00"),  # an hour is left out
    ],
)
def test_the_horizon_waits_at_the_beginning_of_the_repeated_hour(at: str, shown: str) -> None:
    assert timestamps.on_the_wall(moment(at), "Europe/Berlin") == shown


def test_without_changes_of_the_clock_the_horizon_is_what_the_wall_shows() -> None:
    at = moment("2026-07-01T00:00:00.123456+00:00")
    assert timestamps.on_the_wall(at, "Asia/Kathmandu") == "2026-07-01T05:45:00.123456+05:45"
    assert timestamps.on_the_wall(at, "UTC") == "2026-07-01T00:00:00.123456+00:00"


@pytest.mark.parametrize(
    ("stamp", "zone", "completed"),
    [
        ("2026-07-01T12:00:00.000001", "Europe/Berlin", "2026-07-01T12:00:00.000001+02:00"),
        ("2026-01-01T12:00:00.000000", "Europe/Berlin", "2026-01-01T12:00:00.000000+01:00"),
        ("2026-03-29T02:30:00.000000", "Europe/Berlin", "2026-03-29T02:30:00.000000+01:00"),
        ("0002-01-01T00:00:00.000000", "Europe/Berlin", "0002-01-01T00:00:00.000000+00:53:28"),
        ("294276-12-31T23:59:59.999999", "Europe/Berlin", "294276-12-31T23:59:59.999999+00:00"),
    ],
)
def test_a_wall_time_is_kept_as_it_is_and_told_its_offset(
    stamp: str, zone: str, completed: str
) -> None:
    assert timestamps.wall_stamp(stamp, zone) == completed


def test_moments_are_written_with_six_digits_and_their_zone() -> None:
    at = moment("2026-01-01T00:00:00+03:00")
    assert timestamps.text(at) == "2026-01-01T00:00:00.000000+03:00"
    assert timestamps.in_utc(at) == "2025-12-31T21:00:00.000000+00:00"
    assert timestamps.parse(timestamps.text(at)) == at
