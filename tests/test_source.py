"""Reading PostgreSQL: its session, its zones, and what is said when it refuses or goes away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import FILM_WORK, GENRE, MOVIES
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.source import Row, Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Position
from movies_etl.state.layout import Layout

from local.postgres import Postgres
from local.processes import wait_until
from tests.support.catalogue import NIL, Catalogue


@pytest.fixture
def reader(postgres: Postgres, catalogue: Catalogue) -> Iterator[psycopg.Connection]:
    """A session of a role that may read the catalogue and nothing else."""
    postgres.createuser("reader")
    catalogue.execute("GRANT USAGE ON SCHEMA content TO reader")
    catalogue.execute("GRANT SELECT ON ALL TABLES IN SCHEMA content TO reader")
    dsn = catalogue.dsn.replace("postgres@", "reader@")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def test_the_session_is_put_in_order_whatever_the_databases_defaults(catalogue: Catalogue) -> None:
    for setting in (
        *("timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "extra_float_digits = 0"),
        *("random_page_cost = 4", "idle_in_transaction_session_timeout = '1s'"),
        *("cursor_tuple_fraction = 0.1", "transaction_timeout = '30s'"),
    ):
        catalogue.execute(f"ALTER DATABASE movies SET {setting}")
    wanted = {
        "timezone": "UTC",
        "datestyle": "ISO, DMY",
        "extra_float_digits": "1",
        "jit": "off",
        "random_page_cost": "1.1",
        "cursor_tuple_fraction": "1",
        "idle_in_transaction_session_timeout": "1h",
        "transaction_timeout": "0",
        "work_mem": "32MB",
    }
    with psycopg.connect(catalogue.dsn, autocommit=True) as connection:
        Source.opened(connection, MOVIES, Settings())
        shown = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in wanted}
    assert shown == {name: (value,) for name, value in wanted.items()}


@pytest.mark.parametrize(("given", "kept"), [("5MB", "5MB"), ("64MB", "64MB"), ("4MB", "32MB")])
def test_a_work_mem_other_than_the_default_stays(
    catalogue: Catalogue, reader: psycopg.Connection, given: str, kept: str
) -> None:
    catalogue.execute(f"ALTER ROLE reader SET work_mem = '{given}'")
    with psycopg.connect(reader.info.dsn, autocommit=True) as connection:
        Source.opened(connection, MOVIES, Settings())
        assert connection.execute("SHOW work_mem").fetchone() == (kept,)


def test_the_server_lets_a_vanished_worker_go_within_two_minutes(catalogue: Catalogue) -> None:
    with psycopg.connect(catalogue.dsn, autocommit=True) as connection:
        Source.opened(connection, MOVIES, Settings())
        found = connection.execute(
            "SELECT name, setting::int FROM pg_settings WHERE name LIKE 'tcp_%'"
        ).fetchall()
    seconds: dict[str, int] = dict(found)
    silent = seconds["tcp_keepalives_idle"] + (
        seconds["tcp_keepalives_interval"] * seconds["tcp_keepalives_count"]
    )
    assert 0 < silent <= 120
    assert 0 < seconds["tcp_user_timeout"] / 1000 <= 120  # with an answer on its way


def test_the_session_of_a_killed_process_ends_amid_a_query(catalogue: Catalogue) -> None:
    killed = psycopg.connect(catalogue.dsn, autocommit=True)
    Source.opened(killed, MOVIES, Settings())
    pid = killed.info.backend_pid
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND query LIKE %s"
    killed.pgconn.send_query(b"SELECT pg_sleep(600)")

    def count() -> int:
        row = catalogue.connection.execute(sessions, [pid, "SELECT pg_sleep(600)"]).fetchone()
        return row[0] if row else 0

    wait_until(lambda: count() == 1, seconds=60, what="the query")
    killed.pgconn.finish()  # closes the socket and cancels nothing
    wait_until(lambda: count() == 0, seconds=60, what="the end of the session")


def test_the_source_cannot_write(catalogue: Catalogue) -> None:
    source = catalogue.source()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        source.queries.connection.execute("DELETE FROM content.film_work")


def test_a_role_that_may_only_read_is_enough(
    catalogue: Catalogue, reader: psycopg.Connection
) -> None:
    film = catalogue.add_film()
    source = Source.opened(reader, MOVIES, Settings())
    assert [row.id for row in source.changed(FILM_WORK.rows, None, None, 10)] == [film]
    assert [one.id for piece in source.documents([film])[1] for one in piece] == [film]
    assert source.count() == 1


def test_where_the_cluster_may_not_be_known_the_database_is_known_by_name(
    catalogue: Catalogue, reader: psycopg.Connection
) -> None:
    catalogue.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    source = Source.opened(reader, MOVIES, Settings())
    database = source.server.identity().database
    assert (database.name, database.system_identifier, database.timeline) == ("movies", None, None)
    assert source.count() == 0  # the refusal has not harmed the session


def test_columns_that_were_learned_of_other_tables_are_asked_again(
    reader: psycopg.Connection,
) -> None:
    learned = Source.opened(reader, GENRES, Settings()).layout
    known = learned.model_copy(update={"is_earlier": True})
    found = Source.opened(reader, MOVIES, Settings(), known).layout.oids.keys()
    assert found > known.oids.keys()


def test_a_table_that_may_not_be_read_is_named_before_anything_is_read(
    catalogue: Catalogue, reader: psycopg.Connection
) -> None:
    catalogue.execute("REVOKE ALL ON content.person FROM reader")
    with pytest.raises(ConfigurationError, match=r"may not read content\.person") as caught:
        Source.opened(reader, MOVIES, Settings())
    assert "connection movies_postgres" in str(caught.value)


def test_all_that_does_not_fit_is_named_with_the_database(catalogue: Catalogue) -> None:
    catalogue.execute("ALTER TABLE content.film_work RENAME COLUMN modified TO updated_at")
    catalogue.execute("DROP TABLE content.genre_film_work")
    with pytest.raises(ConfigurationError) as caught:
        catalogue.source()
    said = str(caught.value)
    assert said.startswith("Database movies (connection movies_postgres) does not fit: ")
    assert "column content.film_work.modified is missing, it has updated_at (" in said
    assert "table content.genre_film_work is missing" in said


def test_a_view_in_place_of_a_table_is_refused(catalogue: Catalogue) -> None:
    catalogue.execute("ALTER TABLE content.genre RENAME TO kind")
    catalogue.execute("CREATE VIEW content.genre AS TABLE content.kind")
    with pytest.raises(ConfigurationError, match=r"content\.genre is missing.*a view is not"):
        catalogue.source()


def test_a_partitioned_table_fits(catalogue: Catalogue) -> None:
    catalogue.drop_constraints("f")
    catalogue.execute("DROP TABLE content.genre")
    catalogue.execute(
        "CREATE TABLE content.genre (id uuid, name text, modified timestamptz)"
        " PARTITION BY HASH (id)"
    )
    catalogue.execute(
        "CREATE TABLE content.genre_0 PARTITION OF content.genre"
        " FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
    )
    genre = catalogue.add_genre()
    source = catalogue.source()
    assert [row.id for row in source.changed(GENRE.rows, None, None, 10)] == [genre]


def test_a_lost_connection_is_waited_for_and_says_where_it_goes_on(catalogue: Catalogue) -> None:
    source = catalogue.source()
    catalogue.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(2):
        with pytest.raises(SourceUnavailableError, match=r"movies_postgres.*root/count\.sql"):
            source.count()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("idle_in_transaction_session_timeout", "idle-in-transaction timeout"),
        ("transaction_timeout", "transaction timeout"),
    ],
)
def test_a_session_that_is_ended_amid_documents_may_be_tried_again(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, setting: str, reason: str
) -> None:
    monkeypatch.setattr("movies_etl.postgres.source.FETCHED_ROWS", 1)
    films = [catalogue.add_film() for _ in range(2)]
    with psycopg.connect(catalogue.dsn, autocommit=True) as connection:
        source = Source.opened(connection, MOVIES, Settings())
        _version, pieces = source.documents(films)
        next(pieces)
        connection.execute(f"SET {setting} = 100".encode())
        wait_until(lambda: is_gone(catalogue, connection), seconds=30, what="the session ends")
        with pytest.raises(SourceUnavailableError, match=rf"documents\.sql.*{reason}"):
            next(pieces)


def is_gone(catalogue: Catalogue, connection: psycopg.Connection) -> bool:
    """Whether PostgreSQL has ended a session; the session itself is not asked."""
    found = catalogue.execute(
        "SELECT FROM pg_stat_activity WHERE pid = %s", connection.info.backend_pid
    )
    return found.rowcount == 0


def test_a_query_that_waits_too_long_may_be_tried_again(catalogue: Catalogue) -> None:
    source = catalogue.source()
    source.queries.connection.execute("SET lock_timeout = 50")
    with psycopg.connect(catalogue.dsn) as other:
        other.execute("LOCK content.film_work IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceUnavailableError, match="lock timeout"):
            source.count()
    assert source.count() == 0


@pytest.mark.parametrize(
    ("stamp", "key"),
    [("2026-13-01T00:00:00.000000+00:00", NIL), ("2026-01-01T00:00:00.000000+00:00", "tt1")],
)
def test_a_position_that_postgresql_cannot_read_is_no_transient_error(
    catalogue: Catalogue, stamp: str, key: str
) -> None:
    source = catalogue.source()
    position = Position.model_construct(stamp=stamp, id=key)
    upto = source.below(FILM_WORK.rows, source.server.now())
    with pytest.raises(ConfigurationError, match=r"refused feed/page\.sql.*cursor\."):
        source.changed(FILM_WORK.rows, position, None, 10)
    with pytest.raises(ConfigurationError, match=r"refused feed/ids\.sql.*cursor\."):
        source.changed_ids(FILM_WORK.rows, position, upto, 10)
    assert source.count() == 0


def test_an_id_with_a_nul_is_refused_and_is_not_two_ids(catalogue: Catalogue) -> None:
    catalogue.use_text_ids()
    film = catalogue.add_film(id="tt1")
    with pytest.raises(ConfigurationError, match="NUL"):
        list(catalogue.source().documents([f"{film}\0{film}"])[1])


def test_an_id_that_is_no_uuid_is_refused_with_its_value(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match='"tt0111161"'):
        list(catalogue.source().documents(["tt0111161"])[1])


def test_films_are_told_from_those_that_are_gone_whatever_their_ids_were(
    catalogue: Catalogue,
) -> None:
    films = [catalogue.add_film() for _ in range(2)]
    source = catalogue.source()
    assert source.existing([films[0], "tt0111161", ""]) == {films[0]}
    assert source.existing([]) == set()


def test_a_bound_is_brought_into_the_time_of_the_column(catalogue: Catalogue) -> None:
    moment = "2026-07-01T12:00:00.500000+00:00"
    with_zone = catalogue.source("Europe/Berlin")
    assert with_zone.below(FILM_WORK.rows, moment) == Position(stamp=moment, id=NIL)
    catalogue.retype("film_work", "modified", "timestamp")
    without = catalogue.source("Europe/Berlin")
    assert without.below(FILM_WORK.rows, moment) == Position(
        stamp="2026-07-01T14:00:00.500000+02:00", id=NIL
    )
    assert without.below(GENRE.rows, moment) == Position(stamp=moment, id=NIL)


def test_a_bound_is_exclusive_of_its_moment_for_every_uuid_but_the_lowest(
    catalogue: Catalogue,
) -> None:
    catalogue.add_film(modified="2026-07-01 12:00:00+00")
    before = catalogue.add_film(modified="2026-07-01 11:59:59.999999+00")
    source = catalogue.source()
    upto = source.below(FILM_WORK.rows, "2026-07-01T12:00:00.000000+00:00")
    assert [row.id for row in source.changed(FILM_WORK.rows, None, upto, 10)] == [before]


def test_rows_below_a_bound_on_the_wall_are_those_written_before_it(catalogue: Catalogue) -> None:
    catalogue.retype("film_work", "modified", "timestamp")
    catalogue.execute("SET timezone = 'Europe/Berlin'")
    early = catalogue.add_film(modified="2026-07-01 13:59:59")
    catalogue.add_film(modified="2026-07-01 14:00:00")
    source = catalogue.source("Europe/Berlin")
    upto = source.below(FILM_WORK.rows, "2026-07-01T12:00:00.000000+00:00")
    assert [row.id for row in source.changed(FILM_WORK.rows, None, upto, 10)] == [early]


def test_a_row_without_a_time_has_no_position(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match=r"row f1 of table film_work has no place in time"):
        catalogue.source().position(FILM_WORK.rows, Row("f1", None, "1", "f1"))


def test_films_have_no_films_of_their_own(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="film_work"):
        catalogue.source().fanned_out(FILM_WORK, [], None, 10)


def test_documents_of_one_snapshot_come_in_pieces_and_the_session_may_be_used_between_them(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.postgres.source.FETCHED_ROWS", 3)
    films = [catalogue.add_film("Before") for _ in range(7)]
    source = catalogue.source()
    version, pieces = source.documents(films)
    read = [next(pieces)]
    catalogue.execute("UPDATE content.film_work SET title = 'After'")
    read.append(next(pieces))
    assert source.server.clock() > version
    read += pieces
    assert [len(piece) for piece in read] == [3, 3, 1]
    assert {one.id for piece in read for one in piece} == set(films)
    assert all(b'"title":"Before"' in one.text for piece in read for one in piece)


def test_documents_that_nobody_wants_any_more_leave_no_transaction_open(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.postgres.source.FETCHED_ROWS", 1)
    films = [catalogue.add_film() for _ in range(3)]
    source = catalogue.source()
    _version, pieces = source.documents(films)
    next(pieces)
    pieces.close()
    assert source.queries.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert len(list(source.documents(films)[1])) == 3


def test_films_of_any_text_id_are_found_by_it(catalogue: Catalogue) -> None:
    catalogue.use_text_ids()
    ids = [
        "plain",
        "",
        " ",
        "a,b",
        'say "so"',
        "back\\slash\\",
        "{brace}",
        "NULL",
        "two\nlines",
        "'",
    ]
    for film in ids:
        catalogue.add_film(id=film)
    _version, pieces = catalogue.source().documents(ids)
    assert sorted(one.id for piece in pieces for one in piece) == sorted(ids)
    assert list(catalogue.source().documents([])[1]) == []


# -- what init learned of the catalogue ------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that were asked since."""
    files: list[str] = []
    rows = Queries.rows

    def noted(self: Queries, file: str, *args: Any, **named: Any) -> list[tuple[Any, ...]]:
        files.append(file)
        return rows(self, file, *args, **named)

    monkeypatch.setattr(Queries, "rows", noted)
    return files


