"""A pooler between the program and PostgreSQL: in session mode it is used, in others refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from movies_etl.airflow.hooks import MoviesPostgresHook
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres import lock, pooler
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings

from local.postgres import Postgres
from local.processes import wait_until
from tests.conftest import free_port
from tests.support.catalogue import Catalogue
from tests.support.pooler import Pooler
from tests.support.site import Site
from tests.support.tasks import Tasks


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue) -> Callable[[int], None]:
    """Return a function that lets the connection lead to a port."""
    del catalogue

    def to(port: int) -> None:
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "postgres"}
        text = json.dumps(fields | {"schema": "movies"})
        monkeypatch.setenv("AIRFLOW_CONN_MOVIES_POSTGRES", text)

    return to


@contextmanager
def pgbouncer(target: int, mode: str, servers: int) -> Iterator[int]:
    """Run a real one; skip where it is not installed."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    folder, port = Path(tempfile.mkdtemp()), free_port()
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(
        f"[databases]\nmovies = host=127.0.0.1 port={target}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users\npool_mode = {mode}\n"
        f"default_pool_size = {servers}\nlogfile = {folder}/log\n"
    )
    other_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    child = subprocess.Popen([program, "-q", *other_user, str(folder / "ini")])
    try:
        dsn = f"postgresql://postgres@127.0.0.1:{port}/movies"
        wait_until(lambda: is_there(dsn), seconds=20, what="pgbouncer takes connections")
        yield port
    finally:
        child.terminate()
        child.wait(20)
        shutil.rmtree(folder)


def is_there(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


Pool = Callable[..., int]


@pytest.fixture(params=["ours", "pgbouncer"])
def pool(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Pool]:
    """Return a function that starts a pooler and returns its port."""
    with ExitStack() as stack:

        def start(mode: Any, servers: int = 20) -> int:
            if request.param == "pgbouncer":
                return stack.enter_context(pgbouncer(postgres.port, mode, servers))
            return stack.enter_context(Pooler(postgres.port, mode, servers=servers)).port

        yield start


def settings_of(port: int) -> tuple[str, str]:
    """Return what a session of the site finds that uses the pool next."""
    dsn = f"postgresql://postgres@127.0.0.1:{port}/movies"
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as site:
        ((read_only, plans),) = site.execute(
            "SELECT current_setting('default_transaction_read_only'),"
            " current_setting('plan_cache_mode')"
        ).fetchall()
    return read_only, plans


@pytest.mark.parametrize("servers", [1, 2, 20])
def test_a_pooler_that_lends_for_a_transaction_is_refused_and_nothing_is_left_in_its_servers(
    connect: Callable[[int], None], pool: Pool, servers: int
) -> None:
    port = pool("transaction", servers)
    connect(port)
    with pytest.raises(ConfigurationError, match="pool in session mode"):
        MoviesPostgresHook().connect()
    for _ in range(servers):
        assert settings_of(port) == ("off", "auto")


@pytest.mark.parametrize("servers", [2, 3, 20])
def test_it_is_found_out_too_where_servers_are_lent_in_turns(
    connect: Callable[[int], None], postgres: Postgres, servers: int
) -> None:
    with Pooler(postgres.port, "transaction", servers=servers, newest_first=False) as pool:
        dsn = f"postgresql://postgres@127.0.0.1:{pool.port}/movies"
        with ExitStack() as stack:  # all servers of the pool are open
            for _ in range(servers):
                other = stack.enter_context(psycopg.connect(dsn))
                other.execute("SELECT 1")
        connect(pool.port)
        with pytest.raises(ConfigurationError, match="pool in session mode"):
            MoviesPostgresHook().connect()


def test_it_is_found_out_while_others_take_the_server_between_two_statements(
    connect: Callable[[int], None], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pooler._server_of
    with Pooler(postgres.port, "transaction", servers=40) as pool, ExitStack() as stack:
        dsn = f"postgresql://postgres@127.0.0.1:{pool.port}/movies"

        def asked_and_taken(session: Any) -> int:
            number = asked(session)
            stack.enter_context(psycopg.connect(dsn)).execute("SELECT 1")  # and stays open
            return number

        monkeypatch.setattr(pooler, "_server_of", asked_and_taken)
        connect(pool.port)
        with pytest.raises(ConfigurationError, match="pool in session mode"):
            MoviesPostgresHook().connect()


@pytest.mark.parametrize("servers", [2, 20])
def test_a_pooler_that_lends_for_a_session_is_used(
    connect: Callable[[int], None], pool: Pool, servers: int
) -> None:
    port = pool("session", servers)
    connect(port)
    with MoviesPostgresHook().connect() as session:
        source = Source.opened(session, MOVIES, Settings())
        lock.take(source.server, "uuid", wait=0)
        holder = source.server.lock_holder(lock.key_of("uuid"))
        assert holder is not None
        assert settings_of(port) == ("off", "auto")
    assert settings_of(port) == ("off", "auto")


def test_the_last_server_of_a_pool_in_session_mode_is_enough(
    connect: Callable[[int], None], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "FREE_SERVER_SECONDS", 0.3)
    connect(pool("session", 1))
    with MoviesPostgresHook().connect() as session:
        assert Source.opened(session, MOVIES, Settings()).count() == 0


def test_a_session_without_a_pooler_costs_one_login(
    connect: Callable[[int], None], postgres: Postgres
) -> None:
    connect(postgres.port)
    with MoviesPostgresHook().connect() as session:
        assert session.info.backend_pid == pooler._server_of(session)
        found = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'movies_etl'"
        ).fetchall()
    assert found == [(1,)]


def test_a_pooler_that_is_full_is_waited_for(
    connect: Callable[[int], None], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    get_conn = MoviesPostgresHook.get_conn

    def once(hook: MoviesPostgresHook) -> Any:
        if opened:
            raise psycopg.OperationalError("no more connections allowed (max_client_conn)")
        opened.append(get_conn(hook))
        return opened[0]

    monkeypatch.setattr(MoviesPostgresHook, "get_conn", once)
    with Pooler(postgres.port, "session") as pool:
        connect(pool.port)
        with pytest.raises(SourceUnavailableError, match="max_client_conn"):
            MoviesPostgresHook().connect()
        assert opened[0].closed


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_run_through_a_pooler(
    small: Site, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    (node,) = small.client.transport.node_pool.all()
    with Pooler(postgres.port, mode) as pool:
        tasks = Tasks(small, monkeypatch, (pool.port, node.port))
        if mode == "session":
            tasks.run()
            small.assert_equal()
            return
        with pytest.raises(ConfigurationError, match=r"movies_postgres.*pool_mode = session"):
            tasks.init()
        assert small.cursors.texts == {}
        assert not small.client.indices.get(index="movies*")
