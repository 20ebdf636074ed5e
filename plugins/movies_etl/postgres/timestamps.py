"""Times as text: ISO 8601 with six fractional digits, also of columns without time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_STEP = timedelta(minutes=15)
"""Zones change at quarters of an hour."""

_LONGEST_OVERLAP = timedelta(hours=3)
"""More than any zone's clocks have gone back at once in a season's change."""


def parse(stamp: str) -> datetime:
    """Read a stamp with its zone."""
    return datetime.fromisoformat(stamp)


def text(moment: datetime) -> str:
    """Write a moment in its own zone with six fractional digits."""
    return moment.isoformat(timespec="microseconds")


def in_utc(moment: datetime) -> str:
    """Write a moment in UTC."""
    return text(moment.astimezone(UTC))


def on_the_wall(moment: datetime, zone: str) -> str:
    """Write a horizon as the wall time of a zone, for a column without time zone.

    Where clocks go back an hour repeats, and a row of its second pass would appear below what was
    read in the first. So the result is the lowest wall time that will be shown at or after
    ``moment``: the horizon waits at the beginning of the repeated hour until that is over.
    """
    moment = moment.astimezone(UTC)
    local = moment.astimezone(ZoneInfo(zone))
    quarter = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    later = (
        (quarter + step * _STEP).astimezone(ZoneInfo(zone))
        for step in range(1, _LONGEST_OVERLAP // _STEP + 1)
    )
    return text(min((local, *later), key=lambda shown: shown.replace(tzinfo=None)))


def wall_stamp(stamp: str, zone: str) -> str:
    """Complete a wall time read from a column without time zone by the offset of its zone."""
    year, _, _ = stamp.partition("-")
    if len(year) > 4:  # beyond datetime; PostgreSQL goes to the year 294276 and ignores the offset
        return f"{stamp}+00:00"
    return text(datetime.fromisoformat(stamp).replace(tzinfo=ZoneInfo(zone)))
