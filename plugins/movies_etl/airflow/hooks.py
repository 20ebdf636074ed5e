"""The two connections, read from Airflow and checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from airflow.providers.elasticsearch.hooks.elasticsearch import ElasticsearchPythonHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from elasticsearch import Elasticsearch
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from movies_etl.errors import (
    ConfigurationError,
    SourceUnavailableError,
    on_one_line,
    problems,
)
from movies_etl.es.bulk import BulkSerializer
from movies_etl.postgres.session import Session

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_PORT = 9200

_PERMANENT = re.compile(
    # of the login
    r"(?:password|SASL|Ident|Peer|certificate) authentication failed|no password supplied"
    r"|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in|no such user"
    # of the database
    r"|does not exist|no such database|permission denied for database"
    r"|database \S+ is not currently accepting connections"
    # of the extras
    r"|invalid (?:\S+ )?value|unrecognized configuration parameter|unsupported startup parameter"
    r"|permission denied to set parameter|cannot be changed"
    r"|certificate|private key|unknown ca|SSL (?:was )?required|channel binding required"
    r"|authentication method requirement"
)
"""What is said, by PostgreSQL, a pooler or libpq, when the connection has to be fixed.

At a login libpq tells no SQLSTATE, only words. Whatever else they say, also in another language
(``lc_messages``), is waited for: the list of what passes would have no end.
"""


class MoviesPostgresHook(PostgresHook):
    """The film catalogue, read by psycopg 3 over one connection in autocommit.

    Reads connection ``movies_postgres``: host, port, login, password, database (``schema``), and
    any libpq parameter as an extra; what libpq does not know is refused by name. Extras win over
    the defaults here: 5 s to connect, and TCP settings that notice a lost server within a minute.
    The extras that the provider reads for others, ``cursor`` among them, change nothing.

    :param postgres_conn_id: the Airflow connection.
    :param application: what ``pg_stat_activity`` shows.
    """

    default_conn_name = "movies_postgres"
    hook_name = "Movies catalogue"

    def __init__(
        self, postgres_conn_id: str = default_conn_name, application: str = "movies_etl"
    ) -> None:
        super().__init__(postgres_conn_id=postgres_conn_id, log_sql=False)
        self._conn_id = postgres_conn_id
        self._defaults = {
            "connect_timeout": 5,
            "application_name": application,
            "keepalives_idle": 20,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 50_000,  # keepalives do not watch a connection with a query sent
        }

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection.

        :raises ConfigurationError: the connection is missing, or PostgreSQL refuses the login.
        :raises SourceUnavailableError: the server cannot be reached, or not yet.
        """
        self.connection = _connection(self._conn_id, "Postgres")
        try:
            return cast("psycopg.Connection[Any]", self.get_conn())
        except psycopg.OperationalError as error:
            said = on_one_line(error)
            if _is_permanent(said):
                raise ConfigurationError(
                    f"PostgreSQL refused connection {self._conn_id}: {said}. Fix its login, "
                    "password or database, or its extras, in Admin -> Connections."
                ) from error
            raise SourceUnavailableError(
                f"PostgreSQL (connection {self._conn_id}) cannot be reached: {said}. Check that "
                "it runs and that the connection's host and port are right; if the server has "
                "answered, that it lets this login in."
            ) from error
        except psycopg.Error as error:
            raise ConfigurationError(
                f"Connection {self._conn_id} is not valid: {error}. Fix its extras in "
                "Admin -> Connections."
            ) from error

    def _get_cursor_config(self, _raw_cursor: str) -> tuple[str, Any]:
        """Ignore the extra ``cursor``: other users of the connection may want dictionaries."""
        return "row_factory", tuple_row

    def _create_connection(self, conn_args: dict[str, Any]) -> Any:  # noqa: ANN401 - the provider's
        arguments: dict[str, Any] = self._defaults | conn_args
        arguments.pop("row_factory", None)
        return Session.connect(make_conninfo(**arguments), autocommit=True)


def _is_permanent(said: str) -> bool:
    """Whether no attempt can succeed later: of each host, and with or without TLS."""
    attempts = said.split("connection to server")[1:] or [said]
    return all(_PERMANENT.search(attempt) for attempt in attempts)


