"""What Elasticsearch says: the index behind the alias, those beside it, how many dead letters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.client import translated_errors, whole
from movies_etl.es.family import Build, family
from movies_etl.page.memory import Servers
from movies_etl.page.parts import Hurried, Parts, live_index


class Concrete(NamedTuple):
    """A concrete index.

    :param created: when it was made; None where that cannot be read.
    :param documents: that a search finds; None where they cannot be counted.
    :param build: how it came to be; None of one that does not say so.
    """

    name: str
    created: datetime | None
    documents: int | None
    build: Build | None


class Indexes(NamedTuple):
    """What Elasticsearch said.

    :param live: the index behind the alias; None where there is none.
    :param beside: the others, the newest first.
    :param letters: number of dead letters of the live one; None where they cannot be counted.
    :param problems: why the live one cannot be told, or cannot be searched.
    :param unread: what else could not be read, and why.
    """

    live: Concrete | None
    beside: list[Concrete]
    letters: int | None
    problems: list[str]
    unread: list[str]


def indexes(definition: IndexDefinition, servers: Servers) -> Indexes:
    """Ask Elasticsearch part by part, the live index first, all within the time of one answer.

    :raises IndexUnavailableError: it cannot be reached or is overloaded.
    """
    with servers.elasticsearch() as client:
        node, live, others = _Node(client), Parts(), Parts()
        index = live_index(live, node.client, definition)
        name = index.name if index else None
        counted = {name: live.ask(f"Index {name}", partial(node.count, name))} if name else {}
        builds = others.ask("Indexes beside the live one", lambda: family(node.client, definition))
        builds = {**dict.fromkeys(counted), **(builds or {})}
        created = others.ask("When indexes were made", partial(node.created, builds)) or {}
        letters = others.ask("Dead letters", partial(node.count, definition.dead_letters))
        for one in builds:
            if one not in counted:
                counted[one] = others.ask(f"Index {one}", partial(node.count, one))
    found = {
        one: Concrete(one, created.get(one), counted[one], build) for one, build in builds.items()
    }
    of_alias = found.pop(name) if name else None
    beside = sorted(found.values(), key=lambda one: one.name, reverse=True)
    return Indexes(of_alias, beside, letters, live.unread, others.unread)


class _Node(Hurried):
    """Elasticsearch, asked about indexes."""

    def count(self, index: str) -> int:
        """Count the documents that a search finds; none in an index that is not there."""
        with translated_errors():
            answer = self.client.count(index=index, ignore_unavailable=True)
        return int(whole(answer, f"a count of {index}")["count"])

    def created(self, names: Iterable[str]) -> dict[str, datetime]:
        """Return when indexes were made."""
        if not (asked := [*names]):
            return {}
        with translated_errors():
            found = self.client.indices.get_settings(
                index=asked, name="index.creation_date", ignore_unavailable=True
            )
        return {
            name: datetime.fromtimestamp(int(one["settings"]["index"]["creation_date"]) / 1000, UTC)
            for name, one in found.items()
        }
