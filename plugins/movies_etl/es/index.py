"""Elasticsearch: the index behind the alias, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from movies_etl.errors import ConfigurationError, IndexUnavailableError, MoviesEtlError
from movies_etl.retries import retrying

ALIAS = "movies"
TEMPLATE = "movies"
OVERLOADED = frozenset({429, 502, 503, 504})
"""HTTP statuses that say: later."""
SERVER_ERROR = 500
"""The HTTP status from which on Elasticsearch, not the request, is at fault."""

NO_INDEX = frozenset({"index_not_found_exception", "index_closed_exception"})
"""What Elasticsearch says of an item when its index is deleted or closed."""

MAX_IDS_PER_LOOKUP = 10_000
"""Films that are looked up by one request."""

_TWO_WRITE_INDEXES = "illegal_state_exception"
"""What Elasticsearch says of an alias that would have two indexes to write to."""


class Stored(NamedTuple):
    """What the index has of a film.

    :param version: its external version; 0 when the film is not there.
    :param checksum: of the document's text; None when the film is not there.
    """

    version: int
    checksum: int | None


ABSENT = Stored(0, None)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the client's errors into this program's, with the connection and the next step."""
    try:
        yield
    except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException) as error:
        raise ConfigurationError(
            f"Elasticsearch refused the login of connection movies_elasticsearch: {error}. Mend "
            "its login and password or api_key, or the role's rights on movies*."
        ) from error
    except elasticsearch.UnsupportedProductError as error:
        raise ConfigurationError(
            f"The server of connection movies_elasticsearch is not Elasticsearch: {error} Mend "
            "its host and port."
        ) from error
    except elasticsearch.SSLError as error:
        raise ConfigurationError(
            f"TLS to connection movies_elasticsearch failed: {error}. Mend its schema (http or "
            "https) or its extras ca_certs, ssl_assert_fingerprint, verify_certs."
        ) from error
    except elasticsearch.ApiError as error:
        if error.meta.status in OVERLOADED or error.meta.status >= SERVER_ERROR:
            raise IndexUnavailableError(
                f"Elasticsearch (connection movies_elasticsearch) is overloaded or fails: {error}."
            ) from error
        raise ConfigurationError(
            f"Elasticsearch (connection movies_elasticsearch) refused a request: {error}."
        ) from error
    except elasticsearch.TransportError as error:
        raise IndexUnavailableError(
            f"Elasticsearch (connection movies_elasticsearch) cannot be reached: {error}. Check "
            "that it runs and that the connection's host, port and schema are right."
        ) from error


class Index:
    """One concrete index.

    :param client: of an Elasticsearch of the supported major version.
    :param name: the concrete index, never the alias: it must not move under a running task.
    :param patience: seconds that a look-up waits for a lost or overloaded Elasticsearch.
    :raises ConfigurationError: (every method) Elasticsearch refuses the request.
    :raises IndexUnavailableError: (every method) Elasticsearch cannot be reached or is overloaded.
    """

    def __init__(self, client: Elasticsearch, name: str, patience: float = 0.0) -> None:
        self.client = client
        self.name = name
        self.patience = patience

    def stored(self, films: Sequence[str]) -> dict[str, Stored]:
        """Return version and checksum of films in real time: what a search sees is older."""
        films = [film for film in films if film]  # an empty id fails the whole request
        found: dict[str, Stored] = {}
        for start in range(0, len(films), MAX_IDS_PER_LOOKUP):
            found |= retrying(self.patience)(
                self._stored, films[start : start + MAX_IDS_PER_LOOKUP]
            )
        return found

    def _stored(self, films: Sequence[str]) -> dict[str, Stored]:
        with translated_errors():
            answer = self.client.mget(
                index=self.name,
                ids=list(films),
                source_includes=["checksum"],
                realtime=True,
                filter_path="docs._id,docs._version,docs._source,docs.error",
            )
        stored = {}
        for document in answer["docs"]:
            if document.get("error", {}).get("type") in NO_INDEX:
                raise ConfigurationError(
                    f"Index {self.name} vanished or was closed while it was written to. Open it if "
                    f"it is closed; the next run looks for alias {ALIAS} again."
                )
            if "error" in document:
                raise IndexUnavailableError(
                    f"Elasticsearch could not look up film {document['_id']} in {self.name}: "
                    f"{document['error'].get('reason', document['error'])}."
                )
            if "_version" in document:
                source = document.get("_source", {})
                stored[document["_id"]] = Stored(document["_version"], source.get("checksum"))
        return stored

    def refresh(self) -> None:
        """Make every confirmed document visible to searches."""
        retrying(self.patience)(self._refresh)

    def _refresh(self) -> None:
        with translated_errors():
            self.client.indices.refresh(index=self.name)

    def documents(self) -> int:
        """Count the documents, those included that no search sees yet."""
        self.refresh()
        return retrying(self.patience)(self._count)

    def _count(self) -> int:
        with translated_errors():
            return int(self.client.count(index=self.name)["count"])

    def uuid(self) -> str:
        """Return the index's uuid: a recreated index of the same name has another."""
        return retrying(self.patience)(self._uuid)

    def _uuid(self) -> str:
        with translated_errors():
            settings = self.client.indices.get_settings(index=self.name, name="index.uuid")
        return str(settings[self.name]["settings"]["index"]["uuid"])


