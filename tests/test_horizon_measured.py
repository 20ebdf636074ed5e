"""The measured horizon: what holds it back, what does not, and that it never goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.horizon import (
    ABANDONED_AFTER,
    Activity,
    Epoch,
    Known,
    Measured,
    Prepared,
    measure,
)
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import in_utc, parse
from movies_etl.settings import Settings

from local.postgres import Postgres
from local.processes import wait_until
from tests.support.catalogue import Catalogue

NOTHING = Known()
MARGIN = timedelta(seconds=5)
NONE = timedelta(0)
Session = psycopg.Connection


@pytest.fixture
def session(catalogue: Catalogue) -> Iterator[Callable[..., Session]]:
    """Open sessions of a site; they are in a transaction as soon as they do anything."""
    opened: list[Session] = []

    def open_session(
        role: str = "postgres", application: str = "site", database: str = "movies"
    ) -> Session:
        dsn = catalogue.dsn.replace("postgres@", f"{role}@").replace("/movies", f"/{database}")
        opened.append(psycopg.connect(dsn, application_name=application))
        return opened[-1]

    yield open_session
    for connection in opened:
        connection.close()


OpenSession = Callable[..., Session]


def began(connection: Session) -> datetime:
    """Begin a transaction; return when, by the database's clock."""
    (at,) = connection.execute("SELECT now()").fetchone() or (None,)
    assert isinstance(at, datetime)
    return at


def measured(source: Source, known: Known = NOTHING, margin: timedelta = MARGIN) -> Measured:
    return measured_by(source.server, known, margin)


def measured_by(server: Server, known: Known = NOTHING, margin: timedelta = MARGIN) -> Measured:
    return measure(server, margin, known, wait=timedelta(0))


def test_when_nothing_is_open_the_horizon_is_the_clock_less_the_margin(
    catalogue: Catalogue,
) -> None:
    found = measured(catalogue.source())
    assert parse(found.horizon) == parse(found.now) - MARGIN
    assert found.held_by is None
    assert found.abandoned == []
    assert found.epochs == ()


def test_an_open_transaction_holds_it_at_its_beginning(
    catalogue: Catalogue, session: OpenSession
) -> None:
    writer = session(application="nightly dump")
    start = began(writer)
    found = measured(catalogue.source())
    assert parse(found.horizon) == start - MARGIN
    assert f"pid {writer.info.backend_pid}" in (found.held_by or "")
    assert "nightly dump" in (found.held_by or "")
    writer.commit()
    assert parse(measured(catalogue.source()).horizon) > start - MARGIN


def test_the_oldest_of_several_holds_it(catalogue: Catalogue, session: OpenSession) -> None:
    starts = [began(session()) for _ in range(3)]
    assert parse(measured(catalogue.source()).horizon) == starts[0] - MARGIN


def test_a_row_that_is_committed_later_is_not_below_it(
    catalogue: Catalogue, session: OpenSession
) -> None:
    writer = session()
    writer.execute(
        "INSERT INTO content.film_work (id, title, type, modified)"
        " VALUES (gen_random_uuid(), 'Late', 'movie', now())"
    )
    found = measured(catalogue.source())
    writer.commit()
    (stamp,) = catalogue.execute("SELECT modified FROM content.film_work").fetchone() or (None,)
    assert isinstance(stamp, datetime)
    assert stamp >= parse(found.horizon)


def test_an_idle_session_does_not_hold_it(catalogue: Catalogue, session: OpenSession) -> None:
    idle = session()
    began(idle)
    idle.rollback()
    assert measured(catalogue.source()).held_by is None


def test_a_transaction_in_another_database_does_not_hold_it(
    catalogue: Catalogue, session: OpenSession
) -> None:
    began(session(database="postgres"))
    assert measured(catalogue.source()).held_by is None


def test_the_programs_own_sessions_do_not_hold_it(
    catalogue: Catalogue, session: OpenSession
) -> None:
    began(session(application="movies_etl person"))
    assert measured(catalogue.source()).held_by is None


def test_the_programs_name_in_another_role_does_not_let_it_pass(
    catalogue: Catalogue, session: OpenSession, postgres: Postgres
) -> None:
    postgres.createuser("writer")
    start = began(session(role="writer", application="movies_etl person"))
    assert parse(measured(catalogue.source()).horizon) == start - MARGIN


def test_roles_that_never_write_may_be_left_out(
    catalogue: Catalogue, session: OpenSession, postgres: Postgres
) -> None:
    postgres.createuser("reporting")
    start = began(session(role="reporting"))
    with psycopg.connect(catalogue.dsn, autocommit=True) as connection:
        settings = Settings(horizon_ignore=("reporting",))
        assert measured(Source.opened(connection, MOVIES, settings)).held_by is None
    assert parse(measured(catalogue.source()).horizon) == start - MARGIN