def test_what_init_learned_of_the_columns_is_not_asked_again(
    catalogue: Catalogue, reader: psycopg.Connection, asked: list[str]
) -> None:
    learned = Source.opened(reader, MOVIES, Settings()).layout
    catalogue.add_film()
    catalogue.execute("ANALYZE")
    asked.clear()
    handed_over = Layout.model_validate_json(learned.model_dump_json())
    assert Source.opened(reader, MOVIES, Settings(), handed_over).layout == learned
    assert asked == ["cluster.sql", "tables.sql"]


@pytest.mark.parametrize(
    "changes",
    [
        # PostgreSQL rewrites no row for this one
        ["SET timezone = 'UTC'", "ALTER TABLE content.film_work ALTER modified TYPE timestamp"],
        ["ALTER TABLE content.genre ADD other int"],
        [
            "CREATE TABLE content.new (LIKE content.genre INCLUDING ALL)",
            "ALTER TABLE content.genre RENAME TO old",
            "ALTER TABLE content.new RENAME TO genre",
        ],
        ["ALTER SCHEMA content RENAME TO aside", "CREATE SCHEMA content"],
    ],
    ids=["type", "column", "table", "schema"],
)
def test_after_a_change_the_columns_are_asked_again(
    catalogue: Catalogue, reader: psycopg.Connection, asked: list[str], changes: list[str]
) -> None:
    learned = Source.opened(reader, MOVIES, Settings()).layout
    for change in changes:
        catalogue.execute(change)
    asked.clear()
    with suppress(ConfigurationError):  # of the last one: no such tables
        source = Source.opened(reader, MOVIES, Settings(), learned)
        assert source.layout.model_copy(update={"visible": learned.visible}) != learned
    assert asked == ["cluster.sql", "tables.sql", "columns.sql"]


def test_with_other_settings_the_columns_are_asked_again(
    catalogue: Catalogue, asked: list[str]
) -> None:
    with psycopg.connect(catalogue.dsn, autocommit=True) as connection:
        learned = Source.opened(connection, MOVIES, Settings()).layout
        asked.clear()
        source = Source.opened(connection, MOVIES, Settings(timestamp_zone="Asia/Tokyo"), learned)
    assert source.layout.zone == "Asia/Tokyo"
    assert asked == ["cluster.sql", "columns.sql"]