def check_server(client: Elasticsearch) -> None:
    """Refuse a server of another major version than the client's.

    :raises ConfigurationError: another major version, or not Elasticsearch.
    """
    ours = elasticsearch.__version__[0]
    try:
        with translated_errors():
            found = str(client.info()["version"]["number"])
    except ConfigurationError as error:
        refusal = error.__cause__
        if isinstance(refusal, (elasticsearch.BadRequestError, elasticsearch.NotFoundError)):
            raise ConfigurationError(
                "The server of connection movies_elasticsearch is not Elasticsearch, or of another "
                f"major version; this program speaks to version {ours}. It said: {refusal}. Mend "
                "its host and port, or point the connection to such a server."
            ) from refusal
        raise
    major = int(found.split(".", maxsplit=1)[0])
    if major != ours:
        raise ConfigurationError(
            f"The server of connection movies_elasticsearch is Elasticsearch {found}; this "
            f"program speaks to version {ours}. Point the connection to such a server, or install "
            f"the client of the server's major version (elasticsearch>={major},<{major + 1})."
        )


def definition(include_dir: Path) -> dict[str, Any]:
    """Read the index's settings and mapping."""
    text = (include_dir / "elasticsearch" / "movies.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def live(client: Elasticsearch, patience: float = 0.0) -> Index | None:
    """Return the index behind the alias; None when there is neither alias nor index.

    :param patience: seconds that a lost or overloaded Elasticsearch is waited for; the index has
        it too.
    :raises ConfigurationError: the alias has several indexes, or its name is taken by an index.
    """
    names = retrying(patience)(_behind_alias, client)
    if not names:
        return None
    if names == [ALIAS]:
        raise ConfigurationError(
            f"{ALIAS} is an index, not an alias (connection movies_elasticsearch). Delete it, or "
            f"copy it to another name: the program makes {ALIAS} an alias of an index of its own."
        )
    if len(names) > 1:
        raise ConfigurationError(
            f"Alias {ALIAS} points to {', '.join(names)} (connection movies_elasticsearch). "
            "Remove it from all but one."
        )
    return Index(client, names[0], patience)


def _behind_alias(client: Elasticsearch) -> list[str]:
    with translated_errors():
        return sorted(client.indices.get(index=ALIAS, ignore_unavailable=True))


def forbid_automatic_creation(client: Elasticsearch) -> None:
    """Keep a late request from bringing back a deleted index with a guessed mapping."""
    with translated_errors():
        if client.indices.exists_index_template(name=TEMPLATE):
            return
        client.indices.put_index_template(
            name=TEMPLATE,
            index_patterns=[f"{ALIAS}*"],
            priority=500,
            allow_auto_create=False,
            meta={"description": "Movies ETL creates its indexes itself"},
        )


def create(client: Elasticsearch, name: str, described: Mapping[str, Any]) -> Index:
    """Create an index and its alias in one request, so that neither is there without the other.

    It is the alias's write index, of which Elasticsearch allows one: of two requests, one of which
    may be late, only the first is carried out.

    :param name: ``movies-%Y%m%d%H%M%S``.
    :param described: settings and mappings.
    :raises IndexUnavailableError: another index has come behind the alias since it was looked for.
    """
    try:
        with translated_errors():
            client.indices.create(
                index=name,
                settings=described["settings"],
                mappings=described["mappings"],
                aliases={ALIAS: {"is_write_index": True}},
                wait_for_active_shards=1,
            )
    except MoviesEtlError as error:
        refusal = error.__cause__
        if isinstance(refusal, elasticsearch.ApiError) and refusal.error == _TWO_WRITE_INDEXES:
            raise IndexUnavailableError(
                f"Alias {ALIAS} has an index already, made while {name} was to be made. The next "
                "attempt takes it."
            ) from refusal
        raise
    return Index(client, name)


def check_mapping(index: Index, described: Mapping[str, Any]) -> None:
    """Refuse an index whose fields are not this program's.

    Further fields and parameters do no harm.

    :raises ConfigurationError: names the first field, sub-field or parameter that is missing or
        another.
    """
    with translated_errors():
        answer = index.client.indices.get_mapping(index=index.name)
    found = answer[index.name]["mappings"].get("properties", {})
    for difference in _differences(described["mappings"]["properties"], found):
        raise ConfigurationError(
            f"Index {index.name} behind alias {ALIAS} was not made by this version of the program: "
            f"{difference} is needed. Take the alias away from it: the next run creates an index "
            "and loads everything."
        )


def _differences(
    wanted: Mapping[str, Any], found: Mapping[str, Any], parent: str = ""
) -> Iterator[str]:
    for name, parameters in wanted.items():
        field, has = f"{parent}{name}", found.get(name)
        if has is None:
            yield f"field {field} is missing, {parameters['type']}"
            continue
        for parameter, value in parameters.items():
            if parameter in {"properties", "fields"}:
                yield from _differences(value, has.get(parameter, {}), f"{field}.")
            elif has.get(parameter) != value:
                said = "is" if parameter == "type" else f"has {parameter}"
                yield f"field {field} {said} {has.get(parameter)}, {value}"
