"""Columns without time zone, in servers whose own time zone is far from UTC."""

from __future__ import annotations

import pytest
from psycopg import sql

from tests.support.site import Site, sent

TABLES = {
    "film_work": "modified",
    "genre": "modified",
    "person": "modified",
    "genre_film_work": "created",
    "person_film_work": "created",
}


def move_to(site: Site, zone: str) -> None:
    """Make the server, and every stamp of the site, show the wall time of a zone."""
    site.execute("ALTER DATABASE movies SET timezone = '" + zone + "'")
    site.connection.execute(sql.SQL("SET timezone = {}").format(sql.Literal(zone)))
    site.reconnect()
    for table, column in TABLES.items():
        site.execute(f"ALTER TABLE content.{table} ALTER COLUMN {column} TYPE timestamp")


def edit_everything(site: Site) -> None:
    """Change a film, a genre and a person, and add a link, all at the wall time of the zone."""
    site.execute(
        "UPDATE content.film_work SET rating = 9.9, modified = now() WHERE title = 'Film 1'"
    )
    site.execute(
        "UPDATE content.genre SET name = name || '!', modified = now() WHERE name ~ 'Drama'"
    )
    site.execute(
        "UPDATE content.person SET full_name = full_name || '!', modified = now()"
        " WHERE full_name ~ 'Ann'"
    )
    film = site.add_film("Fresh", modified="now()")
    site.label(film, site.add_genre("Fresh", modified="now()"), created="now()")
    site.cast(film, site.add_person("Fresh", modified="now()"), created="now()")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_wall_time_in_the_zone_that_the_setting_names(
    small: Site, zone: str, caplog: pytest.LogCaptureFixture
) -> None:
    move_to(small, zone)
    small.configure(timestamp_zone=zone)
    small.execute("UPDATE content.film_work SET modified = now() WHERE title = 'Film 2'")
    assert sent(small.run()) == 7
    small.assert_equal()
    counters = small.run()
    assert [c.read for c in counters.values()] == [0, 0, 0]  # all of it lies below the horizon
    edit_everything(small)
    counters = small.run()
    small.assert_equal()
    assert sent(counters) == 7  # six of the persons, among them the film and the genre; and the new
    counters = small.run()
    assert [c.read for c in counters.values()] == [0, 0, 0]
    assert not [record for record in caplog.records if "TIMESTAMP_ZONE to" in record.message]
    cursor = small.cursors.load("film_work")
    assert cursor is not None
    assert cursor.rows is not None
    assert cursor.rows.stamp[-6:] in ("+09:00", "-05:00", "-04:00")


def test_stamps_of_a_wrong_zone_in_the_future_are_warned_about_and_nothing_is_lost(
    small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    move_to(small, "Asia/Tokyo")
    small.configure(timestamp_zone="UTC")
    small.execute("UPDATE content.film_work SET modified = now() WHERE title = 'Film 2'")
    small.run()
    small.assert_equal()
    assert "MOVIES_ETL_TIMESTAMP_ZONE to the zone that the site writes" in caplog.text
    assert "Table film_work" in caplog.text
    for _ in range(2):
        edit_everything(small)
        small.run()
        small.assert_equal()
        assert sent(small.run()) == 0


def test_the_server_s_zone_does_not_matter_to_stamps_with_zone(small: Site) -> None:
    small.execute("ALTER DATABASE movies SET timezone = 'Asia/Tokyo'")
    small.reconnect()
    assert sent(small.run()) == 7
    edit_everything(small)
    small.run()
    small.assert_equal()
    cursor = small.cursors.load("film_work")
    assert cursor is not None
    assert cursor.rows is not None
    assert cursor.rows.stamp.endswith("+00:00")
    counters = small.run()
    assert [c.read for c in counters.values()] == [0, 0, 0]
