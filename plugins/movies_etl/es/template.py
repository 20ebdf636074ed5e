"""The index template that keeps late requests from bringing back a deleted index.

A bulk request that arrives after its index was deleted would create one of that name, with a
mapping that Elasticsearch guesses. The template forbids that for the names that this program has
used, and for no others: ``movies_reviews`` or ``movies-archive`` may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.es.client import translated_errors

MAX_KEPT_NAMES = 20
"""Concrete indexes that are remembered, the newest last: a request is late by minutes."""

PRIORITY = 1013
"""Unlike what others choose: Elasticsearch refuses two templates of one priority for one name."""

_META = {"description": "Movies ETL creates its indexes itself"}
"""By which a template is known as this program's."""


def forbid_automatic_creation(
    client: Elasticsearch, definition: IndexDefinition, concrete: str
) -> None:
    """Keep a late request from creating the alias's name, letters, lists, or a concrete index.

    An operator's own template of the same name is left alone.

    :param concrete: the index that is written to, there already or not.
    :raises ConfigurationError: Elasticsearch refuses the template.
    """
    with translated_errors():
        names = _missing_names(client, definition, concrete)
        if not names:
            return
        priority = _priority(client, definition.alias, names)
        try:
            client.indices.put_index_template(
                name=definition.alias,
                index_patterns=names,
                priority=priority,
                allow_auto_create=False,
                meta=_META,
            )
        except elasticsearch.BadRequestError as error:
            raise ConfigurationError(
                f"Elasticsearch (connection movies_elasticsearch) refused index template "
                f"{definition.alias}, which keeps late requests from creating indexes: {error}. "
                "Change the template that it names, or give it another priority."
            ) from error


def is_creation_forbidden(
    client: Elasticsearch, definition: IndexDefinition, concrete: str
) -> bool:
    """Whether the template says so already, or is an operator's own."""
    with translated_errors():
        return not _missing_names(client, definition, concrete)


def _missing_names(
    client: Elasticsearch, definition: IndexDefinition, concrete: str
) -> list[str] | None:
    """Return the names that the template is to match; None where it needs no change."""
    found = _template(client, definition.alias)
    if found and found.get("_meta") != _META:
        return None
    before = found["index_patterns"] if found else ()
    names = _names(definition, before, concrete)
    return None if names == list(before) else names


def _template(client: Elasticsearch, name: str) -> Mapping[str, Any] | None:
    try:
        answer = client.indices.get_index_template(name=name)
    except elasticsearch.NotFoundError:
        return None
    found: Mapping[str, Any] = answer["index_templates"][0]["index_template"]
    return found


def _names(definition: IndexDefinition, before: Sequence[str], concrete: str) -> list[str]:
    """Return the names that the template matches; version 0.1.0 had a pattern for all at once."""
    always = [definition.alias, definition.dead_letters, definition.fuse_lists]
    used = [name for name in before if "*" not in name and name not in always]
    if concrete not in used:
        used.append(concrete)
    return [*always, *used[-MAX_KEPT_NAMES:]]


def _priority(client: Elasticsearch, own: str, names: Sequence[str]) -> int:
    """Return a priority above that of each other template that matches one of the names."""
    return max([PRIORITY, *(priority + 1 for priority in _of_others(client, own, names))])


def _of_others(client: Elasticsearch, own: str, names: Sequence[str]) -> Iterator[int]:
    answer = client.indices.get_index_template(
        filter_path="index_templates.name,index_templates.index_template.index_patterns,"
        "index_templates.index_template.priority"
    )
    for other in answer.get("index_templates", ()):
        template = other["index_template"]
        matches = any(_matches(pattern, names) for pattern in template["index_patterns"])
        if other["name"] != own and matches:
            yield template.get("priority", 0)


def _matches(pattern: str, names: Sequence[str]) -> bool:
    """Whether a pattern, in which a star stands for anything, matches one of the names."""
    exact = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return any(exact.fullmatch(name) for name in names)
