"""What holds the horizon back delays nobody, and is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import psycopg
import pytest
from movies_etl import horizon

from tests.site import Site, sent


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
    monkeypatch.setattr(horizon, "ABANDONED", horizon.timedelta(0))
    before = small.source().now()
    window = small.open()
    assert window.horizon > before
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


def test_after_a_restore_the_horizon_is_measured_anew(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    now = horizon.parse(loaded.source().now())
    ahead = horizon.in_utc(now + 2 * horizon.FUTURE)
    loaded.horizons.known = horizon.Known(ahead)
    caplog.clear()
    assert loaded.open().horizon < ahead
    assert "lies in the future" in caplog.text
