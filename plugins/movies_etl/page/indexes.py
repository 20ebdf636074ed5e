"""What Elasticsearch says: the index behind the alias, those beside it, how many dead letters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es import admin
from movies_etl.es.client import translated_errors
from movies_etl.es.family import Build, family
from movies_etl.page.memory import Servers


class Concrete(NamedTuple):
    """A concrete index.

    :param created: when it was made.
    :param documents: that a search finds.
    :param build: how it came to be; None of one that no rebuild made.
    """

    name: str
    created: datetime
    documents: int
    build: Build | None


class Indexes(NamedTuple):
    """What was said.

    :param live: the index behind the alias; None where there is none.
    :param beside: the others, the newest first.
    :param letters: dead letters of the live one.
    """

    live: Concrete | None
    beside: list[Concrete]
    letters: int


def indexes(definition: IndexDefinition, servers: Servers) -> Indexes:
    """Ask Elasticsearch."""
    with servers.elasticsearch() as client:
        index = admin.live(client, definition)
        builds = family(client, definition)
        names = {*builds, *([index.name] if index else [])}
        found = {name: _concrete(client, name, builds.get(name)) for name in names}
        with translated_errors():
            letters = client.count(index=definition.dead_letters, ignore_unavailable=True)["count"]
    live = found.pop(index.name) if index else None
    beside = sorted(found.values(), key=lambda one: one.created, reverse=True)
    return Indexes(live, beside, letters)


def _concrete(client: Elasticsearch, name: str, build: Build | None) -> Concrete:
    with translated_errors():
        settings = client.indices.get_settings(index=name)[name]["settings"]["index"]
        documents = client.count(index=name)["count"]
    created = datetime.fromtimestamp(int(settings["creation_date"]) / 1000, UTC)
    return Concrete(name, created, documents, build)
