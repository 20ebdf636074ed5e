"""The index behind the alias: described, found, created, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, IndexUnavailableError, MoviesEtlError
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.es.maker import KEY, Maker
from movies_etl.retries import retrying
from movies_etl.settings import included

_TWO_WRITE_INDEXES = "illegal_state_exception"
"""What Elasticsearch says of an alias that would have two indexes to write to."""


def described(definition: IndexDefinition, include_dir: Path) -> dict[str, Any]:
    """Read the settings and the mapping of an index, and note what makes its documents.

    ``settings.json`` holds the settings of every index whose own file has none.

    :raises ConfigurationError: a file is missing or is not JSON; names it.
    """
    folder = include_dir / "elasticsearch"
    own = _json(folder / f"{definition.name}.json")
    if "settings" not in own:
        own["settings"] = _json(folder / "settings.json")
    mapping = own.get("mappings", {})
    meta = {**mapping.get("_meta", {}), KEY: Maker.of(definition, include_dir).model_dump()}
    return {**own, "mappings": {**mapping, "_meta": meta}}


def _json(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(included(file))
    except ValueError as error:
        raise ConfigurationError(f"{file} is not valid JSON: {error}. Fix it.") from error
    return found


def live(client: Elasticsearch, definition: IndexDefinition, patience: float = 0.0) -> Index | None:
    """Return the index behind the alias; None when there is neither alias nor index.

    :param patience: seconds that a lost or overloaded Elasticsearch is waited for; the index has
        it too.
    :raises ConfigurationError: the alias has several indexes, or its name is taken by an index.
    """
    alias = definition.alias
    names = retrying(patience)(_behind, client, alias)
    if not names:
        return None
    if names == [alias]:
        raise ConfigurationError(
            f"{alias} is an index, not an alias (connection movies_elasticsearch). If it is "
            "somebody else's, set MOVIES_ETL_INDEX_PREFIX. If it is an old one of yours, trigger "
            f"{definition.reindex_dag} with take_over, which replaces it without downtime."
        )
    if len(names) > 1:
        raise ConfigurationError(
            f"Alias {alias} points to {', '.join(names)} (connection movies_elasticsearch). "
            "Remove it from all but one."
        )
    return Index(client, definition, names[0], patience)


def _behind(client: Elasticsearch, alias: str) -> list[str]:
    with translated_errors():
        return sorted(client.indices.get(index=alias, ignore_unavailable=True))


def live_name(client: Elasticsearch, definition: IndexDefinition) -> str | None:
    """Return the name of the index behind the alias, also of one that has the alias's name."""
    names = _behind(client, definition.alias)
    return names[0] if names else None


def create_beside(
    client: Elasticsearch,
    definition: IndexDefinition,
    name: str,
    settings: Mapping[str, Any],
    mapping: Mapping[str, Any],
) -> Index:
    """Create an index without an alias.

    :raises ConfigurationError: Elasticsearch refuses the settings or the mapping.
    """
    with translated_errors():
        client.indices.create(
            index=name, settings=settings, mappings=mapping, wait_for_active_shards=1
        )
    return Index(client, definition, name)


def create(
    client: Elasticsearch, definition: IndexDefinition, name: str, described: Mapping[str, Any]
) -> Index:
    """Create an index and its alias in one request, so that neither is there without the other.

    It is the alias's write index, of which Elasticsearch allows one: of two requests, one of which
    may be late, only the first is carried out.

    :param name: ``<alias>-%Y%m%d%H%M%S``.
    :param described: settings and mappings.
    :raises IndexUnavailableError: another index has come behind the alias since it was looked for.
    """
    try:
        with translated_errors():
            client.indices.create(
                index=name,
                settings=described["settings"],
                mappings=described["mappings"],
                aliases={definition.alias: {"is_write_index": True}},
                wait_for_active_shards=1,
            )
    except MoviesEtlError as error:
        refusal = error.__cause__
        if isinstance(refusal, elasticsearch.ApiError) and refusal.error == _TWO_WRITE_INDEXES:
            raise IndexUnavailableError(
                f"Alias {definition.alias} has an index already, made while {name} was to be made. "
                "The next attempt takes it."
            ) from refusal
        raise
    return Index(client, definition, name)
