"""What ``init`` notices in a catalogue that it can read: warned of once, with the step that
helps."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.timestamps import text

from local.postgres import Postgres
from local.processes import wait_until
from tests.support.catalogue import Catalogue
from tests.support.indices import each_index, over
from tests.support.servers import TEMPLATE
from tests.support.site import Site


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "movies_etl.state.notices")
    return caplog


def hours_pass(site: Site, hours: float) -> None:
    """Let the last look have been so long ago."""
    kept = site.notices.kept
    assert kept
    at = datetime.fromisoformat(kept.at) - timedelta(hours=hours)
    site.notices.kept = kept.model_copy(update={"at": text(at)})


def noticed(site: Site, log: pytest.LogCaptureFixture) -> list[str]:
    """Run ``init``; return what it warned of."""
    log.clear()
    site.open()
    return [record.message for record in log.records if record.levelname == "WARNING"]


@each_index
def test_of_a_catalogue_as_it_should_be_nothing_is_noticed(
    small: Site, log: pytest.LogCaptureFixture
) -> None:
    assert noticed(small, log) == []
    small.run()
    small.execute("ANALYZE")
    assert noticed(small, log) == []
    assert small.notices.kept is not None
    assert small.notices.kept.notices == ()


# -- indexes ---------------------------------------------------------------------------------------


def without_indexes(site: Site) -> None:
    site.drop_constraints("u")
    for (index,) in site.execute(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relnamespace = 'content'::regnamespace AND NOT indisunique"
    ).fetchall():
        site.execute(f"DROP INDEX {index}")


def make_indexes(site: Site, notice: str) -> None:
    """Run the statements that a notice tells."""
    for statement in re.findall(r"CREATE INDEX [^;]*\)", notice):
        site.execute(statement)


@each_index
def test_missing_indexes_are_told_once_by_the_statements_that_make_them(
    small: Site, log: pytest.LogCaptureFixture
) -> None:
    without_indexes(small)
    (notice,) = noticed(small, log)
    assert notice.count("CREATE INDEX CONCURRENTLY ON content.") == len(small.definition.read_by)
    small.run()
    assert noticed(small, log) == []
    make_indexes(small, notice)
    assert noticed(small, log) == []
    assert "No longer so: The catalogue lacks indexes" in log.text
    without_indexes(small)
    hours_pass(small, 1)
    assert noticed(small, log) == [notice]


def test_another_missing_index_is_told_anew(small: Site, log: pytest.LogCaptureFixture) -> None:
    small.execute("DROP INDEX content.film_work_modified_id")
    (first,) = noticed(small, log)
    assert first.endswith("by: CREATE INDEX CONCURRENTLY ON content.film_work (modified, id)")
    small.execute("DROP INDEX content.genre_film_work_genre_film")
    (second,) = noticed(small, log)
    assert (
        second
        == f"{first}; CREATE INDEX CONCURRENTLY ON content.genre_film_work (genre_id, film_work_id)"
    )


@over(GENRES)
@pytest.mark.parametrize("name", ["genre", 'Genre "100%"'])
def test_the_statements_fit_other_names_and_partitioned_tables(
    site: Site, log: pytest.LogCaptureFixture, name: str
) -> None:
    modified = psycopg.sql.Identifier(name).as_string()
    site.execute("DROP TABLE content.genre CASCADE")
    site.execute(
        "CREATE TABLE content.genre (id uuid NOT NULL, name text, description text,"
        f" {modified.replace('%', '%%')} timestamptz) PARTITION BY HASH (id)"
    )
    for part in range(2):
        site.execute(
            f"CREATE TABLE content.genre_{part} PARTITION OF content.genre"
            f" FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
        )
    site.configure(modified_column=name)
    (notice,) = noticed(site, log)
    statement = f"CREATE INDEX ON content.genre ({name if name == 'genre' else modified}, id)"
    assert notice.endswith(f"makes them by: {statement}")
    site.connection.execute(statement.encode())
    assert noticed(site, log) == []


def test_where_nothing_was_noticed_the_next_look_is_an_hour_later(
    site: Site, log: pytest.LogCaptureFixture
) -> None:
    assert noticed(site, log) == []
    assert site.queries["check/subscriptions.sql"] == 1
    site.execute("DROP INDEX content.film_work_modified_id")
    hours_pass(site, 0.9)
    assert noticed(site, log) == []
    assert site.queries["check/subscriptions.sql"] == 1
    hours_pass(site, 0.2)
    (notice,) = noticed(site, log)
    assert "content.film_work (modified, id)" in notice
    site.execute("CREATE INDEX ON content.film_work (modified, id)")
    assert noticed(site, log) == []  # known ones are looked at in every run
    assert site.queries["check/subscriptions.sql"] == 3
    hours_pass(site, -2)  # the clock was set back
    noticed(site, log)
    assert site.queries["check/subscriptions.sql"] == 4


# -- ids -------------------------------------------------------------------------------------------


def statements(message: str) -> list[str]:
    return re.findall(r"((?:UPDATE|ALTER TABLE) [^;]*?)(?:;|\.? *$)", message)


@each_index
@pytest.mark.parametrize("table", ["genre_film_work", "person_film_work", "person", "genre"])
def test_rows_without_id_are_refused_with_the_statements_that_give_them_one(
    small: Site, table: str
) -> None:
    if table not in small.definition.required:
        return
    small.drop_constraints("f")
    small.execute(f"ALTER TABLE content.{table} DROP CONSTRAINT {table}_pkey CASCADE")
    small.execute(f"ALTER TABLE content.{table} ALTER id DROP NOT NULL")
    small.execute(f"UPDATE content.{table} SET id = NULL")
    with pytest.raises(ConfigurationError, match=f"content.{table} has rows without id") as caught:
        small.run()
    assert not small.client.indices.get(index="*")
    assert small.cursors.texts == {}
    told = statements(str(caught.value))
    assert len(told) == 2
    for statement in told:
        small.execute(statement)
    small.run()
    small.assert_equal()


def test_ids_that_nothing_makes_unique_are_noticed(
    small: Site, log: pytest.LogCaptureFixture
) -> None:
    small.execute("ALTER TABLE content.genre_film_work DROP CONSTRAINT genre_film_work_pkey")
    (notice,) = noticed(small, log)
    assert notice.startswith("Nothing makes the ids of content.genre_film_work unique")
    small.run()
    small.assert_equal()
    (statement,) = statements(notice)
    small.execute(statement)
    assert noticed(small, log) == []


# -- roles -----------------------------------------------------------------------------------------


@over(MOVIES, PERSONS)
def test_roles_of_another_spelling_are_noticed_when_none_is_known(
    small: Site, log: pytest.LogCaptureFixture
) -> None:
    small.execute("UPDATE content.person_film_work SET role = upper(left(role, 1))")
    (notice,) = noticed(small, log)
    assert "content.person_film_work.role has a value that documents show" in notice
    assert "(actor, director, writer)" in notice
    assert "'A', 'D', 'W'" in notice
    small.run()
    assert noticed(small, log) == []
    small.execute("UPDATE content.person_film_work SET role = 'actor' WHERE role = 'A'")
    assert noticed(small, log) == []


@over(MOVIES, PERSONS)
def test_some_roles_of_another_spelling_are_noticed_when_the_table_was_analysed(
    small: Site, log: pytest.LogCaptureFixture
) -> None:
    small.execute("UPDATE content.person_film_work SET role = 'Writer ' WHERE role = 'writer'")
    small.execute("ANALYZE content.person_film_work")
    (notice,) = noticed(small, log)
    assert "'Writer '" in notice
    small.execute("UPDATE content.person_film_work SET role = 'producer' WHERE role = 'Writer '")
    small.execute("ANALYZE content.person_film_work")
    assert noticed(small, log) == []


@over(MOVIES, PERSONS)
def test_no_roles_at_all_are_no_notice(small: Site, log: pytest.LogCaptureFixture) -> None:
    small.execute("UPDATE content.person_film_work SET role = NULL")
    assert noticed(small, log) == []
    small.execute("DELETE FROM content.person_film_work")
    assert noticed(small, log) == []


# -- replication -----------------------------------------------------------------------------------


@pytest.fixture
def origin(postgres: Postgres) -> Iterator[Catalogue]:
    """A catalogue to whose rows others may subscribe, in a database of the same server."""
    postgres.dropdb("publisher")
    postgres.createdb("publisher", template=TEMPLATE)
    dsn = postgres.dsn("publisher")
    with psycopg.connect(dsn, autocommit=True) as connection:
        origin = Catalogue(dsn, connection)
        yield origin
        origin.close()


@contextmanager
def subscribed(site: Site, origin: Catalogue, tables: str) -> Iterator[None]:
    """Let the site's database get the rows of tables from the publisher."""
    origin.execute(f"CREATE PUBLICATION site FOR TABLE {tables}")
    # By hand: within one server CREATE SUBSCRIPTION would wait for its own transaction.
    origin.execute("SELECT pg_create_logical_replication_slot('mirror', 'pgoutput')")
    site.execute(
        f"CREATE SUBSCRIPTION mirror CONNECTION '{origin.dsn}' PUBLICATION site"
        " WITH (create_slot = false, copy_data = false)"
    )
    try:
        yield
    finally:
        site.execute("DROP SUBSCRIPTION mirror")