def test_it_never_goes_back(catalogue: Catalogue, session: OpenSession) -> None:
    began(session())
    known = measured(catalogue.source()).now
    later = in_utc(parse(known) + timedelta(hours=1))
    for before in (known, later):
        assert measured(catalogue.source(), Known(before)).horizon == before


@pytest.fixture
def prepared(session: OpenSession, catalogue: Catalogue) -> Iterator[datetime]:
    """A prepared transaction; when it was prepared."""
    writer = session()
    writer.autocommit = True
    writer.execute("BEGIN")
    writer.execute("INSERT INTO content.genre (id, name) VALUES (gen_random_uuid(), 'Two-phase')")
    writer.execute("PREPARE TRANSACTION 'import 7'")
    try:
        (at,) = catalogue.execute("SELECT prepared FROM pg_prepared_xacts").fetchone() or (None,)
        assert isinstance(at, datetime)
        yield at
    finally:
        catalogue.execute("ROLLBACK PREPARED 'import 7'")


def test_while_a_prepared_transaction_waits_it_stands_still(
    catalogue: Catalogue, prepared: datetime
) -> None:
    known = in_utc(prepared - timedelta(minutes=3))
    found = measured(catalogue.source(), Known(known))
    assert found.horizon == known
    assert "import 7 of postgres" in (found.held_by or "")


def test_beside_a_prepared_transaction_the_first_run_begins_an_hour_before_it(
    catalogue: Catalogue, prepared: datetime
) -> None:
    assert parse(measured(catalogue.source()).horizon) == prepared - timedelta(hours=1)


class Told:
    """Transactions as a test tells them."""

    def __init__(
        self,
        now: str = "2026-01-01T12:00:00.000000+00:00",
        prepared: tuple[Prepared, ...] = (),
        hidden: int = 0,
        epochs: tuple[Epoch, ...] = (),
    ) -> None:
        self.now = now
        self.prepared = prepared
        self.hidden = hidden
        self.epochs = list(epochs)

    def activity(self) -> Activity:
        return Activity(self.now, self.now, self.hidden, None)

    def prepared_transactions(self) -> list[Prepared]:
        return list(self.prepared)

    def virtual_transactions(self) -> Epoch:
        return self.epochs.pop(0) if len(self.epochs) > 1 else self.epochs[0]


def test_a_prepared_transaction_that_was_forgotten_no_longer_holds_it() -> None:
    old = Prepared("forgotten", "2026-01-01T10:59:59.000000+00:00", "ann")
    found = measure(Told(prepared=(old,)), MARGIN, Known("2026-01-01T09:00:00.000000+00:00"))
    assert found.abandoned == [old]
    assert found.horizon == "2026-01-01T11:59:55.000000+00:00"
    assert timedelta(hours=1) == ABANDONED_AFTER


def test_a_forgotten_one_beside_one_that_waits_does_not_let_it_pass() -> None:
    old = Prepared("forgotten", "2026-01-01T10:00:00.000000+00:00", "ann")
    waits = Prepared("fresh", "2026-01-01T11:59:00.000000+00:00", "bob")
    known = "2026-01-01T11:30:00.000000+00:00"
    found = measure(Told(prepared=(old, waits)), MARGIN, Known(known))
    assert found.horizon == known
    assert found.abandoned == [old]
    assert "fresh of bob" in (found.held_by or "")


@pytest.fixture
def vacuum(catalogue: Catalogue) -> Iterator[str]:
    """Autovacuum at work in a table of the catalogue, and slow about it; its transaction."""
    catalogue.fill(10_000)
    catalogue.execute(
        "ALTER TABLE content.film_work SET (autovacuum_vacuum_threshold = 1,"
        " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_limit = 1,"
        " autovacuum_vacuum_cost_delay = 100)"
    )
    catalogue.execute("ALTER SYSTEM SET autovacuum_naptime = 1")
    catalogue.execute("SELECT pg_reload_conf()")
    try:
        catalogue.execute("UPDATE content.film_work SET rating = 1")
        wait_until(lambda: bool(vacuums(catalogue)), seconds=60, what="autovacuum begins")
        yield vacuums(catalogue)[0]
    finally:
        catalogue.execute("ALTER SYSTEM RESET autovacuum_naptime")
        catalogue.execute("SELECT pg_reload_conf()")


def vacuums(catalogue: Catalogue) -> list[str]:
    """Return the transactions in which autovacuum works on the catalogue's films."""
    rows = catalogue.execute(
        "SELECT l.virtualtransaction FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
        " WHERE l.locktype = 'virtualxid' AND a.backend_type = 'autovacuum worker'"
        " AND a.datname = current_database() AND a.query LIKE '%%VACUUM%%content.film_work%%'"
    ).fetchall()
    return [transaction for (transaction,) in rows]


