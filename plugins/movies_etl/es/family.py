"""The concrete indexes of one alias, with the alias or without it, and how each came to be.

What an index says of itself stands in its mapping's ``_meta``, beside its owner. Which of them is
live only the alias says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from elasticsearch import Elasticsearch
from pydantic import BaseModel, ConfigDict, ValidationError

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.carried import flat
from movies_etl.es.client import translated_errors
from movies_etl.es.dead_letters import letters_of
from movies_etl.es.index import Index
from movies_etl.es.maker import maker_of

_KEY = "movies_etl_build"
"""The key of ``_meta`` that tells of the build."""

BuildState = Literal["loading", "loaded", "failed", "live"]


class Build(BaseModel):
    """How an index came to be.

    :param state: ``loading``; ``loaded``, so it may be fed and take the alias; ``failed``, it was
        refused at the last look; ``live``, it had the alias once, and has it unless another one
        took it.
    :param run: the id of the run of the DAG that makes it; empty of one that ``init`` made.
    :param replaces: the index that had the alias before.
    :param settings: those of the file, as it was then, by their whole names; None where nobody
        knows.
    :param files: digest of the files that it is made from, see :func:`files_of`; None where nobody
        knows.
    """

    model_config = ConfigDict(frozen=True)

    state: BuildState
    run: str
    replaces: str | None = None
    settings: dict[str, str | list[str]] | None = None
    files: str | None = None

    @classmethod
    def at_first(cls, described: Mapping[str, Any]) -> Self:
        """Return that of the first index of an alias, which has it from the beginning.

        :param described: settings and mappings of the file, with its maker.
        """
        file = flat(described["settings"])
        return cls(state="live", run="", settings=file, files=files_of(described))

    def written(self, meta: dict[str, Any] | None) -> dict[str, Any]:
        """Return ``_meta`` with this in it."""
        return {**(meta or {}), _KEY: self.model_dump(mode="json")}


def built(described: Mapping[str, Any], build: Build) -> dict[str, Any]:
    """Return the description of an index with how it came to be in the mapping's ``_meta``."""
    mapping = described["mappings"]
    meta = build.written(mapping.get("_meta"))
    return {**described, "mappings": {**mapping, "_meta": meta}}


def files_of(described: Mapping[str, Any]) -> str:
    """Return a digest of what decides about an index: settings, mapping, how documents are made.

    :param described: settings and mappings of the file, with its maker.
    """
    mapping = described["mappings"]
    maker = maker_of(mapping)
    files = [described["settings"], {**mapping, "_meta": maker and maker.documents}]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def family(client: Elasticsearch, definition: IndexDefinition) -> dict[str, Build | None]:
    """Return the concrete indexes of an alias by name, the oldest first.

    :returns: None for one that says nothing of it: an earlier version made it.
    """
    with translated_errors():
        found = client.indices.get_mapping(
            index=f"{definition.alias}-*",
            allow_no_indices=True,
            filter_path="*.mappings._meta,*.mappings.dynamic",
        )
    return {
        name: _build(one["mappings"].get("_meta"))
        for name, one in sorted(found.items())
        if is_concrete(definition, name)
    }


def free_name(client: Elasticsearch, definition: IndexDefinition, now: datetime) -> str:
    """Return a name for a new index of an alias: that of this second, or of the next free one.

    :param now: by the database's clock, as in the names that are there.
    """
    while exists(client, name := f"{definition.alias}-{now:%Y%m%d%H%M%S}"):
        now += timedelta(seconds=1)
    return name


def is_concrete(definition: IndexDefinition, name: str) -> bool:
    """Whether a name is one that this program gives to an index of an alias."""
    return bool(re.fullmatch(rf"{re.escape(definition.alias)}-\d{{14}}", name))


def exists(client: Elasticsearch, name: str) -> bool:
    """Whether an index is there, open or closed."""
    with translated_errors():
        return bool(client.indices.exists(index=name, expand_wildcards="all"))


def build_of(index: Index) -> Build | None:
    """Return how an index came to be; None of one that does not say so."""
    return _build(index.mapping().get("_meta"))


def note(index: Index, build: Build) -> None:
    """Write how an index came to be."""
    meta = build.written(index.mapping().get("_meta"))
    with translated_errors():
        index.client.indices.put_mapping(index=index.name, meta=meta)


def remove(client: Elasticsearch, name: str) -> None:
    """Delete a concrete index and its letters; what is gone already is no error."""
    with translated_errors():
        for one in (name, letters_of(name)):
            client.indices.delete(index=one, ignore_unavailable=True)


def _build(meta: dict[str, Any] | None) -> Build | None:
    try:
        return Build.model_validate((meta or {}).get(_KEY))
    except ValidationError:
        return None
