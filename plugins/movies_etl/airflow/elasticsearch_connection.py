"""What the Elasticsearch connection's fields become: addresses, and arguments of the client."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from movies_etl.errors import ConfigurationError, problems

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_PORT = 9200
SCHEMES = ("http", "https")


class ElasticsearchExtras(BaseModel):
    """The extras that connection ``movies_elasticsearch`` may have.

    :param api_key: instead of login and password: the encoded form that Elasticsearch returns.
    :param ca_certs: a file with the certificates that the server's is signed by.
    :param verify_certs: False accepts any certificate.
    :param ssl_assert_fingerprint: SHA-256 of the server's certificate, instead of ``ca_certs``.
    :param client_cert: file of a client certificate.
    :param client_key: file of its key.
    :param request_timeout: seconds that one request may take.

    Errors do not show the values: that of a misspelt ``api_key`` is a secret, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api_key: str | None = None
    ca_certs: str | None = None
    verify_certs: bool | None = None
    ssl_assert_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    request_timeout: float = Field(default=60.0, gt=0)


def addresses(connection: Connection) -> list[str]:
    """Return the URL of each node.

    :raises ConfigurationError: type, schema or host is not valid; names it.
    """
    scheme, path = _scheme_and_path(connection)
    hosts = [host.strip() for host in (connection.host or "").split(",") if host.strip()]
    if not hosts:
        raise ConfigurationError(f"Connection {connection.conn_id} has no host.")
    return [_address(connection, scheme, host, path) for host in hosts]


def _scheme_and_path(connection: Connection) -> tuple[str, str]:
    """Read type and schema: Airflow keeps the path of a URI like ``https://es/path`` as schema."""
    kind, schema = connection.conn_type, (connection.schema or "").strip()
    if kind not in ("elasticsearch", *SCHEMES):
        raise ConfigurationError(
            f"Connection {connection.conn_id} has type {kind!r}; it must be elasticsearch, http or "
            "https."
        )
    named = schema.lower() if schema.lower() in SCHEMES else None
    if kind == "https" and named == "http":
        raise ConfigurationError(
            f"Connection {connection.conn_id} has type https and schema http. Change one of them."
        )
    if kind == "elasticsearch" and schema and not named:
        raise ConfigurationError(
            f"Connection {connection.conn_id}: schema is {schema!r}; it must be http or https "
            "(http when empty). A path belongs to the host: es.example.org/path."
        )
    if named or kind == "elasticsearch":
        return named or "http", ""
    return kind, schema


def _address(connection: Connection, scheme: str, host: str, path: str) -> str:
    if "@" in host:
        raise ConfigurationError(
            f"Connection {connection.conn_id}: the host has a login in it. Use the fields login "
            "and password."
        )
    if "://" in host:
        raise ConfigurationError(
            f"Connection {connection.conn_id}: host {host} must be a name without http:// or "
            "https://; the schema field says which of them it is."
        )
    name, _, own_path = host.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"  # an IPv6 address
    if not re.search(r":\d+$", name):
        name = f"{name}:{connection.port or DEFAULT_PORT}"
    return f"{scheme}://{name}/{own_path or path}".rstrip("/")


def client_arguments(connection: Connection) -> dict[str, Any]:
    """Return what the client takes besides addresses: TLS, credentials, the time of a request.

    :raises ConfigurationError: an extra is not valid; names it.
    """
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


def in_clear_text(nodes: list[str], arguments: dict[str, Any]) -> list[str]:
    """Return the addresses to which a secret travels in clear text over the network."""
    if not ("basic_auth" in arguments or "api_key" in arguments):
        return []
    return [node for node in nodes if node.startswith("http://") and not _is_here(node)]


def _is_here(node: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(node).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
