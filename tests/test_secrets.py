"""Secrets of the connections are nowhere but in the connections, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from local.airflow import PROGRAM
from local.airflow_settings import USER
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from local.rest import call
from tests.conftest import DATA, free_port
from tests.support.certificates import Authority
from tests.support.guarded import basic, guarded
from tests.support.proxy import Proxy, answer
from tests.support.scheduled import NEVER, PATIENCE, Scheduled, running_airflow
from tests.support.site import Site
from tests.support.tls_postgres import TlsPostgres

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PASSWORD = "pl4nted-password-of-postgres"  # noqa: S105 - here to be looked for
WRONG = "pl4nted-but-wrong-password"
KEY = base64.b64encode(b"id:pl4nted-key-of-elasticsearch").decode()
WRONG_KEY = base64.b64encode(b"id:pl4nted-but-wrong-key").decode()
ANN = "pl4nted-password-of-ann"
PLANTED = (PASSWORD, WRONG, KEY, WRONG_KEY, ANN)


QUESTIONS = ("freshness", "lookup?words=film", "why?id=x", "letters", "day", "search?words=film")


def forms() -> set[str]:
    """Return each secret as it is, as in a URL, and as in a header."""
    plain = {*PLANTED, *(basic("ann", ANN).split())[1:]}
    return plain | {quote(one, safe="") for one in plain} | {encoded(one) for one in plain}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def strict_postgres(authority: Authority) -> Iterator[TlsPostgres]:
    """A PostgreSQL that refuses the wrong password."""
    server = TlsPostgres(DATA / "strict-postgres", port=free_port())
    server.start()
    try:
        server.present(authority.issue())
        yield server
    finally:
        server.stop()


@pytest.fixture
def refusing(elasticsearch_node: Elasticsearch, authority: Authority) -> Iterator[Proxy]:
    """An Elasticsearch behind TLS that lets nobody in."""
    with guarded(elasticsearch_node.port, authority.issue(), []) as proxy:
        yield proxy


@pytest.fixture
def failing(elasticsearch_node: Elasticsearch) -> Iterator[Proxy]:
    """An Elasticsearch that fails on every bulk request."""
    with Proxy(elasticsearch_node.port, http=True) as proxy:
        proxy.plan(answer(500, {"error": "broken"}), b"/_bulk", times=float("inf"))
        yield proxy


class Case(NamedTuple):
    """The fields of both connections."""

    postgres: dict[str, Any]
    elasticsearch: dict[str, Any]

    def other_index(self, changes: dict[str, Any]) -> Case:
        """Return it with other fields of Elasticsearch's."""
        return Case(self.postgres, self.elasticsearch | changes)


class Installation:
    """An Airflow whose connections are in its database, so that they may change while it runs."""

    def __init__(self, scheduled: Scheduled, folder: Path) -> None:
        self.scheduled = scheduled
        self._file = folder / "connections.json"

    def run(self, run: str, case: Case) -> str:
        """Run the DAG over these connections; return how it ended."""
        connections = {
            f"movies_{kind}": {"conn_type": kind, "host": "127.0.0.1"} | fields
            for kind, fields in case._asdict().items()
        }
        self._file.write_text(json.dumps(connections))
        subprocess.run(
            [PROGRAM, "connections", "import", "--overwrite", self._file],
            env=self.scheduled.settings.environment(),
            check=True,
            capture_output=True,
            timeout=120,
        )
        return self.scheduled.trigger(run).state

    def page(self) -> dict[str, str]:
        """Return what the page tells over the present connections, by question."""
        settings = self.scheduled.settings
        login = {"username": USER, "password": settings.password()}
        token = call("POST", f"{settings.url}/auth/token", login)["access_token"]
        page = f"{settings.url}/movies-etl/api/movies"
        return {
            question: json.dumps(call("GET", f"{page}/{question}", token=token, seconds=PATIENCE))
            for question in QUESTIONS
        }

    def files(self) -> dict[str, str]:
        """Return all that was logged, by file."""
        home = self.scheduled.settings.home
        logs = [*(home / "logs").rglob("*"), *(home / "parts").glob("*.log")]
        return {
            str(path.relative_to(home)): path.read_text(errors="replace")
            for path in logs
            if path.is_file()
        }

    def tables(self) -> dict[str, str]:
        """Return all that Airflow's database has, by table: XComs, rendered fields, audit log."""
        with psycopg.connect(self.scheduled.settings.database.replace("+psycopg2", "")) as read:
            names = read.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            query = sql.SQL("SELECT string_agg(row::text, chr(10)) FROM {} AS row")
            contents = {
                name: read.execute(query.format(sql.Identifier(name))).fetchone()
                for (name,) in names
            }
        return {name: row[0] for name, row in contents.items() if row and row[0]}


