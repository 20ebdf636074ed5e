"""The two connections, read from Airflow and checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import psycopg
from airflow.providers.elasticsearch.hooks.elasticsearch import ElasticsearchPythonHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from elasticsearch import Elasticsearch
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from movies_etl.airflow.elasticsearch_connection import addresses, client_arguments, in_clear_text
from movies_etl.errors import ConfigurationError, SourceUnavailableError, on_one_line
from movies_etl.es.bulk import BulkSerializer
from movies_etl.es.transport import (
    LEFT_OUT_SECONDS,
    CompatibleTransport,
    GreetedNode,
    NamedNode,
)
from movies_etl.postgres.pooler import with_a_server_of_its_own
from movies_etl.postgres.session import Session

if TYPE_CHECKING:
    from airflow.sdk import Connection

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
"""The words of PostgreSQL, a pooler or libpq when the connection has to be fixed.

At a login libpq gives no SQLSTATE, only words. With any other words, also in another language
(``lc_messages``), the task waits: a list of what passes by itself would have no end.
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

    def connect(self) -> Session:
        """Open a connection.

        :raises ConfigurationError: the connection is missing, PostgreSQL refuses the login, or a
            pooler lends servers to several sessions.
        :raises SourceUnavailableError: the server cannot be reached, or not yet.
        """
        self.connection = _connection(self._conn_id, "Postgres")
        try:
            return with_a_server_of_its_own(lambda: cast("Session", self.get_conn()), self._conn_id)
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
    """Whether no later attempt can succeed: at any host, with TLS or without."""
    attempts = said.split("connection to server")[1:] or [said]
    return all(_PERMANENT.search(attempt) for attempt in attempts)


class MoviesElasticsearchHook(ElasticsearchPythonHook):
    """The provider's Elasticsearch client, made from an Airflow connection.

    Reads connection ``movies_elasticsearch`` of type ``elasticsearch``, ``http`` or ``https``: host
    (several separated by commas; each may have a port and a path of its own), port (9200), schema
    (``http`` or ``https``; when empty the type says which, and ``elasticsearch`` means ``http``),
    login and password or the extra ``api_key``, and the extras of
    :class:`~movies_etl.airflow.elasticsearch_connection.ElasticsearchExtras`; others are refused,
    so that a misspelt one is not ignored.

    The client gives a request that could not be sent to another node, and repeats none that may
    have arrived: ``retries`` says how a lost server is waited for. It remembers which nodes failed,
    so a task keeps it for as long as it runs.

    :param elasticsearch_conn_id: the Airflow connection.
    :raises ConfigurationError: the connection is missing or not valid; names it and the field.

    ``in_clear_text`` has the addresses to which a password or a key travels unencrypted.
    """

    conn_name_attr = "elasticsearch_conn_id"
    default_conn_name = "movies_elasticsearch"
    conn_type = "elasticsearch"
    hook_name = "Movies index"

    def __init__(self, elasticsearch_conn_id: str = default_conn_name) -> None:
        self.elasticsearch_conn_id = elasticsearch_conn_id
        connection = _connection(elasticsearch_conn_id, "Elasticsearch")
        nodes, arguments = addresses(connection), client_arguments(connection)
        self.in_clear_text = in_clear_text(nodes, arguments)
        arguments |= {
            "serializers": {BulkSerializer.mimetype: BulkSerializer()},
            "transport_class": CompatibleTransport,
            "node_class": GreetedNode if len(nodes) > 1 else NamedNode,
            "dead_node_backoff_factor": LEFT_OUT_SECONDS,
            "max_retries": len(nodes) - 1,
            "retry_on_status": (),
            "retry_on_timeout": False,
        }
        super().__init__(hosts=nodes, es_conn_args=arguments)

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
            "docs/connections.md has its fields. If it is listed there, it was saved with another "
            "Fernet key than Airflow has: enter its password and extras again."
        ) from error
