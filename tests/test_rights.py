"""What the reading role may see: all of it, or it is said which right is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import ConfigurationError

from local.postgres import Postgres
from tests.support.site import Site, sent

TABLES = ("film_work", "genre", "person", "genre_film_work", "person_film_work")


@pytest.fixture
def read(small: Site, postgres: Postgres) -> Iterator[Site]:
    """The small site, read by a role that may only read."""
    postgres.createuser("reader")
    small.execute("GRANT USAGE ON SCHEMA content TO reader")
    small.execute("GRANT SELECT ON ALL TABLES IN SCHEMA content TO reader")
    small.read_as("reader")
    yield small
    small.execute("ALTER ROLE reader NOBYPASSRLS")


def hide(site: Site, table: str) -> None:
    """Hide the rows of a table from everybody but its owner."""
    site.execute(f"ALTER TABLE content.{table} ENABLE ROW LEVEL SECURITY")
    site.execute(f"CREATE POLICY nobody ON content.{table} USING (false)")


def remedy(message: str, statement: str) -> str:
    """Return the statement that a message tells."""
    found = re.search(rf"\(({statement}[^;)]*)", message)
    assert found, message
    return found[1]


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_are_hidden_are_no_empty_catalogue(read: Site, table: str) -> None:
    hide(read, table)
    with pytest.raises(ConfigurationError, match=rf"may hide rows of content\.{table} ") as caught:
        read.run()
    assert not read.client.indices.get(index="movies*")
    assert read.cursors.texts == {}
    read.execute(remedy(str(caught.value), "ALTER ROLE"))
    read.run()
    read.assert_equal()


def test_rows_that_are_hidden_later_are_left_in_the_index(read: Site) -> None:
    read.run()
    before, cursors = read.documents(), dict(read.cursors.texts)
    hide(read, "person")
    hide(read, "film_work")
    with pytest.raises(ConfigurationError, match=r"content\.film_work .*content\.person "):
        read.run()
    assert (read.documents(), read.cursors.texts) == (before, cursors)
    read.execute("ALTER ROLE reader BYPASSRLS")
    assert sent(read.run()) == 0


@pytest.mark.parametrize("table", ["person", "genre_film_work"])
def test_rows_that_are_hidden_while_a_task_runs_stop_it(
    read: Site, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    read.run()
    before = read.documents()
    read.change("Changed")
    source = read.source()
    hide(read, table)
    monkeypatch.setattr(read, "source", lambda **_: source)
    context = read.open()
    with pytest.raises(ConfigurationError, match=rf'row-level security policy for table "{table}"'):
        read.sync(FILM_WORK, context)
    assert read.documents() == before


def test_the_owner_of_a_table_sees_its_rows_unless_they_are_hidden_from_it_too(
    read: Site,
) -> None:
    for table in TABLES:
        hide(read, table)
        read.execute(f"ALTER TABLE content.{table} OWNER TO reader")
    read.run()
    read.assert_equal()
    read.execute("ALTER TABLE content.genre FORCE ROW LEVEL SECURITY")
    with pytest.raises(ConfigurationError, match=r"may hide rows of content\.genre "):
        read.run()


@pytest.mark.parametrize("table", TABLES)
def test_rights_by_columns_are_not_enough_and_the_right_that_is_is_told(
    read: Site, table: str
) -> None:
    columns = read.execute(
        "SELECT string_agg(attname, ', ') FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0",
        f"content.{table}",
    ).fetchall()[0][0]
    read.execute(f"REVOKE ALL ON content.{table} FROM reader")
    read.execute(f"GRANT SELECT ({columns}) ON content.{table} TO reader")
    with pytest.raises(ConfigurationError, match=rf"may not read content\.{table} ") as caught:
        read.run()
    assert read.cursors.texts == {}
    read.execute(remedy(str(caught.value), "GRANT SELECT"))
    read.run()
    read.assert_equal()


def test_a_schema_that_may_not_be_used_is_told_with_the_right(read: Site) -> None:
    read.execute("REVOKE ALL ON SCHEMA content FROM reader")
    with pytest.raises(ConfigurationError, match="may not use schema content") as caught:
        read.run()
    read.execute(remedy(str(caught.value), "GRANT USAGE"))
    read.run()
    read.assert_equal()
