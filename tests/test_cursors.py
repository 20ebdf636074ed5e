"""Where a stream stands: the text of its Variable, and what is said of a broken one."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from movies_etl.errors import ConfigurationError
from movies_etl.state.cursors import (
    Cursor,
    FanOutProgress,
    LinkPosition,
    Position,
    RowPosition,
    SentRow,
)
from movies_etl.state.database import Database
from pydantic import ValidationError

STAMP = "2026-10-25T02:30:00.000001+02:00"
FULL = Cursor(
    index="uuid",
    database=Database(
        name="movies", system_identifier="7", timeline=1, oid=16384, tables={"genre": 16400}
    ),
    rows=RowPosition(stamp=STAMP, id="g1"),
    links=LinkPosition(stamp="2026-01-02T03:04:05.000000+00:00", id="l1"),
    fan_out=FanOutProgress(
        start=None, end=RowPosition(stamp=STAMP, id="g2"), after_root="f1", since=7
    ),
    tail=(SentRow(id="g9", xmin="771"),),
    horizon="2026-10-25T00:30:00.123456+00:00",
    version=1_700_000_000_000_000,
    open=True,
    trusted_from=5,
)

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets).map(lambda at: at.isoformat(timespec="microseconds"))
far_moments = st.builds(
    "{}-12-31T23:59:59.{:06}+00:00".format, st.integers(10_000, 294_276), st.integers(0, 999_999)
)
stamps = moments | far_moments
ids = st.text(min_size=1)
row_positions = st.builds(lambda at, key: RowPosition(stamp=at, id=key), stamps, ids)
link_positions = st.builds(lambda at, key: LinkPosition(stamp=at, id=key), stamps, ids)
fan_outs = st.builds(
    lambda start, end, film: FanOutProgress(start=start, end=end, after_root=film),
    st.none() | row_positions,
    row_positions,
    st.none() | ids,
)
cursors = st.fixed_dictionaries(
    {
        "index": ids,
        "database": st.builds(
            Database,
            name=ids,
            system_identifier=st.none() | ids,
            timeline=st.none() | st.integers(1, 9),
        ),
        "rows": st.none() | row_positions,
        "links": st.none() | link_positions,
        "fan_out": st.none() | fan_outs,
        "tail": st.lists(st.builds(SentRow, id=ids, xmin=ids), max_size=3).map(tuple),
        "horizon": st.none() | stamps,
        "version": st.integers(0, 2**63 - 1),
        "open": st.booleans(),
        "fence": st.integers(0, 2**63 - 1),
    }
).map(Cursor.model_validate)


def test_the_json_has_the_documented_names() -> None:
    assert json.loads(FULL.to_json()) == {
        "index": "uuid",
        "database": {
            "name": "movies",
            "system_identifier": "7",
            "timeline": 1,
            "oid": 16384,
            "tables": {"genre": 16400},
        },
        "rows": {"modified": STAMP, "id": "g1"},
        "links": {"created": "2026-01-02T03:04:05.000000+00:00", "id": "l1"},
        "fan_out": {
            "from": None,
            "to": {"modified": STAMP, "id": "g2"},
            "after_film": "f1",
            "since": 7,
        },
        "tail": [{"id": "g9", "xmin": "771"}],
        "horizon": "2026-10-25T00:30:00.123456+00:00",
        "version": 1_700_000_000_000_000,
        "open": True,
        "fence": 5,
    }


def test_a_film_cursor_at_the_beginning_says_so_with_nulls() -> None:
    cursor = Cursor(index="uuid", database=Database(name="movies"))
    written = json.loads(cursor.to_json())
    assert [written[name] for name in ("rows", "links", "fan_out", "horizon")] == [None] * 4
    assert written["open"] is False


@given(cursors)
def test_a_cursor_survives_being_written_and_read(cursor: Cursor) -> None:
    text = cursor.to_json()
    assert Cursor.from_json(text, where="v") == cursor
    assert Cursor.from_json(text, where="v").to_json() == text


def test_fields_of_a_later_addition_have_defaults() -> None:
    least = '{"index": "uuid", "database": {"name": "movies"}}'
    assert Cursor.from_json(least, where="v").tail == ()


def broken(**changes: object) -> str:
    return json.dumps(json.loads(FULL.to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "the value"),
        ("null", "the value"),
        ("[]", "the value"),
        ('{"index": "uuid"', "the value"),
        ("{}", "index"),
        (broken(index=None), "index"),
        (broken(database="movies"), "database"),
        (broken(rows={"modified": "2026-01-01T00:00:00+00:00", "id": "f"}), "rows.modified"),
        (broken(rows={"modified": "2026-01-01T00:00:00.000000", "id": "f"}), "rows.modified"),
        (broken(rows={"modified": "2026-01-01 00:00:00.000000+00:00", "id": "f"}), "rows.modified"),
        (broken(rows={"modified": "infinity", "id": "f"}), "rows.modified"),
        (broken(rows={"modified": STAMP.replace("-10-", "-13-"), "id": "f"}), "rows.modified"),
        (broken(rows={"modified": STAMP.replace("T", "T9"), "id": "f"}), "rows.modified"),
        (broken(rows={"modified": STAMP}), "rows.id"),
        (broken(rows={"created": STAMP, "id": "f"}), "rows.modified"),
        (broken(links={"created": "yesterday", "id": "f"}), "links.created"),
        (broken(fan_out={"from": None, "to": None, "after_film": None}), "fan_out.to"),
        (broken(tail=[{"id": "g"}]), "tail.0.xmin"),
        (broken(version="soon"), "version"),
        (broken(lag=3), "lag"),
    ],
)
def test_a_broken_cursor_is_named_with_its_variable_and_the_way_out(text: str, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cursor.from_json(text, where="movies_etl.cursor.genre")
    said = str(caught.value)
    assert said.startswith(f"Variable movies_etl.cursor.genre is not a valid cursor ({field}: ")
    assert "Admin -> Variables" in said
    assert "delete it" in said


@pytest.mark.parametrize("day", ["2024-02-29", "2400-02-29", "294276-12-31", "0001-01-01"])
def test_every_day_of_the_calendar_may_be_in_a_cursor(day: str) -> None:
    stamp = f"{day}T23:59:59.999999+00:00"
    assert RowPosition(stamp=stamp, id="f").stamp == stamp


@pytest.mark.parametrize("day", ["2023-02-29", "2100-02-29", "2024-02-30", "10100-02-29"])
def test_a_day_that_there_is_not_is_no_position(day: str) -> None:
    with pytest.raises(ValidationError, match="day is out of range"):
        RowPosition(stamp=f"{day}T00:00:00.000000+00:00", id="f")


def test_moving_a_cursor_changes_nothing_else_and_checks_what_is_put_in() -> None:
    moved = FULL.moved(fan_out=None, open=False)
    assert (moved.fan_out, moved.open) == (None, False)
    assert moved.moved(fan_out=FULL.fan_out, open=True) == FULL
    with pytest.raises(ValidationError):
        FULL.moved(horizon="tomorrow")
    with pytest.raises(ValidationError):
        FULL.moved(horizons=STAMP)


def test_a_position_can_be_taken_over_as_one_of_rows_or_links() -> None:
    place = Position(stamp=STAMP, id="x")
    assert RowPosition.at(place).model_dump(by_alias=True) == {"modified": STAMP, "id": "x"}
    assert LinkPosition.at(place).model_dump(by_alias=True) == {"created": STAMP, "id": "x"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("a", "1"), ("a", "1"), True),
        (("a", "1"), ("a", "2"), False),
        (("a", "1"), ("b", "1"), False),
        (("a", None), ("a", "1"), True),
        (("a", "1"), ("a", None), True),
        (("a", None), ("b", None), False),
    ],
)
def test_a_database_is_known_by_its_name_and_its_cluster_where_that_is_readable(
    one: tuple[str, str | None], other: tuple[str, str | None], same: bool
) -> None:
    first, second = (
        Database(name=name, system_identifier=identifier) for name, identifier in (one, other)
    )
    assert (first.difference_from(second) is None) is same


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({}, {}, None),
        ({"oid": 1}, {}, None),
        ({}, {"oid": 1, "tables": {"genre": 7}}, None),
        ({"oid": 1}, {"oid": 1}, None),
        ({"oid": 2}, {"oid": 1}, "database movies was dropped and created again"),
        ({"tables": {"genre": 7}}, {"tables": {"genre": 7, "gone": 9}}, None),
        ({"tables": {"genre": 7, "fresh": 9}}, {"tables": {"genre": 7}}, None),
        ({"tables": {"a": 1, "b": 2, "c": 3}}, {"tables": {"a": 1, "b": 4, "c": 5}}, "b, c"),
    ],
)
def test_a_database_and_its_tables_are_known_by_their_numbers_where_both_are_known(
    one: dict[str, Any], other: dict[str, Any], said: str | None
) -> None:
    found = Database(name="movies", **one).difference_from(Database(name="movies", **other))
    assert (found is None) if said is None else (found and found.endswith(said))


def test_what_another_look_tells_completes_what_was_known() -> None:
    known = Database(name="movies", system_identifier="7", oid=1, tables={"genre": 7})
    found = Database(name="movies", timeline=2, oid=1, tables={"person": 8})
    assert known.completed_by(found) == Database(
        name="movies", system_identifier="7", timeline=2, oid=1, tables={"genre": 7, "person": 8}
    )
