"""Pages and documents that are read on a streaming standby; the primary decides everything."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from movies_etl.airflow.reindex_tasks import prepare_task
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres import assembly
from movies_etl.postgres import replica as replicas
from movies_etl.postgres import source as sources
from movies_etl.postgres.queries import Names, Queries
from movies_etl.postgres.replica import LogEnd, Replica, ReplicaSource
from movies_etl.settings import Settings

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.processes import wait_until
from tests.conftest import DATA
from tests.support.following import expect, following
from tests.support.protections import notices
from tests.support.rebuild import Rebuild
from tests.support.servers import ROOT
from tests.support.site import Site
from tests.support.standby import Standby
from tests.support.tasks import Tasks

NAME = "movies_replica"
NO_DELAY = {"max_standby_streaming_delay": "0"}
"""What the primary does wins at once over queries of the standby."""


def standby_of(primary: Postgres, name: str) -> Iterator[Standby]:
    server = Standby(primary, DATA / name, NO_DELAY)
    server.remove()  # what a run of the tests that was killed has left follows another primary
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def shared_standby(durable: Postgres) -> Iterator[Standby]:
    yield from standby_of(durable, "standby")


@pytest.fixture
def standby(shared_standby: Standby) -> Iterator[Standby]:
    """A standby that replays; it is not to be promoted."""
    shared_standby.start()
    shared_standby.come_along()
    yield shared_standby
    if shared_standby.running:
        shared_standby.resume()


@pytest.fixture
def doomed(durable: Postgres) -> Iterator[Standby]:
    """A standby for one test, which may promote it."""
    yield from standby_of(durable, "doomed")


@pytest.fixture
def tasks(
    durable_site: Site,
    durable: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Tasks:
    """The tasks of a site whose films were loaded from the primary."""
    durable_site.add_small_catalogue()
    tasks = Tasks(durable_site, monkeypatch, (durable.port, elasticsearch_node.port))
    tasks.run()
    return tasks


def read_on(
    tasks: Tasks,
    server: Postgres,
    wait: float = 60,
    login: str = "postgres",
    schema: str = "movies",
) -> None:
    """Read pages on a server, the wait for which is far longer than it takes."""
    tasks.connect(NAME, "postgres", server.port, login=login, schema=schema)
    tasks.configure(replica_conn_id=NAME, replica_wait=str(wait))


@pytest.fixture
def replicated(tasks: Tasks, standby: Standby) -> Tasks:
    """The tasks, which read the standby."""
    read_on(tasks, standby)
    return tasks


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The files of queries that were asked, by connection."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    rows, pieces = Queries.rows, Queries.pieces

    def noted_rows(self: Any, file: str, names: Names | None = None, **values: object) -> Any:
        found[self._conn_id].add(file)
        return rows(self, file, names, **values)

    def noted_pieces(self: Any, file: str, size: int, **values: object) -> Any:
        found[self._conn_id].add(file)
        return pieces(self, file, size, **values)

    monkeypatch.setattr(Queries, "rows", noted_rows)
    monkeypatch.setattr(Queries, "pieces", noted_pieces)
    return found


def on_the_primary(results: dict[str, dict[str, Any]]) -> int:
    """Return how often the primary was read in place of the replica."""
    return sum(one.get("without_replica", 0) for one in results.values())


def while_waiting(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> None:
    """Let something happen when a task waits for the replica, in place of the time that passes."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: happening())
    monkeypatch.setattr(replicas, "time", clock)


