"""Servers that want TLS and a login: what is let in, and what is said about the rest."""

from __future__ import annotations

import base64
import gc
import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch as Client
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.es.client import check_server

from local.elasticsearch import Elasticsearch
from tests.conftest import DATA, free_port
from tests.support.certificates import DAY, Authority, Certificate
from tests.support.guarded import basic, guarded
from tests.support.proxy import Proxy
from tests.support.tls_postgres import TlsPostgres

# asyncio, which stands before the node here, leaves the socket of a client that ends early to the
# garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)

SECRET = "c0rrect-horse-battery"  # noqa: S105 - there for being looked for in messages
KEY = base64.b64encode(f"id:{SECRET}".encode()).decode()
ROLE = "guarded"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let no later test find what a client left open in this one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def refusal(error: MoviesEtlError, connection: str) -> str:
    """Return what is said of an error, with its causes; the connection is named, no secret is."""
    said = str(error)
    assert connection in said
    whole, cause = said, error.__cause__
    while cause is not None:
        whole, cause = f"{whole}\n{cause!r}\n{cause}", cause.__cause__
    for secret in (SECRET, KEY, base64.b64encode(SECRET.encode()).decode()):
        assert secret not in whole
    return said


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[TlsPostgres]:
    """A PostgreSQL that lets the role in by TLS and password."""
    server = TlsPostgres(DATA / "tls-postgres", port=free_port())
    server.start()
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {ROLE}")
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{SECRET}'")
            stored = connection.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (ROLE,)
            ).fetchone()
            assert stored is not None
            assert stored[0].startswith("SCRAM-SHA-256$")
        yield server
    finally:
        server.stop()