def test_autovacuum_does_not_hold_it(catalogue: Catalogue, vacuum: str) -> None:
    assert measured(catalogue.source()).held_by is None
    assert vacuums(catalogue) == [vacuum]  # it was at work all the while


# -- a role that may not see when others began ----------------------------------------------------


@pytest.fixture
def blind(catalogue: Catalogue, postgres: Postgres) -> Iterator[Server]:
    postgres.createuser("blind")
    dsn = catalogue.dsn.replace("postgres@", "blind@")
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Server(Queries(connection, Settings().include_dir / "sql", "content"))


def test_without_the_right_to_see_others_it_passes_a_moment_when_all_open_then_are_gone(
    session: OpenSession, blind: Server
) -> None:
    writer = session()
    start = began(writer)
    first = measured_by(blind)
    assert parse(first.horizon) < start
    assert "pg_read_all_stats" in (first.held_by or "")
    second = measured_by(blind, Known(first.horizon, first.epochs))
    assert second.horizon == first.horizon
    writer.commit()
    began(writer)  # another transaction of the same session
    third = measured_by(blind, Known(second.horizon, second.epochs))
    assert parse(third.horizon) == parse(second.epochs[-1].now) - MARGIN


def test_without_that_right_a_row_committed_later_is_not_below_it(
    catalogue: Catalogue, session: OpenSession, blind: Server
) -> None:
    known = NOTHING
    for round_ in range(5):
        writer = session()
        writer.execute(
            "INSERT INTO content.genre (id, name, modified) VALUES (gen_random_uuid(), %s, now())",
            (f"Genre {round_}",),
        )
        found = measured_by(blind, known)
        known = Known(found.horizon, found.epochs)
        writer.commit()
        (stamp,) = catalogue.execute(
            "SELECT modified FROM content.genre WHERE name = %s", f"Genre {round_}"
        ).fetchone() or (None,)
        assert isinstance(stamp, datetime)
        assert stamp >= parse(found.horizon)


def test_without_that_right_autovacuum_does_not_hold_it_either(
    catalogue: Catalogue, vacuum: str, blind: Server
) -> None:
    assert vacuum not in blind.virtual_transactions().transactions
    assert vacuums(catalogue) == [vacuum]


# -- a role that hides when it began --------------------------------------------------------------


@pytest.fixture
def quiet(catalogue: Catalogue, session: OpenSession, postgres: Postgres) -> Session:
    """A session of a role that is not tracked; it may turn that on."""
    postgres.createuser("importer")
    catalogue.execute("ALTER ROLE importer SUPERUSER")
    catalogue.execute("ALTER ROLE importer SET track_activities = off")
    return session(role="importer")


@pytest.mark.parametrize("tracked_from_now_on", [False, True])
def test_a_transaction_that_is_not_tracked_holds_it_until_it_ends(
    catalogue: Catalogue, quiet: Session, tracked_from_now_on: bool
) -> None:
    source = catalogue.source()
    before = measured(source, margin=NONE)
    quiet.execute(
        "INSERT INTO content.genre (id, name, modified) VALUES (gen_random_uuid(), 'Late', now())"
    )
    if tracked_from_now_on:
        quiet.execute("SET track_activities = on")
    held = measured(source, Known(before.horizon, before.epochs), NONE)
    quiet.commit()
    (stamp,) = catalogue.execute("SELECT modified FROM content.genre").fetchone() or (None,)
    assert isinstance(stamp, datetime)
    assert stamp >= parse(held.horizon)
    assert held.horizon == before.horizon
    assert "track_activities" in (held.held_by or "")
    after = measured(source, Known(held.horizon, held.epochs), NONE)
    assert parse(after.horizon) > stamp


def test_an_idle_session_that_is_not_tracked_does_not_keep_it_back(
    catalogue: Catalogue, quiet: Session
) -> None:
    began(quiet)
    quiet.commit()
    found = measured(catalogue.source())
    assert parse(found.horizon) >= parse(found.now) - MARGIN


def test_moments_that_are_remembered_are_few() -> None:
    known = NOTHING
    for minute in range(50):
        now = f"2026-01-01T12:{minute:02}:00.000000+00:00"
        told = Told(now, hidden=1, epochs=(Epoch(now=now, transactions=("3/7", f"4/{minute}")),))
        found = measure(told, MARGIN, known, wait=timedelta(0))
        known = Known(found.horizon, found.epochs)
    assert len(known.epochs) <= 10
    assert known.epochs[0].now == "2026-01-01T12:00:00.000000+00:00"
    assert known.epochs[-1].now == "2026-01-01T12:49:00.000000+00:00"
