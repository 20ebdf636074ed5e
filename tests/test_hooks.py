"""The two connections: what their fields become, and what is said of those that are not valid."""

from __future__ import annotations

import json
import socketserver
import struct
import traceback
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import Any

import certifi
import psycopg
import pytest
from elasticsearch import Elasticsearch
from movies_etl.airflow.elasticsearch_connection import ElasticsearchExtras
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.es.client import check_server

from local.elasticsearch import Elasticsearch as Node
from local.postgres import Postgres
from tests.conftest import free_port

SECRET = "c0rrect-horse-battery"  # noqa: S105 - there for being looked for in messages


class Connections:
    """Airflow's connections, as environment variables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        for name in ("movies_elasticsearch", "movies_postgres"):
            monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}", raising=False)

    def uri(self, name: str, uri: str) -> None:
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", uri)

    def elasticsearch(self, **fields: Any) -> None:
        self.uri(
            "movies_elasticsearch",
            json.dumps({"conn_type": "elasticsearch", "host": "es", **fields}),
        )

    def postgres(self, **fields: Any) -> None:
        self.uri("movies_postgres", json.dumps({"conn_type": "postgres"} | fields))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


# -- Elasticsearch --------------------------------------------------------------------------------


def made() -> Elasticsearch:
    """Return the client that the hook makes; it has not connected yet."""
    client = MoviesElasticsearchHook().get_conn
    assert isinstance(client, Elasticsearch)
    return client


def addresses() -> list[str]:
    return sorted(node.base_url for node in made().transport.node_pool.all())


def problems() -> str:
    """Return the message about a connection that is not valid; no part of it has a secret."""
    with pytest.raises(ConfigurationError) as caught:
        MoviesElasticsearchHook()
    said = str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "movies_elasticsearch" in said
    return said


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ["http://es:9200"]),
        ({"port": 9201}, ["http://es:9201"]),
        ({"schema": ""}, ["http://es:9200"]),
        ({"schema": "http"}, ["http://es:9200"]),
        ({"schema": "https", "port": 443}, ["https://es:443"]),
        ({"schema": "HTTPS"}, ["https://es:9200"]),
        ({"host": "a,b"}, ["http://a:9200", "http://b:9200"]),
        ({"host": " a:9201 , b ,", "port": 9300}, ["http://a:9201", "http://b:9300"]),
        ({"host": "10.0.0.1"}, ["http://10.0.0.1:9200"]),
        ({"host": "fe80::1:9201"}, ["http://[fe80::1:9201]:9200"]),
        ({"host": "::1", "port": 9201}, ["http://[::1]:9201"]),
        ({"host": "[::1]:9202"}, ["http://[::1]:9202"]),
        ({"host": "es/elastic"}, ["http://es:9200/elastic"]),
        ({"host": "es:9201/elastic/", "port": 443}, ["http://es:9201/elastic"]),
        ({"host": "a/b/c,d", "schema": "https"}, ["https://a:9200/b/c", "https://d:9200"]),
        ({"host": "::1/elastic"}, ["http://[::1]:9200/elastic"]),
        ({"conn_type": "http"}, ["http://es:9200"]),
        ({"conn_type": "https"}, ["https://es:9200"]),
        ({"conn_type": "https", "schema": "https"}, ["https://es:9200"]),
        ({"conn_type": "http", "schema": "https"}, ["https://es:9200"]),
        ({"conn_type": "https", "schema": "elastic/"}, ["https://es:9200/elastic"]),
    ],
)
def test_hosts_ports_and_scheme_come_from_the_connection(
    connections: Connections, fields: dict[str, Any], wanted: list[str]
) -> None:
    connections.elasticsearch(**fields)
    assert addresses() == wanted


def test_a_connection_may_be_a_uri(connections: Connections) -> None:
    uri = f"elasticsearch://ann:{SECRET}@es.example:9201/https?request_timeout=5"
    connections.uri("movies_elasticsearch", uri)
    (node,) = made().transport.node_pool.all()
    assert node.base_url == "https://es.example:9201"
    assert made()._request_timeout == 5
    assert made()._headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("https://ann:{}@es.example:443", "https://es.example:443"),
        ("https://ann:{}@es.example", "https://es.example:9200"),
        ("https://ann:{}@es.example:443/elastic/", "https://es.example:443/elastic"),
        ("https://ann:{}@es.example:443/a/b?request_timeout=5", "https://es.example:443/a/b"),
        ("http://ann:{}@127.0.0.1:9200", "http://127.0.0.1:9200"),
        ("http://ann:{}@es.example:9243/https", "https://es.example:9243"),  # as for other hooks
    ],
)
def test_the_address_of_elasticsearch_itself_may_be_the_uri(
    connections: Connections, uri: str, wanted: str
) -> None:
    connections.uri("movies_elasticsearch", uri.format(SECRET))
    assert addresses() == [wanted]
    assert made()._headers["authorization"].startswith("Basic ")
    assert MoviesElasticsearchHook().in_clear_text == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ["http://es:9200"]),
        ({"conn_type": "http"}, ["http://es:9200"]),
        ({"host": "localhost,b/c"}, ["http://b:9200/c"]),
        ({"host": "10.0.0.1"}, ["http://10.0.0.1:9200"]),
        ({"host": "127.0.0.1,127.1.2.3:1,localhost,::1,es.localhost"}, []),
        ({"schema": "https"}, []),
        ({"conn_type": "https"}, []),
    ],
)
@pytest.mark.parametrize(
    "secret", [{"login": "ann", "password": SECRET}, {"extra": {"api_key": SECRET}}]
)
def test_a_secret_that_the_network_can_read_is_told(
    connections: Connections, fields: dict[str, Any], told: list[str], secret: dict[str, Any]
) -> None:
    connections.elasticsearch(**fields | secret)
    assert MoviesElasticsearchHook().in_clear_text == told
    connections.elasticsearch(**fields)
    assert MoviesElasticsearchHook().in_clear_text == []


def test_without_login_and_key_nothing_is_authorized(connections: Connections) -> None:
    connections.elasticsearch()
    assert "authorization" not in made()._headers


def test_a_login_is_sent_as_basic_authorization(connections: Connections) -> None:
    connections.elasticsearch(login="ann", password="pass word")  # noqa: S106
    assert made()._headers["authorization"] == "Basic YW5uOnBhc3Mgd29yZA=="


def test_an_api_key_is_sent_as_it_is(connections: Connections) -> None:
    connections.elasticsearch(extra={"api_key": "a2V5"})
    assert made()._headers["authorization"] == "ApiKey a2V5"


def test_a_login_beside_an_api_key_is_refused(connections: Connections) -> None:
    connections.elasticsearch(login="ann", password=SECRET, extra={"api_key": SECRET})
    assert "has a login and an api_key; keep one" in problems()


def test_the_time_of_a_request_has_a_default_and_may_be_set(connections: Connections) -> None:
    connections.elasticsearch()
    assert made()._request_timeout == 60
    connections.elasticsearch(extra={"request_timeout": 2.5})
    assert made()._request_timeout == 2.5


def test_a_certificate_authority_is_read_from_its_file(
    connections: Connections, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(Path(certifi.where()).read_text())
    connections.elasticsearch(schema="https", extra={"ca_certs": str(file)})
    (node,) = made().transport.node_pool.all()
    assert node.config.ca_certs == str(file)
    assert node.config.verify_certs is True


@pytest.mark.filterwarnings("ignore:Connecting to")  # the client warns of what was asked for
def test_certificates_are_not_verified_only_when_the_connection_says_so(
    connections: Connections,
) -> None:
    connections.elasticsearch(schema="https")
    assert made().transport.node_pool.get().config.verify_certs is True
    connections.elasticsearch(schema="https", extra={"verify_certs": False})
    assert made().transport.node_pool.get().config.verify_certs is False


@pytest.mark.parametrize("name", ["ca_certs", "client_cert", "client_key"])
def test_a_file_that_is_not_there_is_named(
    connections: Connections, tmp_path: Path, name: str
) -> None:
    missing = str(tmp_path / "missing.pem")
    connections.elasticsearch(schema="https", extra={name: missing})
    assert f"extra {name} names {missing}, which is not a file on this worker" in problems()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": ""}, "has no host"),
        ({"host": " , "}, "has no host"),
        ({"host": None}, "has no host"),
        ({"schema": "ftp"}, "schema is 'ftp'; it must be http or https"),
        ({"host": "http://es:9200"}, "must be a name without http:// or https://"),
        ({"host": "a,https://b"}, "host https://b must be a name"),
        ({"host": f"a,ann:{SECRET}@b"}, "the host has a login in it"),
        ({"schema": "elastic"}, "A path belongs to the host"),
        ({"conn_type": "https", "schema": "http"}, "has type https and schema http"),
        ({"conn_type": "postgres"}, "has type 'postgres'; it must be elasticsearch, http or https"),
        ({"conn_type": "elastic"}, "has type 'elastic'"),
        ({"conn_type": "HTTPS"}, "has type 'HTTPS'"),
    ],
)
def test_fields_that_are_not_valid_are_named(
    connections: Connections, fields: dict[str, Any], said: str
) -> None:
    connections.elasticsearch(password=SECRET, **fields)
    assert said in problems()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"apikey": SECRET}, "apikey: Extra inputs are not permitted"),
        ({"api_key": [SECRET]}, "api_key: Input should be a valid string"),
        ({"request_timeout": SECRET}, "request_timeout: Input should be a valid number"),
        ({"request_timeout": 0}, "request_timeout: Input should be greater than 0"),
        ({"verify_certs": SECRET}, "verify_certs: Input should be a valid boolean"),
        ({"use_ssl": True, "hosts": [SECRET]}, "hosts: Extra inputs"),
    ],
)
def test_extras_that_are_not_valid_are_named_with_the_allowed_ones(
    connections: Connections, extra: dict[str, Any], said: str
) -> None:
    connections.elasticsearch(extra=extra)
    message = problems()
    assert said in message
    for allowed in ElasticsearchExtras.model_fields:
        assert allowed in message.partition("Allowed:")[2]


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "two words"},
        {"host": "es:port"},
        {"schema": "https", "extra": {"ssl_assert_fingerprint": "abc"}},
    ],
)
def test_what_the_client_does_not_take_is_told_with_the_connection(
    connections: Connections, fields: dict[str, Any]
) -> None:
    connections.elasticsearch(login="ann", password=SECRET, **fields)
    with pytest.raises(ConfigurationError, match="Connection movies_elasticsearch is not valid"):
        made()


def test_tls_where_the_server_speaks_http_is_told_as_such(
    connections: Connections, elasticsearch_node: Node
) -> None:
    connections.elasticsearch(host="127.0.0.1", port=elasticsearch_node.port, schema="https")
    with made() as client, pytest.raises(ConfigurationError) as caught:
        check_server(client)
    assert "TLS to connection movies_elasticsearch failed" in str(caught.value)
    assert "schema (http or https)" in str(caught.value)


def test_secrets_are_not_in_the_hooks_representation(connections: Connections) -> None:
    connections.elasticsearch(login="ann", password=SECRET)
    hook = MoviesElasticsearchHook()
    assert SECRET not in repr(hook) + repr(hook.get_conn) + str(hook.get_conn.transport)


@pytest.mark.usefixtures("connections")
def test_a_missing_connection_is_told_with_where_to_add_it() -> None:
    assert "Airflow has no connection movies_elasticsearch. Add it in Admin" in problems()


def test_a_connection_of_another_name_may_be_used(connections: Connections) -> None:
    connections.uri("other_index", json.dumps({"conn_type": "elasticsearch", "host": "b"}))
    hook = MoviesElasticsearchHook(elasticsearch_conn_id="other_index")
    assert hook.get_conn.transport.node_pool.get().base_url == "http://b:9200"


def test_a_bulk_body_is_sent_without_a_copy(connections: Connections) -> None:
    connections.elasticsearch(host="a")
    serializers, body = made().transport.serializers, b'{"index":{}}\n{}\n'
    kind = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"
    assert serializers.dumps(body, kind) is body
    assert serializers.dumps([{"index": {}}, {}], kind) == body


def test_the_real_server_answers(connections: Connections, elasticsearch_node: Node) -> None:
    connections.elasticsearch(host="127.0.0.1", port=elasticsearch_node.port)
    with made() as client:
        assert client.info()["version"]["number"].startswith("8.")


def test_a_host_that_is_away_does_not_keep_the_others_from_answering(
    connections: Connections, elasticsearch_node: Node
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{elasticsearch_node.port}"
    connections.elasticsearch(host=hosts)
    with made() as client:
        for _ in range(3):
            assert client.ping()


# -- PostgreSQL -----------------------------------------------------------------------------------


@pytest.fixture
def address(postgres: Postgres) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": postgres.port,
        "login": "postgres",
        "schema": "postgres",
    }


@pytest.fixture
def with_password(postgres: Postgres) -> Iterator[str]:
    """A role whose password the server asks for."""
    rules = postgres.folder / "cluster" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guarded")
        connection.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'".encode())
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
        try:
            connection.execute("SELECT pg_reload_conf()")
            yield "guarded"
        finally:
            rules.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE guarded")


def refused(kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        MoviesPostgresHook().connect()
    said = str(caught.value)
    assert SECRET not in said
    assert "movies_postgres" in said
    return said


def test_the_connection_commits_by_itself_and_says_whose_it_is(
    connections: Connections, address: dict[str, Any]
) -> None:
    connections.postgres(**address)
    with MoviesPostgresHook(application="movies_etl genre").connect() as connection:
        assert connection.autocommit
        shown = connection.execute(
            "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        assert shown == ("movies_etl genre",)
        assert connection.info.dbname == "postgres"


def test_a_lost_server_is_noticed_within_a_minute(
    connections: Connections, address: dict[str, Any]
) -> None:
    connections.postgres(**address)
    with MoviesPostgresHook().connect() as connection:
        set_to = connection.info.get_parameters()
    idle, interval, count = (
        int(set_to[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle + interval * count <= 60
    assert int(set_to["tcp_user_timeout"]) <= 60_000  # milliseconds
    assert set_to["connect_timeout"] == "5"


def test_extras_win_over_the_defaults(connections: Connections, address: dict[str, Any]) -> None:
    extra = {"connect_timeout": 9, "application_name": "mine", "options": "-c work_mem=5MB"}
    connections.postgres(**address, extra=extra)
    with MoviesPostgresHook().connect() as connection:
        set_to = connection.info.get_parameters()
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
    assert (set_to["connect_timeout"], set_to["application_name"]) == ("9", "mine")


def test_a_postgres_connection_may_be_a_uri(connections: Connections, postgres: Postgres) -> None:
    connections.uri("movies_postgres", postgres.dsn("template1"))
    with MoviesPostgresHook().connect() as connection:
        assert connection.info.dbname == "template1"


def test_the_right_password_is_let_in(
    connections: Connections, address: dict[str, Any], with_password: str
) -> None:
    connections.postgres(**address | {"login": with_password, "password": SECRET})
    with MoviesPostgresHook().connect() as connection:
        assert connection.info.user == with_password


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_refused_for_good(
    connections: Connections, address: dict[str, Any], with_password: str, password: str
) -> None:
    connections.postgres(**address | {"login": with_password, "password": password})
    assert "Fix its login, password or database" in refused(ConfigurationError)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "no_such_database"}, 'database "no_such_database" does not exist'),
        ({"login": "nobody_knows"}, 'role "nobody_knows" does not exist'),
    ],
)
def test_what_the_server_does_not_have_is_refused_for_good(
    connections: Connections, address: dict[str, Any], change: dict[str, str], said: str
) -> None:
    connections.postgres(**address | change, password=SECRET)
    message = refused(ConfigurationError)
    assert said in message
    assert "\n" not in message


def test_a_server_that_is_away_may_come_back(connections: Connections) -> None:
    connections.postgres(host="127.0.0.1", port=free_port(), login="a", password=SECRET)
    assert "host and port are right" in refused(SourceUnavailableError)


def test_a_name_that_nobody_knows_may_be_known_later(connections: Connections) -> None:
    connections.postgres(host="no-such-host.invalid", login="a", password=SECRET)
    assert "cannot be reached" in refused(SourceUnavailableError)


def test_a_server_without_a_free_place_may_have_one_later(
    connections: Connections, address: dict[str, Any], postgres: Postgres
) -> None:
    postgres.createuser("crowded")
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("ALTER ROLE crowded CONNECTION LIMIT 0")
    connections.postgres(**address | {"login": "crowded"})
    assert "too many connections" in refused(SourceUnavailableError)


@pytest.fixture(scope="module")
def closed_doors(postgres: Postgres) -> Iterator[None]:
    """A database that lets nobody in, one that lets in nobody but its owner, and a group."""
    postgres.createuser("guest")
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        for statement in (
            "CREATE DATABASE closed ALLOW_CONNECTIONS false",
            "CREATE DATABASE private",
            "REVOKE CONNECT ON DATABASE private FROM PUBLIC",
            "CREATE ROLE group_of_readers NOLOGIN",
        ):
            connection.execute(statement.encode())
        try:
            yield
        finally:
            for thing in ("DATABASE closed", "DATABASE private", "ROLE group_of_readers"):
                connection.execute(f"DROP {thing}".encode())


@pytest.mark.usefixtures("closed_doors")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "closed"}, "is not currently accepting connections"),
        ({"schema": "private", "login": "guest"}, "permission denied for database"),
        ({"login": "group_of_readers"}, "is not permitted to log in"),
        ({"extra": {"sslmode": "require"}}, "SSL was required"),
        ({"extra": {"sslmode": "sometimes"}}, 'invalid sslmode value: "sometimes"'),
        ({"extra": {"options": "-c work_mem=much"}}, 'invalid value for parameter "work_mem"'),
        ({"extra": {"options": "-c wrok_mem=4MB"}}, "unrecognized configuration parameter"),
        ({"extra": {"options": "-c ssl=on"}}, '"ssl" cannot be changed'),
        ({"login": "guest", "extra": {"options": "-c log_duration=on"}}, "to set parameter"),
        ({"extra": {"require_auth": "scram-sha-256"}}, "authentication method requirement"),
        ({"extra": {"channel_binding": "require"}}, "channel binding required"),
    ],
)
def test_what_only_the_operator_can_mend_is_refused_for_good(
    connections: Connections, address: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    connections.postgres(**address | change)
    assert said in refused(ConfigurationError)


class Doorkeeper:
    """Stands where PostgreSQL or a pooler would and refuses each login.

    :param words: with which it does, one after another and then again from the beginning.
    """

    def __init__(self) -> None:
        self.words: Iterator[str] = iter(())
        doorkeeper = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while True:
                    length, request = struct.unpack("!II", self.rfile.read(8))
                    self.rfile.read(length - 8)
                    if request >> 16 == 3:  # the version of the protocol
                        break
                    self.wfile.write(b"N")  # neither TLS nor GSSAPI
                fields = ("SFATAL", "VFATAL", "C08P01", f"M{next(doorkeeper.words)}", "")
                body = "\0".join(fields).encode() + b"\0"
                self.wfile.write(b"E" + struct.pack("!I", len(body) + 4) + body)

        self.server = socketserver.TCPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.server.server_address[1], "login": "ann"}


@pytest.fixture
def doorkeeper() -> Iterator[Doorkeeper]:
    doorkeeper = Doorkeeper()
    thread = Thread(target=doorkeeper.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield doorkeeper
    finally:
        doorkeeper.server.shutdown()
        thread.join()
        doorkeeper.server.server_close()


NO_ENTRY = 'no pg_hba.conf entry for host "10.0.0.7", user "ann", database "movies", no encryption'
STARTING = "the database system is starting up"


@pytest.mark.parametrize(
    "words",
    [
        STARTING,
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not accepting connections",
        "the database system is not yet accepting connections",
        "terminating connection due to administrator command",
        "sorry, too many clients already",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "server login has been failing, cached error: connect failed (server_login_retry)",
        f"server login has been failing, cached error: FATAL: {STARTING} (server_login_retry)",
        "query_wait_timeout",
        "client_login_timeout (server down)",
        "no more connections allowed (max_client_conn)",
        "pgbouncer cannot connect to server",
        'database "movies" is disabled',
        "Passwort-Authentifizierung für Benutzer »ann« fehlgeschlagen",
    ],
)
def test_what_may_pass_is_waited_for_and_told_in_the_servers_words(
    connections: Connections, doorkeeper: Doorkeeper, words: str
) -> None:
    doorkeeper.words = cycle([words])
    connections.postgres(**doorkeeper.address)
    message = refused(SourceUnavailableError)
    assert f"FATAL: {words}. Check that it runs" in message
    assert "that it lets this login in" in message


@pytest.mark.parametrize(
    "words",
    [
        NO_ENTRY,
        'pg_hba.conf rejects connection for host "10.0.0.7", user "ann", database "movies"',
        'Peer authentication failed for user "ann"',
        "connection requires a valid client certificate",
        "no such database: movies",
        "no such user: ann",
        "SSL required",
        "unsupported startup parameter: options",
        "server login has been failing, cached error: password authentication failed for user",
        "SASL authentication failed",
    ],
)
def test_what_a_pooler_or_its_server_will_say_again_is_refused_for_good(
    connections: Connections, doorkeeper: Doorkeeper, words: str
) -> None:
    doorkeeper.words = cycle([words])
    connections.postgres(**doorkeeper.address)
    assert f"FATAL: {words}. Fix its login" in refused(ConfigurationError)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ((STARTING, NO_ENTRY), SourceUnavailableError),
        ((NO_ENTRY, STARTING), SourceUnavailableError),
        ((NO_ENTRY, NO_ENTRY), ConfigurationError),
    ],
)
def test_of_several_hosts_one_that_may_let_in_later_is_waited_for(
    connections: Connections,
    doorkeeper: Doorkeeper,
    words: tuple[str, ...],
    kind: type[Exception],
) -> None:
    doorkeeper.words = iter(words)
    connections.postgres(**doorkeeper.address | {"host": "127.0.0.1,127.0.0.1"})
    message = refused(kind)
    assert all(one in message for one in words)


def test_an_extra_that_libpq_does_not_know_is_refused(
    connections: Connections, address: dict[str, Any]
) -> None:
    connections.postgres(**address, password=SECRET, extra={"sslmod": "require"})
    message = refused(ConfigurationError)
    assert "sslmod" in message
    assert "Fix its extras" in message


@pytest.mark.parametrize("name", ["autocommit", "cursor_factory", "context"])
def test_an_extra_that_only_the_driver_knows_is_refused(
    connections: Connections, address: dict[str, Any], name: str
) -> None:
    connections.postgres(**address, extra={name: "DictCursor"})
    assert f'"{name}"' in refused(ConfigurationError)


@pytest.mark.parametrize("kind", ["dictcursor", "DictCursor", "namedtuplecursor", "realdictcursor"])
def test_rows_are_tuples_whatever_the_connection_says_for_others(
    connections: Connections, address: dict[str, Any], kind: str
) -> None:
    connections.postgres(**address, extra={"cursor": kind, "sqlalchemy_scheme": "postgresql"})
    with MoviesPostgresHook().connect() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.usefixtures("connections")
def test_a_missing_postgres_connection_is_told_with_where_to_add_it() -> None:
    said = refused(ConfigurationError)
    assert "Airflow has no connection movies_postgres. Add it in Admin" in said
    assert "type Postgres" in said
