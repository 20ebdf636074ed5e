"""The client: its errors translated, its requests repeated, the server's version checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import elasticsearch
from elastic_transport import ObjectApiResponse
from elasticsearch import Elasticsearch

from movies_etl.errors import ConfigurationError, IndexUnavailableError, MoviesEtlError
from movies_etl.es.blocks import BLOCK, with_remedy
from movies_etl.es.transport import API_VERSION
from movies_etl.retries import retrying

OVERLOADED = frozenset({429, 502, 503, 504})
"""HTTP statuses that say: later."""

SERVER_ERROR = 500
"""The HTTP status from which on Elasticsearch, not the request, is at fault."""

NEWER_IS_THERE = 409
"""The HTTP status of an item for which the index has a newer version."""

NO_INDEX = frozenset({"index_not_found_exception", "index_closed_exception"})
"""What Elasticsearch says of an item when its index is deleted or closed."""

SERVERS = (API_VERSION, API_VERSION + 1)
"""The major versions of servers that have the version of the API that is spoken."""

_SPOKEN_TO = f"versions {SERVERS[0]} and {SERVERS[1]}"

ArgumentsT = ParamSpec("ArgumentsT")
AnswerT = TypeVar("AnswerT")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the client's errors into this program's, with the connection and the next step."""
    try:
        yield
    except elasticsearch.ApiError as error:
        raise _of_answer(error) from error
    except elasticsearch.SSLError as error:
        raise ConfigurationError(
            f"TLS to connection movies_elasticsearch failed: {_of_each_node(error)}. Fix its "
            "schema (http or https) or its extras ca_certs, ssl_assert_fingerprint, verify_certs."
        ) from error
    except elasticsearch.TransportError as error:
        raise IndexUnavailableError(
            f"Elasticsearch (connection movies_elasticsearch) cannot be reached: "
            f"{_of_each_node(error)}. Check that it runs and that the connection's host, port and "
            "schema are right."
        ) from error


def _of_answer(error: elasticsearch.ApiError) -> MoviesEtlError:
    """Return what an answer other than success means for an operator."""
    status = error.meta.status
    if status in OVERLOADED or status >= SERVER_ERROR:
        return IndexUnavailableError(
            f"Elasticsearch (connection movies_elasticsearch, {_address(error)}) is overloaded or "
            f"fails: {with_remedy(str(error))}."
        )
    if error.error == BLOCK:
        return ConfigurationError(
            f"Elasticsearch (connection movies_elasticsearch) is blocked: "
            f"{with_remedy(str(error))}."
        )
    if isinstance(
        error, (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException)
    ):
        return ConfigurationError(
            f"Elasticsearch refused the login of connection movies_elasticsearch: {error}. Fix "
            "its login and password or api_key, or the role's rights on movies*."
        )
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ConfigurationError(
            f"The server of connection movies_elasticsearch is not Elasticsearch: {error} Fix "
            "its host and port."
        )
    return ConfigurationError(
        f"Elasticsearch (connection movies_elasticsearch) refused a request: {error}."
    )


def _of_each_node(error: elasticsearch.TransportError) -> str:
    """Return what was said of each node that was tried."""
    tried = [getattr(one, "message", one) for one in (*error.errors, error)]
    return "; ".join(dict.fromkeys(map(str, tried)))


def _address(error: elasticsearch.ApiError) -> str:
    node = error.meta.node
    return f"{node.scheme}://{node.host}:{node.port}{node.path_prefix}"


def whole(answer: ObjectApiResponse[Any], what: str) -> ObjectApiResponse[Any]:
    """Return an answer that every shard gave in time.

    :param what: what was asked, for the message.
    :raises IndexUnavailableError: some shards gave no answer.
    """
    shards = answer["_shards"]
    if answer.get("timed_out") or shards["successful"] < shards["total"]:
        raise IndexUnavailableError(
            f"Elasticsearch (connection movies_elasticsearch) answered {what} in part only: "
            f"{shards['successful']} of {shards['total']} shards"
            f"{', and it ran out of time' if answer.get('timed_out') else ''}."
        )
    return answer


def looked_up(answer: ObjectApiResponse[Any], index: str) -> list[dict[str, Any]]:
    """Return what a look-up by ids says of each; ``found`` tells which are there.

    :param index: was asked, for the message.
    :raises IndexUnavailableError: the shard of one of them did not answer.
    """
    documents: list[dict[str, Any]] = answer["docs"]
    for one in documents:
        if "error" in one:
            reason = one["error"].get("reason", one["error"])
            raise IndexUnavailableError(
                f"Elasticsearch could not look up {one['_id']} in {index}: {reason}."
            )
    return documents


class Patient(Protocol):
    """Waits for a lost or overloaded Elasticsearch.

    ``patience`` is for how many seconds new attempts are started.
    """

    @property
    def patience(self) -> float:
        """Seconds."""


PatientT = TypeVar("PatientT", bound=Patient)


def patient(
    method: Callable[Concatenate[PatientT, ArgumentsT], AnswerT],
) -> Callable[Concatenate[PatientT, ArgumentsT], AnswerT]:
    """Repeat a method while Elasticsearch is lost or overloaded, and translate its errors."""

    @wraps(method)
    def repeated(
        self: PatientT, /, *arguments: ArgumentsT.args, **named: ArgumentsT.kwargs
    ) -> AnswerT:
        def attempt() -> AnswerT:
            with translated_errors():
                return method(self, *arguments, **named)

        return retrying(self.patience)(attempt)

    return repeated


def check_server(client: Elasticsearch) -> None:
    """Refuse a server without the version of the API that the client asks for.

    :raises ConfigurationError: another major version, or not Elasticsearch.
    """
    try:
        with translated_errors():
            found = str(client.info()["version"]["number"])
    except ConfigurationError as error:
        refusal = error.__cause__
        if isinstance(refusal, (elasticsearch.BadRequestError, elasticsearch.NotFoundError)):
            raise ConfigurationError(
                "The server of connection movies_elasticsearch is not Elasticsearch, or of another "
                f"major version; this program speaks to {_SPOKEN_TO}. It said: {refusal}. Fix its "
                "host and port, or point the connection to such a server."
            ) from refusal
        raise
    if int(found.partition(".")[0]) not in SERVERS:
        raise ConfigurationError(
            f"The server of connection movies_elasticsearch is Elasticsearch {found}; this "
            f"program speaks to {_SPOKEN_TO}. Point the connection to such a server."
        )