def amid_documents(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> None:
    """Let something happen once, when the first document of a page was read on the replica."""
    assembled = assembly.assembled
    left = [happening]

    def one_by_one(
        queries: Queries, file: str, size: int, ids: Sequence[str]
    ) -> Generator[list[assembly.Assembled], None, None]:
        assert size
        with closing(assembled(queries, file, 1, ids)) as pieces:
            for piece in pieces:
                yield piece
                if left and queries._conn_id == NAME:
                    left.pop()()

    monkeypatch.setattr(sources, "assembled", one_by_one)


# -- what is read where ----------------------------------------------------------------------------


@pytest.mark.long
def test_pages_and_documents_are_read_on_the_replica_and_the_primary_decides(
    replicated: Tasks, durable_site: Site, asked: dict[str, set[str]]
) -> None:
    site = durable_site
    for number in range(3):
        site.add_film(f"Film {number}")
        site.change(f"Changed {number}", "text LIKE 'Film%%'")
        site.execute("UPDATE content.genre SET name = name || '+', modified = now()")
        assert on_the_primary(replicated.run()) == 0
        site.assert_equal()
    pages = {"feed/ids.sql", "feed/page.sql", "feed/fan_out.sql", "movies/documents.sql"}
    assert pages <= asked[NAME]
    assert not pages & asked["movies_postgres"]
    decisions = {"lock.sql", "clock.sql", "activity.sql", "prepared.sql", "log_end.sql"}
    assert decisions <= asked["movies_postgres"]
    assert not decisions & asked[NAME]


def test_a_run_before_which_nothing_was_committed_reads_nothing_on_the_replica(
    replicated: Tasks, durable_site: Site, asked: dict[str, set[str]]
) -> None:
    durable_site.add_film()
    replicated.run()
    context = replicated.init()
    asked.clear()
    for stream in durable_site.definition.streams:
        replicated.sync(stream, context)
    assert asked[NAME] == set()


def replica_on(standby: Standby, wait: float = 60) -> Replica:
    """Return the program's view of a standby, without Airflow."""
    settings = Settings(replica_conn_id=NAME, replica_wait=wait)
    return Replica(lambda: psycopg.connect(standby.dsn("movies"), autocommit=True), settings)


def test_a_run_that_goes_on_reads_the_replica_or_the_primary_if_it_stays_behind(
    tasks: Tasks, durable_site: Site, standby: Standby, asked: dict[str, set[str]]
) -> None:
    site = durable_site
    film = site.add_film("Before")
    tasks.run()
    with (
        closing(replica_on(standby, wait=0.5)) as replica,
        following(site, replica=replica) as task,
    ):
        site.change("Followed", "text = 'Before'")
        expect(site, "Followed", film)
        assert "movies/documents.sql" in asked[NAME]
        standby.pause()
        site.change("Behind", "text = 'Followed'")
        expect(site, "Behind", film)
        standby.resume()
        assert not task.result.done()
    site.assert_equal()


@pytest.mark.long
def test_a_range_of_a_rebuild_is_loaded_from_the_replica(
    tasks: Tasks, durable_site: Site, standby: Standby, asked: dict[str, set[str]]
) -> None:
    assert tasks
    site = durable_site
    with closing(replica_on(standby)) as site.replica:
        rebuild = Rebuild(site)
        plan = rebuild.begin()
        asked.clear()
        for part in rebuild.split(plan):
            assert rebuild.load(plan, part)["indexed"] == len(site.expected())
    assert "movies/documents.sql" in asked[NAME]
    assert "movies/documents.sql" not in asked["movies_postgres"]


def test_candidates_of_the_reconcile_are_read_again_on_the_primary(
    tasks: Tasks, durable_site: Site, standby: Standby, asked: dict[str, set[str]]
) -> None:
    assert tasks
    site = durable_site
    film = site.add_film("Deleted", modified="now()")
    tasks.run()
    standby.pause()
    site.execute("DELETE FROM content.film_work WHERE id = %s", film)
    with closing(replica_on(standby)) as site.replica:
        site.reconcile("presence")
    assert asked[NAME] == set()
    site.assert_equal()


# -- a replica that is behind ----------------------------------------------------------------------


@notices("20")
def test_a_replica_that_is_behind_is_waited_for(
    replicated: Tasks, durable_site: Site, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = durable_site
    (film,) = site.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    standby.pause()
    site.execute("UPDATE content.film_work SET title = 'Newer', modified = now()")
    read_on(replicated, standby, wait=0)
    replicated.run()
    while_waiting(monkeypatch, standby.resume)
    read_on(replicated, standby)
    result = replicated.run(ids=[film])
    assert result["film_work"]["read"] > 0
    site.assert_equal()
    assert on_the_primary(result) == 0


def test_a_replica_that_stays_behind_is_not_read(
    replicated: Tasks, durable_site: Site, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    site = durable_site
    standby.pause()
    site.change("Newer")
    site.execute("UPDATE content.person SET full_name = full_name || '!', modified = now()")
    read_on(replicated, standby, wait=0.1)
    assert on_the_primary(replicated.run()) == 3
    site.assert_equal()
    assert f"replica (connection {NAME}) has not replayed within 0.1 s" in caplog.text
    assert "read from the primary" in caplog.text
    standby.resume()
    read_on(replicated, standby)
    site.change("Newest")
    assert on_the_primary(replicated.run()) == 0
    site.assert_equal()


def test_the_end_of_the_log_is_where_a_standby_stands_that_has_all_of_it(
    durable_site: Site, standby: Standby
) -> None:
    """Behind a switch of segments the next record would come after a header of 40 bytes."""
    site = durable_site
    queries = site.source().queries

    def written() -> int:
        query = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        return int((site.execute(query).fetchone() or (0,))[0])

    def end_behind_a_switch() -> Decimal | None:
        site.execute("SELECT pg_current_xact_id()")
        site.execute("SELECT pg_switch_wal()")
        before = written()
        ((timeline, place),) = queries.rows("log_end.sql")
        assert timeline == 1
        return place if before == written() and before % 2**24 == 40 else None

    found: list[Decimal] = []

    def is_found() -> bool:
        found.extend(filter(None, [end_behind_a_switch()]))
        return bool(found)

    wait_until(is_found, seconds=60, what="nobody else writes")
    assert found[0] % 2**24 == 0
    query = "SELECT pg_last_wal_replay_lsn() - '0/0'::pg_lsn >= %s"
    wait_until(lambda: standby.ask(query, found[0]), seconds=60, what="it is replayed")


# -- a replica that shows a commit before the primary ----------------------------------------------


@notices("20-first")
def test_what_only_the_replica_shows_is_read_again(
    replicated: Tasks, durable_site: Site, standby: Standby
) -> None:
    """A commit that waits for another standby is replayed by this one, and not visible before."""
    site = durable_site
    site.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    site.execute("SELECT pg_reload_conf()")
    wait_until(lambda: _setting(site) == "nobody", seconds=60, what="the setting")
    waiting = psycopg.connect(site.dsn, autocommit=True)
    try:
        rename = "UPDATE content.genre SET name = name || ' first', modified = now()"
        waiting.pgconn.send_query(rename.encode())
        query = "SELECT count(*) FROM content.genre WHERE right(name, 6) = ' first'"
        wait_until(
            lambda: _on(standby, query) > 0, seconds=60, what="the replica shows the new names"
        )
        assert site.execute(query).fetchall() == [(0,)]
        assert on_the_primary(replicated.run()) == 0
        assert replicated_names(site)
        standby.stop("immediate")
        context = replicated.init()
        replicated.sync(FILM_WORK, context, ids=[*site.documents()])
        assert not replicated_names(site)
    finally:
        site.execute("ALTER SYSTEM RESET synchronous_standby_names")
        site.execute("SELECT pg_reload_conf()")
        while waiting.pgconn.is_busy():
            waiting.pgconn.consume_input()
        waiting.close()
    assert site.execute(query).fetchall() != [(0,)]
    for stream in site.definition.streams[1:]:
        replicated.sync(stream, context)
    replicated.run()
    site.assert_equal()


def replicated_names(site: Site) -> bool:
    """Whether every document that has genres shows their new names."""
    found = [one["genres"] for one in site.documents().values() if one["genres"]]
    return all(name.endswith(" first") for names in found for name in names)


def _setting(site: Site) -> str:
    with psycopg.connect(site.dsn) as fresh:
        return str((fresh.execute("SHOW synchronous_standby_names").fetchone() or ("",))[0])


def _on(standby: Standby, query: str) -> int:
    with psycopg.connect(standby.dsn("movies"), autocommit=True) as connection:
        return int((connection.execute(query).fetchone() or (0,))[0])


# -- a replica that goes away ----------------------------------------------------------------------


def test_without_the_replica_the_primary_is_read(
    replicated: Tasks, durable_site: Site, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    site = durable_site
    standby.stop()
    site.change("Newer")
    assert on_the_primary(replicated.run()) == 3
    assert f"connection {NAME}) cannot be reached" in caplog.text
    site.assert_equal()


def stop(site: Site, standby: Standby) -> None:
    """End the standby without a word, as a machine that is lost."""
    del site
    standby.stop("immediate")


def conflict(site: Site, standby: Standby) -> None:
    """Let the primary lock a table that the standby's query reads."""
    with psycopg.connect(site.dsn) as connection:
        connection.execute("LOCK TABLE content.film_work IN ACCESS EXCLUSIVE MODE")
    standby.come_along()


@pytest.mark.parametrize("happening", [stop, conflict])
def test_a_page_that_is_lost_on_the_replica_is_read_on_the_primary(
    replicated: Tasks,
    durable_site: Site,
    standby: Standby,
    monkeypatch: pytest.MonkeyPatch,
    happening: Callable[[Site, Standby], None],
) -> None:
    site = durable_site
    site.change("Newer")
    amid_documents(monkeypatch, lambda: happening(site, standby))
    monkeypatch.setattr("movies_etl.airflow.servers.RECONNECT_PAUSE_SECONDS", 0.0)
    results = replicated.run()
    assert results["film_work"]["without_replica"] == 1
    site.assert_equal()


@pytest.mark.long
def test_nothing_is_sent_of_what_a_promoted_replica_shows(
    tasks: Tasks,
    durable_site: Site,
    doomed: Standby,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = durable_site
    doomed.come_along()
    read_on(tasks, doomed)
    site.change("Newer")
    amid_documents(monkeypatch, doomed.promote)
    monkeypatch.setattr("movies_etl.airflow.servers.RECONNECT_PAUSE_SECONDS", 0.0)
    results = tasks.run()
    assert results["film_work"]["without_replica"] == 1
    assert f"Connection {NAME} leads to no standby: it was promoted" in caplog.text
    site.assert_equal()
    with psycopg.connect(doomed.dsn("movies"), autocommit=True) as other:
        other.execute("UPDATE content.film_work SET title = 'Of another branch', modified = now()")
    site.change("Newest", "text = 'Newer'")
    assert on_the_primary(tasks.run()) == 3
    site.assert_equal()


def replica_source(*standing: object) -> ReplicaSource:
    """Return a replica that stands somewhere, beside a primary whose log is of timeline 2."""

    class Standing(Queries):
        def __init__(self) -> None:
            """Need no connection."""

        def rows(self, file: str, names: Names | None = None, **values: object) -> Any:
            assert (file, names, values) == ("replayed.sql", None, {"place": Decimal(7)})
            return [standing]

    class Primary:
        server = definition = layout = None

    primary: Any = Primary()
    return ReplicaSource(Standing(), primary, NAME, LogEnd(2, Decimal(7)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("standing", "error", "said"),
    [
        ((False, False, None, True), SourceUnavailableError, "leads to no standby"),
        ((True, False, None, True), SourceUnavailableError, "receives nothing"),
        ((True, True, None, True), ConfigurationError, "GRANT pg_read_all_stats"),
        ((True, True, 1, True), SourceUnavailableError, "timeline 1, the primary .* writes 2"),
        ((True, True, 3, True), SourceUnavailableError, "timeline 3, the primary .* writes 2"),
    ],
)
def test_a_replica_that_does_not_follow_the_primary_is_not_read(
    standing: tuple[object, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=f"{NAME}.*{said}"):
        replica_source(*standing).has_caught_up()


@pytest.mark.parametrize("is_replayed", [True, False])
def test_a_replica_that_follows_the_primary_is_asked_how_far_it_is(is_replayed: bool) -> None:
    assert replica_source(True, True, 2, is_replayed).has_caught_up() is is_replayed


def test_a_replica_that_failed_is_left_alone_for_a_minute(
    durable_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, now = [], [1000.0]

    def connect() -> Any:
        tried.append(now[0])
        raise SourceUnavailableError("Away.")

    monkeypatch.setattr(replicas, "time", SimpleNamespace(monotonic=lambda: now[0]))
    replica = Replica(connect, Settings(replica_conn_id=NAME))
    primary = durable_site.source()
    for moment in (1000.0, 1001.0, 1059.9, 1060.0):
        now[0] = moment
        assert replica.caught_up(primary) is primary
    assert tried == [1000.0, 1060.0]


# -- connections and rights ------------------------------------------------------------------------


def refused_at_once(tasks: Tasks, site: Site, said: str) -> None:
    """Expect that the first task of a run and of a rebuild refuses, and has written nothing."""
    site.change("Newer")
    cursors, indices = dict(site.cursors.texts), site.client.indices.get(index="*")
    horizons = site.horizons.load()
    for first in (tasks.init, partial(prepare_task(site.definition).function, run_id="a rebuild")):
        with pytest.raises(ConfigurationError, match=said):
            first()
    assert site.cursors.texts == cursors
    assert site.horizons.load() == horizons
    assert site.client.indices.get(index="*").keys() == indices.keys()


def test_a_replica_of_another_server_is_refused(
    tasks: Tasks, durable_site: Site, postgres: Postgres
) -> None:
    postgres.createdb("movies")
    read_on(tasks, postgres)
    refused_at_once(tasks, durable_site, f"Connection {NAME} leads to database movies of")


def test_another_database_of_the_same_server_is_refused(
    replicated: Tasks, durable_site: Site, standby: Standby
) -> None:
    read_on(replicated, standby, schema="postgres")
    refused_at_once(replicated, durable_site, f"Connection {NAME} leads to database postgres")


def test_the_primary_is_no_replica(
    tasks: Tasks, durable_site: Site, durable: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    read_on(tasks, durable)
    durable_site.change("Newer")
    assert on_the_primary(tasks.run()) == 3
    assert f"Connection {NAME} leads to no standby" in caplog.text
    durable_site.assert_equal()


def test_a_replica_that_airflow_does_not_know_is_refused(tasks: Tasks, durable_site: Site) -> None:
    tasks.configure(replica_conn_id="nobody_knows")
    refused_at_once(tasks, durable_site, "Airflow has no connection nobody_knows")


def test_an_idle_run_says_that_the_replica_is_away(
    replicated: Tasks, standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    standby.stop()
    replicated.init()
    assert f"connection {NAME}) cannot be reached" in caplog.text


def test_the_rights_that_the_program_has_are_enough(
    replicated: Tasks, durable_site: Site, durable: Postgres, standby: Standby
) -> None:
    site = durable_site
    durable.createuser("movies_etl")
    grants = (ROOT / "include/sql/setup/grants.sql").read_text()
    for statement in filter(str.strip, grants.split(";")):
        site.execute(statement)
    try:
        replicated.connect(
            "movies_postgres", "postgres", durable.port, login="movies_etl", schema="movies"
        )
        read_on(replicated, standby, login="movies_etl")
        site.change("Newer")
        assert on_the_primary(replicated.run()) == 0
        site.assert_equal()
        site.execute("REVOKE pg_read_all_stats FROM movies_etl")
        site.change("Newest")
        with pytest.raises(ConfigurationError, match="GRANT pg_read_all_stats"):
            replicated.run()
    finally:
        site.execute("DROP OWNED BY movies_etl")
        site.execute("DROP ROLE movies_etl")