@pytest.fixture
def right(postgres: Postgres, elasticsearch_node: Elasticsearch) -> Case:
    """Connections that work; neither server asks for the secrets."""
    login = {"login": "postgres", "password": PASSWORD}
    return Case(
        login | {"port": postgres.port, "schema": "movies"},
        {"port": elasticsearch_node.port, "extra": {"api_key": KEY}},
    )


@pytest.fixture
def wrong(
    right: Case,
    strict_postgres: TlsPostgres,
    refusing: Proxy,
    failing: Proxy,
    authority: Authority,
) -> dict[str, Case]:
    """Connections that fail, by what is wrong with them."""
    ann = {"login": "ann", "password": ANN}
    tls = {"schema": "https", "port": refusing.port}
    ours = {"ca_certs": str(authority.file)}
    strange = {"ca_certs": str(Authority(authority.folder / "stranger").file), "api_key": KEY}
    strict = right.postgres | {
        "port": strict_postgres.port,
        "login": "ann",
        "password": WRONG,
        "extra": {"sslmode": "verify-full", "sslrootcert": str(authority.file)},
    }
    return {
        "key": right.other_index(tls | {"extra": ours | {"api_key": WRONG_KEY}}),
        "login": right.other_index(tls | ann | {"extra": ours}),
        "authority": right.other_index(tls | {"extra": strange}),
        "extra": right.other_index({"extra": {"apikey": KEY}}),
        "password": Case(strict, right.elasticsearch),
        "server": Case(right.postgres, ann | {"port": failing.port}),
    }


@pytest.fixture
def installation(
    small: Site,  # noqa: ARG001 - films to load
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    """An Airflow that logs all it can, and waits for no server."""
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", NEVER)
    monkeypatch.setenv("MOVIES_ETL_RECONCILE_SCHEDULE", NEVER)  # it would load what is to fail
    monkeypatch.setenv("MOVIES_ETL_PATIENCE", "1")
    home = DATA / "secrets"
    shutil.rmtree(home, ignore_errors=True)
    debug = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    with running_airflow(home, postgres, {}, more=debug) as scheduled:
        yield Installation(scheduled, tmp_path)


def test_planted_secrets_are_in_no_log_xcom_rendered_field_exception_or_page(
    installation: Installation, right: Case, wrong: dict[str, Case], small: Site
) -> None:
    assert installation.run("right", right) == "success"
    small.assert_equal()
    small.add_film("Another", modified="now")
    pages: dict[str, str] = {}
    for what, case in wrong.items():
        assert installation.run(f"wrong-{what}", case) == "failed", what
        pages |= {f"{question}, wrong {what}": one for question, one in installation.page().items()}
    files, tables = installation.files(), installation.tables()
    logged = "\n".join(files.values())
    for said in (
        "refused the login of connection movies_elasticsearch",
        "certificate verify failed",
        "apikey: Extra inputs are not permitted",
        "password authentication failed",
        "overloaded or fails",
        "[debug",
    ):
        assert said in logged, said
    assert {"xcom", "rendered_task_instance_fields", "connection"} <= tables.keys()
    for what in wrong.keys() - {"server"}:  # which fails on bulk requests only
        assert json.loads(pages[f"freshness, wrong {what}"])["problems"], what
    places = files | tables | pages
    found = {(place, form) for place in places for form in forms() if form in places[place]}
    assert found == set()