class Catalogue:
    """Connection ``movies_postgres`` to that server."""

    def __init__(
        self, server: TlsPostgres, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.server = server
        self._authority = authority
        self._monkeypatch = monkeypatch

    def connect(self, password: str = SECRET, **extra: str) -> psycopg.Connection[Any]:
        fields = {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self.server.port,
            "login": ROLE,
            "password": password,
            "schema": "postgres",
            "extra": {"sslmode": "verify-full", "sslrootcert": str(self._authority.file)} | extra,
        }
        self._monkeypatch.setenv("AIRFLOW_CONN_MOVIES_POSTGRES", json.dumps(fields))
        return MoviesPostgresHook().connect()

    def refused(self, password: str = SECRET, **extra: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            self.connect(password, **extra)
        return refusal(caught.value, "movies_postgres")


@pytest.fixture
def catalogue(
    server: TlsPostgres, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Catalogue:
    """The server with a certificate that is right."""
    server.present(authority.issue())
    return Catalogue(server, authority, monkeypatch)


@pytest.mark.parametrize("extra", [{}, {"channel_binding": "require"}])
def test_postgres_lets_the_right_password_in_by_tls(
    catalogue: Catalogue, extra: dict[str, str]
) -> None:
    with catalogue.connect(**extra) as connection:
        used = connection.execute(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert used == (True, "TLSv1.3")


def test_a_certificate_of_another_authority_is_refused(
    catalogue: Catalogue, stranger: Authority
) -> None:
    said = catalogue.refused(sslrootcert=str(stranger.file))
    assert "certificate verify failed" in said
    assert "extras" in said


def test_an_expired_certificate_of_postgres_is_refused(
    catalogue: Catalogue, authority: Authority
) -> None:
    catalogue.server.present(authority.issue(ends=-DAY))
    assert "certificate" in catalogue.refused()


def test_a_certificate_of_another_host_is_refused(
    catalogue: Catalogue, authority: Authority
) -> None:
    catalogue.server.present(authority.issue("db.example.org"))
    assert 'certificate for "db.example.org"' in catalogue.refused()


def test_an_authority_that_is_no_file_here_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    assert f'root certificate file "{missing}" does not exist' in catalogue.refused(
        sslrootcert=missing
    )


def test_who_comes_without_tls_is_refused(catalogue: Catalogue) -> None:
    assert "no encryption" in catalogue.refused(sslmode="disable")


def test_a_server_without_tls_is_not_talked_to(catalogue: Catalogue) -> None:
    catalogue.server.configure("ALTER SYSTEM SET ssl = off")
    assert "server does not support SSL" in catalogue.refused()


@pytest.mark.parametrize("password", ["wrong", f"{SECRET}x", ""])
def test_a_wrong_password_is_refused_over_tls(catalogue: Catalogue, password: str) -> None:
    said = catalogue.refused(password)
    assert "password" in said


def test_a_password_is_never_sent_to_a_server_that_is_not_verified(
    catalogue: Catalogue, stranger: Authority
) -> None:
    with Proxy(catalogue.server.port, http=False) as proxy:
        catalogue.refused(sslrootcert=str(stranger.file), port=str(proxy.port))
        sent = b"".join(proxy.requests)
    assert sent
    assert ROLE.encode() not in sent  # neither the login nor a proof of the password


# -- Elasticsearch --------------------------------------------------------------------------------


LETS_IN = (basic(ROLE, SECRET), f"ApiKey {KEY}")


class Index:
    """Connection ``movies_elasticsearch`` to a node behind TLS and logins."""

    def __init__(
        self, node: Elasticsearch, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._node = node
        self._authority = authority
        self._monkeypatch = monkeypatch
        self.requests: list[bytes] = []

    @contextmanager
    def client(self, certificate: Certificate | None = None, **changes: Any) -> Iterator[Client]:
        """Give out a client; without an `extra` it has the right authority and key."""
        shown = certificate or self._authority.issue()
        with guarded(self._node.port, shown, LETS_IN) as proxy:
            fields = {
                "conn_type": "elasticsearch",
                "host": "127.0.0.1",
                "port": proxy.port,
                "schema": "https",
                "extra": {"ca_certs": str(self._authority.file), "api_key": KEY},
            }
            self._monkeypatch.setenv(
                "AIRFLOW_CONN_MOVIES_ELASTICSEARCH", json.dumps(fields | changes)
            )
            with MoviesElasticsearchHook().get_conn as client:
                yield client.options(max_retries=0, request_timeout=200)
            self.requests = proxy.requests

    def refused(self, certificate: Certificate | None = None, **changes: Any) -> str:
        with (
            self.client(certificate, **changes) as client,
            pytest.raises(MoviesEtlError) as caught,
        ):
            check_server(client)
        assert isinstance(caught.value, ConfigurationError), caught.value
        return refusal(caught.value, "movies_elasticsearch")


@pytest.fixture
def index(
    elasticsearch_node: Elasticsearch, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Index:
    return Index(elasticsearch_node, authority, monkeypatch)


def test_elasticsearch_lets_the_right_key_in_by_tls(index: Index) -> None:
    with index.client() as client:
        check_server(client)
    assert index.requests


def test_elasticsearch_lets_the_right_login_in_by_tls(index: Index, authority: Authority) -> None:
    extra = {"ca_certs": str(authority.file)}
    with index.client(login=ROLE, password=SECRET, extra=extra) as client:
        check_server(client)
    assert index.requests


@pytest.mark.filterwarnings("ignore:Connecting to")  # the client warns: only the print is checked
def test_a_fingerprint_does_in_place_of_an_authority(index: Index, authority: Authority) -> None:
    shown = authority.issue()
    der = ssl.PEM_cert_to_DER_cert(shown.certificate.read_text())
    extra = {"ssl_assert_fingerprint": sha256(der).hexdigest(), "api_key": KEY}
    with index.client(shown, extra=extra) as client:
        check_server(client)
    said = index.refused(authority.issue(), extra=extra)
    assert "TLS to connection" in said
    assert index.requests == []


def test_a_certificate_that_a_stranger_signed_gets_no_request(
    index: Index, stranger: Authority
) -> None:
    said = index.refused(stranger.issue())
    assert "certificate verify failed" in said
    assert "ca_certs" in said
    assert index.requests == []


def test_the_wrong_authority_is_told(index: Index, stranger: Authority) -> None:
    said = index.refused(extra={"ca_certs": str(stranger.file), "api_key": KEY})
    assert "certificate verify failed" in said
    assert index.requests == []


def test_an_expired_certificate_is_told(index: Index, authority: Authority) -> None:
    assert "certificate has expired" in index.refused(authority.issue(ends=-DAY))
    assert index.requests == []


def test_a_certificate_of_another_name_is_told(index: Index, authority: Authority) -> None:
    said = index.refused(authority.issue("es.example.org"))
    assert "'127.0.0.1'" in said
    assert index.requests == []


def test_an_authority_in_no_certificate_form_is_told(index: Index, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with (
        pytest.raises(ConfigurationError) as caught,
        index.client(extra={"ca_certs": str(file), "api_key": KEY}) as client,
    ):
        check_server(client)
    assert "extras" in refusal(caught.value, "movies_elasticsearch")


@pytest.mark.parametrize(
    "login",
    [
        {"extra": {"api_key": f"{KEY[:-4]}AAAA"}},
        {"login": ROLE, "password": f"{SECRET}x", "extra": {}},
        {"login": "somebody", "password": SECRET, "extra": {}},
        {"extra": {}},
    ],
    ids=["wrong key", "wrong password", "wrong login", "none"],
)
def test_a_wrong_login_is_told(index: Index, authority: Authority, login: dict[str, Any]) -> None:
    extra = login["extra"] | {"ca_certs": str(authority.file)}
    said = index.refused(**login | {"extra": extra})
    assert "refused the login of connection" in said
    assert "api_key" in said


def test_http_where_the_server_speaks_tls_is_told(index: Index, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(speak_tls_once, server, authority.issue())
        port = server.getsockname()[1]
        with (
            index.client(schema="http", port=port, extra={"api_key": KEY}) as client,
            pytest.raises(MoviesEtlError) as caught,
        ):
            check_server(client)
    assert "schema" in refusal(caught.value, "movies_elasticsearch")


def speak_tls_once(server: socket.socket, certificate: Certificate) -> None:
    """Answer one client as a server does that knows nothing but TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    accepted, _ = server.accept()
    with suppress(OSError), context.wrap_socket(accepted, server_side=True):
        pass