def arrived(site: Site, film: str) -> None:
    """Wait until a film has come from the publisher."""
    wait_until(
        lambda: bool(site.execute("SELECT FROM content.film_work WHERE id = %s", film).fetchall()),
        seconds=60,
        what="the film arrives",
    )


def test_a_subscriber_is_noticed_a_long_margin_loses_nothing_and_touched_finds_what_others_lose(
    site: Site, origin: Catalogue, log: pytest.LogCaptureFixture
) -> None:
    with subscribed(site, origin, "content.film_work"):
        (notice,) = noticed(site, log)
        assert "by logical replication (subscription mirror)" in notice
        assert "MOVIES_ETL_HORIZON_MARGIN" in notice
        for margin, is_found in ((0, False), (3600, True)):
            site.configure(horizon_margin=margin)
            with psycopg.connect(origin.dsn) as slow:
                film = str(site.new_id())
                slow.execute(
                    "INSERT INTO content.film_work (id, title, type, modified)"
                    " VALUES (%s, 'Of a longer transaction', 'movie', now())",
                    (film,),
                )
                other = origin.add_film("Committed before it", modified="now()")
                arrived(site, other)
                site.run()
                site.reconcile("touched")
            arrived(site, film)
            site.run()
            assert (film in site.documents()) == is_found
            site.reconcile("touched")
            site.assert_equal()
        assert noticed(site, log) == []
    assert noticed(site, log) == []
    assert "No longer so: Database movies gets its rows" in log.text


@pytest.mark.parametrize(
    ("table", "is_noticed"), [("public.other", False), ("content.genre_0", True)]
)
def test_only_a_subscription_to_tables_of_the_catalogue_or_partitions_of_them_is_noticed(
    site: Site, origin: Catalogue, log: pytest.LogCaptureFixture, table: str, is_noticed: bool
) -> None:
    for catalogue in (site, origin):
        catalogue.execute("DROP TABLE content.genre CASCADE")
        catalogue.execute("CREATE TABLE public.other (id int PRIMARY KEY)")
        catalogue.execute(
            "CREATE TABLE content.genre (id uuid PRIMARY KEY, name text, description text,"
            " modified timestamptz) PARTITION BY HASH (id)"
        )
        catalogue.execute(
            "CREATE TABLE content.genre_0 PARTITION OF content.genre"
            " FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        )
        catalogue.execute("CREATE INDEX ON content.genre (modified, id)")
    with subscribed(site, origin, table):
        assert ["logical replication" in notice for notice in noticed(site, log)] == (
            [True] if is_noticed else []
        )