class ElasticsearchExtras(BaseModel):
    """The extras that connection ``movies_elasticsearch`` may have.

    :param api_key: instead of login and password: the encoded form that Elasticsearch returns.
    :param ca_certs: a file with the certificates that the server's is signed by.
    :param verify_certs: False accepts any certificate.
    :param ssl_assert_fingerprint: SHA-256 of the server's certificate, instead of ``ca_certs``.
    :param client_cert: file of a client certificate.
    :param client_key: file of its key.
    :param request_timeout: seconds that one request may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: str | None = None
    ca_certs: str | None = None
    verify_certs: bool | None = None
    ssl_assert_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    request_timeout: float = Field(default=60.0, gt=0)


class MoviesElasticsearchHook(ElasticsearchPythonHook):
    """The provider's Elasticsearch client, made from an Airflow connection.

    Reads connection ``movies_elasticsearch``: host (several separated by commas, each with a port
    of its own if it has one), port (9200), schema (``http`` or ``https``; ``http`` when empty),
    login and password or the extra ``api_key``, and the extras of :class:`ElasticsearchExtras`;
    others are refused, so that a misspelt one is not ignored.

    :param elasticsearch_conn_id: the Airflow connection.
    :raises ConfigurationError: the connection is missing or not valid; names it and the field.
    """

    conn_name_attr = "elasticsearch_conn_id"
    default_conn_name = "movies_elasticsearch"
    conn_type = "elasticsearch"
    hook_name = "Movies index"

    def __init__(self, elasticsearch_conn_id: str = default_conn_name) -> None:
        self.elasticsearch_conn_id = elasticsearch_conn_id
        connection = _connection(elasticsearch_conn_id, "Elasticsearch")
        arguments = _client_arguments(connection)
        arguments["serializers"] = {BulkSerializer.mimetype: BulkSerializer()}
        super().__init__(hosts=_hosts(connection), es_conn_args=arguments)

    def _get_elastic_connection(self) -> Elasticsearch:
        try:
            return cast("Elasticsearch", super()._get_elastic_connection())  # type: ignore[no-untyped-call]
        except (ValueError, OSError) as error:  # a host, a certificate or a fingerprint
            raise ConfigurationError(
                f"Connection {self.elasticsearch_conn_id} is not valid: {error}. Fix its host or "
                "its extras in Admin -> Connections."
            ) from error


def _connection(conn_id: str, kind: str) -> Connection:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigurationError(
            f"Airflow has no connection {conn_id}. Add it in Admin -> Connections (type {kind}); "
            "docs/connections.md has its fields."
        ) from error


def _hosts(connection: Connection) -> list[str]:
    scheme = (connection.schema or "http").lower()
    if scheme not in ("http", "https"):
        raise ConfigurationError(
            f"Connection {connection.conn_id}: schema is {scheme!r}; it must be http or https "
            "(http when empty)."
        )
    names = [name.strip() for name in (connection.host or "").split(",") if name.strip()]
    if not names:
        raise ConfigurationError(f"Connection {connection.conn_id} has no host.")
    return [_host(connection, scheme, name) for name in names]


def _host(connection: Connection, scheme: str, name: str) -> str:
    if "://" in name:
        raise ConfigurationError(
            f"Connection {connection.conn_id}: host {name} must be a name without http:// or "
            "https://; the schema field says which of them it is."
        )
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"  # an IPv6 address
    if not re.search(r":\d+$", name):
        name = f"{name}:{connection.port or DEFAULT_PORT}"
    return f"{scheme}://{name}"


def _client_arguments(connection: Connection) -> dict[str, Any]:
    try:
        extras = ElasticsearchExtras.model_validate(connection.extra_dejson)
    except ValidationError as error:
        raise ConfigurationError(
            f"Connection {connection.conn_id} has extras that are not valid ({problems(error)}). "
            f"Allowed: {', '.join(ElasticsearchExtras.model_fields)}."
        ) from error
    arguments = extras.model_dump(exclude_none=True)
    for name in ("ca_certs", "client_cert", "client_key"):
        if name in arguments and not Path(arguments[name]).is_file():
            raise ConfigurationError(
                f"Connection {connection.conn_id}: extra {name} names {arguments[name]}, which is "
                "not a file on this worker."
            )
    if connection.login and extras.api_key:
        raise ConfigurationError(
            f"Connection {connection.conn_id} has a login and an api_key; keep one of them."
        )
    if connection.login:
        arguments["basic_auth"] = (connection.login, connection.password or "")
    return arguments
