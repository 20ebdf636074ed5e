"""What holds the horizon back delays nobody, and is named."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta, timezone

import psycopg
import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres import horizon, timestamps
from movies_etl.state.cursors import RowPosition

from tests.support.catalogue import NIL
from tests.support.protections import notices
from tests.support.site import Site, sent


@pytest.fixture
def prepared(small: Site) -> Iterator[str]:
    """A transaction that has renamed a film and a person, and waits for its COMMIT."""
    gid = "an import"
    with psycopg.connect(small.dsn) as other:
        other.execute(
            "INSERT INTO content.film_work (id, title, type, modified)"
            " VALUES (gen_random_uuid(), 'Imported', 'movie', now() - interval '1 s')"
        )
        other.execute(
            "UPDATE content.person SET full_name = 'Imported', modified = now() - interval '1 s'"
            " WHERE full_name = 'Ann'"
        )
        other.execute(f"PREPARE TRANSACTION '{gid}'")
    yield gid
    if small.execute("SELECT gid FROM pg_prepared_xacts WHERE gid = %s", gid).fetchone():
        small.execute(f"ROLLBACK PREPARED '{gid}'")


@notices("2-prepared")
def test_a_first_load_beside_a_prepared_transaction_loses_nothing(
    small: Site, prepared: str
) -> None:
    small.run()
    small.assert_equal()
    small.add_film("Later", modified="now()")
    assert sent(small.run()) == 1
    small.execute(f"COMMIT PREPARED '{prepared}'")
    small.run()
    small.assert_equal()


def test_an_abandoned_prepared_transaction_is_warned_about_and_holds_nothing(
    small: Site, prepared: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(horizon, "ABANDONED_AFTER", timedelta(0))
    before = small.source().server.now()
    context = small.open()
    assert context.horizon > before
    (warning,) = [one.getMessage() for one in caplog.records if prepared in one.getMessage()]
    assert "never ended" in warning
    assert "load the films that it changed again" in warning


def test_what_holds_the_horizon_for_more_than_a_minute_is_logged_and_returned(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.configure(horizon_margin=3600)  # as if it had been open for an hour
    loaded.horizons.known = horizon.Known()
    with psycopg.connect(loaded.dsn, application_name="nightly dump") as other:
        other.execute("SELECT 1")
        pid = other.info.backend_pid
        since = str(other.execute("SELECT now() AT TIME ZONE 'UTC'").fetchall()[0][0])
        caplog.clear()
        held_by = loaded.open().held_by or ""
    for part in (f"pid {pid}", "nightly dump", "postgres", since[:10]):
        assert part in held_by
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [held_by in warning for warning in warnings] == [True]


def test_what_holds_the_horizon_for_less_than_a_minute_is_not_told(loaded: Site) -> None:
    with psycopg.connect(loaded.dsn) as other:
        other.execute("SELECT 1")
        assert loaded.open().held_by is None


def test_a_transaction_that_is_open_for_an_hour_delays_no_other_change(loaded: Site) -> None:
    loaded.configure(horizon_margin=3600)
    loaded.horizons.known = horizon.Known()
    with psycopg.connect(loaded.dsn) as other:
        other.execute("UPDATE content.film_work SET title = 'Late', modified = now()")
        for number in range(3):
            loaded.add_film(f"Beside it {number}", modified="now()")
            loaded.execute("UPDATE content.genre SET name = name || '!', modified = now()")
            assert sent(loaded.run()) == 7  # the six films of a genre, and the new one
            loaded.assert_equal()
        versions = loaded.versions()
        assert sent(loaded.run()) == 0
        assert loaded.versions() == versions
    loaded.run()
    loaded.assert_equal()
    assert "Late" in {document["title"] for document in loaded.documents().values()}


@pytest.mark.parametrize("hours", [timedelta(hours=2), timedelta(days=3)])
def test_after_the_clock_was_set_back_everything_is_loaded(
    loaded: Site, caplog: pytest.LogCaptureFixture, hours: timedelta
) -> None:
    # The clock said 14:00, and says 12:00 now; meanwhile a film and a genre changed at 11:59.
    now = timestamps.parse(loaded.source().server.now())
    last = RowPosition(stamp=timestamps.in_utc(now - timedelta(seconds=30)), id=NIL)
    for stream in MOVIES.streams:
        cursor = loaded.cursors.load(stream.name)
        assert cursor is not None
        loaded.cursors.save(stream.name, cursor.moved(rows=last))
    loaded.horizons.known = horizon.Known(timestamps.in_utc(now + hours))
    person = loaded.cursors.load("person")
    assert person is not None
    ahead = RowPosition(stamp=timestamps.in_utc(now + hours), id=NIL)
    loaded.cursors.save("person", person.moved(rows=ahead))
    loaded.execute(
        "UPDATE content.film_work SET title = title || '!', modified = now() - interval '1 minute'"
    )
    loaded.execute(
        "UPDATE content.genre SET name = 'Noir', modified = now() - interval '1 minute'"
        " WHERE name = 'Drama'"
    )
    caplog.clear()
    assert timestamps.parse(loaded.open().horizon) < now + timedelta(minutes=1)
    loaded.run()
    loaded.assert_equal()
    assert "Everything is loaded: the known horizon" in caplog.text
    assert "lies in the future of the database's clock" in caplog.text
    caplog.clear()
    assert sent(loaded.run()) == 0
    assert "is loaded" not in caplog.text


@pytest.mark.parametrize("wall_time", [False, True])
def test_a_stream_whose_cursor_stands_ahead_of_the_clock_is_loaded_again(
    loaded: Site, caplog: pytest.LogCaptureFixture, *, wall_time: bool
) -> None:
    # With wall time that happens when the zone is corrected: the same moment is another stamp.
    now = timestamps.parse(loaded.source().server.now())
    stamp = timestamps.in_utc(now + timedelta(hours=1))
    just_now = "now() - interval '1 minute'"
    if wall_time:
        loaded.use_wall_time()
        loaded.configure(timestamp_zone="Europe/Moscow")
        stamp = timestamps.text(now.astimezone(timezone(timedelta(hours=5))))
        just_now = f"({just_now}) AT TIME ZONE 'Europe/Moscow'"
    cursor = loaded.cursors.load("genre")
    assert cursor is not None
    loaded.cursors.save("genre", cursor.moved(rows=RowPosition(stamp=stamp, id=NIL)))
    loaded.execute(
        f"UPDATE content.genre SET name = 'Noir', modified = {just_now} WHERE name = 'Drama'"
    )
    caplog.clear()
    loaded.run()
    loaded.assert_equal()
    assert f"genre is loaded again: the cursor stands at {stamp}, ahead of" in caplog.text
    assert sent(loaded.run()) == 0
