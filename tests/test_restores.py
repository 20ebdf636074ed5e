"""A database or a table that was restored from an older backup under its old name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import ConfigurationError

from local.postgres import Postgres
from tests.conftest import ROOT
from tests.support.indices import each_index
from tests.support.site import Site, sent

BACKUP = "movies_backup"
TABLES = ("film_work", "genre", "person", "genre_film_work", "person_film_work")


@pytest.fixture(autouse=True)
def closed(site: Site, postgres: Postgres) -> Iterator[None]:
    """Close the connection that a test opened instead of the first, and drop the backup."""
    yield
    site.connection.close()
    postgres.dropdb(BACKUP)


def reconnect(site: Site) -> None:
    site.connection.close()
    site.connection = psycopg.connect(site.dsn, autocommit=True)
    site.reconnect()


def disconnect(site: Site) -> None:
    site.connection.close()
    site._reader.close()


def back_up(site: Site, postgres: Postgres) -> None:
    disconnect(site)
    postgres.dropdb(BACKUP)
    postgres.createdb(BACKUP, template="movies")
    reconnect(site)


def restore(site: Site, postgres: Postgres) -> None:
    """Put the backup in the place of the database."""
    disconnect(site)
    postgres.dropdb("movies")
    postgres.createdb("movies", template=BACKUP)
    postgres.dropdb(BACKUP)
    reconnect(site)


def restore_table(site: Site, table: str, change: str) -> None:
    """Drop a table and create it again with other rows than it had; their stamps are old."""
    site.execute(f"CREATE TABLE content.kept AS TABLE content.{table}")
    site.execute(f"UPDATE content.kept SET {change}")
    site.execute(f"DROP TABLE content.{table} CASCADE")
    for file in (ROOT / "local" / "schema.sql", ROOT / "include/sql/setup/indexes.sql"):
        for statement in filter(str.strip, file.read_text().split(";")):
            site.connection.execute(statement.encode())
    site.execute(f"INSERT INTO content.{table} SELECT * FROM content.kept")
    site.execute("DROP TABLE content.kept")


@each_index
def test_a_database_that_was_restored_from_an_older_backup_is_loaded_again(
    loaded: Site, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    back_up(loaded, postgres)
    loaded.change("Lost")
    loaded.run()
    restore(loaded, postgres)
    assert "Lost" in json.dumps(loaded.documents())
    loaded.run()
    loaded.assert_equal()
    assert "Everything is loaded: database movies was dropped and created again" in caplog.text
    assert sent(loaded.run()) == 0


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("film_work", "title = 'Old'"),
        ("genre", "name = 'Old'"),
        ("person", "full_name = 'Old'"),
        ("genre_film_work", "created = '2001-01-01'"),
        ("person_film_work", "role = 'actor' WHERE role = 'director'"),
    ],
)
def test_a_table_that_was_restored_has_everything_loaded_again(
    loaded: Site, caplog: pytest.LogCaptureFixture, table: str, change: str
) -> None:
    restore_table(loaded, table, change)
    counters = loaded.run()
    loaded.assert_equal()
    assert counters["film_work"].indexed == 7
    assert f"dropped and created again, or replaced: {table}" in caplog.text
    assert sent(loaded.run()) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM FULL content.film_work",
        "CLUSTER content.person USING person_pkey",
        "ALTER TABLE content.genre ALTER name TYPE varchar(100)",
        "REINDEX SCHEMA content",
    ],
)
def test_a_table_that_is_only_rewritten_is_not_loaded_again(loaded: Site, statement: str) -> None:
    before = loaded.versions()
    loaded.execute(statement)
    loaded.run()
    assert loaded.versions() == before


def forget(site: Site, *names: str) -> None:
    """Leave the cursors as a version of the program wrote them that did not know these names."""
    for stream, text in site.cursors.texts.items():
        cursor = json.loads(text)
        for name in names:
            del cursor["database"][name]
        site.cursors.texts[stream] = json.dumps(cursor)


@pytest.mark.parametrize("changes", [False, True])
def test_cursors_of_an_older_version_load_nothing_again_and_learn_what_is_new(
    loaded: Site, *, changes: bool
) -> None:
    loaded.execute("UPDATE content.person SET modified = '2099-01-01' WHERE full_name = 'Ann'")
    loaded.run()
    forget(loaded, "oid", "tables")
    before = loaded.versions()
    tails = [cursor.tail for cursor in map(loaded.cursors.load, loaded.cursors.texts) if cursor]
    if changes:
        loaded.change("Changed", "title = 'Film 1'")
    assert sent(loaded.run()) == changes
    assert loaded.versions().keys() == before.keys()
    known = [cursor for cursor in map(loaded.cursors.load, loaded.cursors.texts) if cursor]
    assert [cursor.tail for cursor in known] == tails
    for cursor in known:
        assert cursor.database == loaded.source().identity().database
        assert cursor.database.tables.keys() == set(TABLES)
    restore_table(loaded, "genre", "name = 'Old'")
    assert loaded.run()["film_work"].indexed == 7
    loaded.assert_equal()


@pytest.mark.parametrize("what", ["database", "table"])
def test_a_task_does_not_go_on_with_what_was_restored_during_its_run(
    loaded: Site, postgres: Postgres, what: str
) -> None:
    back_up(loaded, postgres)
    loaded.change("Changed")
    context = loaded.open()
    before = loaded.documents()
    restores: dict[str, Callable[[], None]] = {
        "database": lambda: restore(loaded, postgres),
        "table": lambda: restore_table(loaded, "person", "full_name = 'Old'"),
    }
    restores[what]()
    with pytest.raises(ConfigurationError, match=r"again.*wrote nothing; trigger a new run"):
        loaded.sync(FILM_WORK, context)
    assert loaded.documents() == before
    loaded.run()
    loaded.assert_equal()
