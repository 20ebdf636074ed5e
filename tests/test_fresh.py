"""What tests rely on: a database that a test has altered does not reach the next one."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.fresh import FreshDatabase


def state(dsn: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_class WHERE oid = to_regclass('content.film_work')"
        ).fetchone() or (0,)
        rows = connection.execute("TABLE content.film_work").fetchall() if count else None
        names = connection.execute(
            "SELECT relname, relacl FROM pg_class"
            " WHERE relnamespace::regnamespace::text = 'content'"
            " UNION ALL SELECT typname, typacl FROM pg_type"
            " WHERE typnamespace::regnamespace::text = 'content' ORDER BY 1"
        ).fetchall()
        columns = connection.execute(
            "SELECT attrelid::regclass::text, attname, atttypid, attnotnull FROM pg_attribute"
            " WHERE attrelid::regclass::text LIKE 'content.%' ORDER BY 1, 2"
        ).fetchall()
        return rows, names, columns, connection.execute("SHOW timezone").fetchone()


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO content.film_work (id, title, type) VALUES (gen_random_uuid(), '', '')",
        "ALTER TABLE content.film_work ALTER COLUMN title DROP NOT NULL",
        "ALTER TABLE content.person ADD COLUMN born date",
        "DROP INDEX content.film_work_modified_id",
        "CREATE TYPE content.role AS ENUM ('actor')",
        "GRANT SELECT ON content.film_work TO PUBLIC",
        "DROP TABLE content.person_film_work",
        "DROP SCHEMA content CASCADE",
        "ALTER DATABASE movies SET timezone = 'Asia/Tokyo'",
        "CREATE VIEW content.films AS TABLE content.film_work",
    ],
)
def test_the_next_test_does_not_see_a_change(fresh_database: FreshDatabase, change: str) -> None:
    dsn = fresh_database.emptied()
    before = state(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(change.encode())
    assert state(dsn) != before
    assert state(fresh_database.emptied()) == before


def test_sessions_that_a_test_left_are_ended(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database.emptied()
    with psycopg.connect(dsn) as left:
        left.execute("LOCK content.film_work")
        fresh_database.emptied()
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")


def test_an_unaltered_database_is_not_made_again(fresh_database: FreshDatabase) -> None:
    def made() -> object:
        with psycopg.connect(fresh_database.emptied()) as connection:
            return connection.execute(
                "SELECT oid FROM pg_database WHERE datname = current_database()"
            ).fetchone()

    assert made() == made()
