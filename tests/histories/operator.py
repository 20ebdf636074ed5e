"""Whoever has Elasticsearch in hand: deletes, recreates and empties the index, moves the alias."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.es import admin
from movies_etl.settings import Settings

WAYS = ("delete", "recreate", "move")


class Operator:
    """Does to the index what operators do.

    :param client: undisturbed.
    """

    def __init__(self, client: Elasticsearch) -> None:
        self.client = client
        self.replaced = 0

    def clean_up(self) -> None:
        """Leave nothing of an earlier history; the letters' index stays, empty."""
        for name in self.indexes():
            if name == MOVIES.dead_letters:
                self.empty(name)
            else:
                self.client.indices.delete(index=name)

    def indexes(self) -> list[str]:
        """Return all of the program's indexes."""
        return list(self.client.indices.get(index="movies*", expand_wildcards="all"))

    def live(self) -> str | None:
        """Return the index behind the alias."""
        names = self.indexes_behind_alias()
        return names[0] if names else None

    def indexes_behind_alias(self) -> list[str]:
        """Return them; the program wants one."""
        return list(self.client.indices.get(index="movies", ignore_unavailable=True))

    def mend_alias(self) -> None:
        """Leave one index behind the alias, when a zombie created another beside it."""
        for name in self.indexes_behind_alias()[1:]:
            self.client.indices.delete(index=name)

    def documents(self, index: str) -> dict[str, dict[str, Any]]:
        """Return what a search sees after a refresh, without checksums."""
        self.client.indices.refresh(index=index)
        hits = self.client.search(index=index, size=1000)["hits"]["hits"]
        return {
            hit["_id"]: {key: hit["_source"][key] for key in hit["_source"] if key != "checksum"}
            for hit in hits
        }

    def refresh(self) -> None:
        """Refresh the live index, as Elasticsearch does now and then."""
        if self.live():
            self.client.indices.refresh(index="movies")

    def empty(self, index: str) -> None:
        """Delete every document."""
        if there := self.documents(index):
            deletions = [{"delete": {"_id": key}} for key in there]
            self.client.bulk(index=index, operations=deletions, refresh=True)

    def replace(self, how: str) -> None:
        """Delete the index, recreate it empty, or move the alias to an empty one."""
        name = self.live()
        if name is None:
            return
        self.replaced += 1
        if how == "move":
            self._create(f"movies-manual-{self.replaced}", aliases={})
            actions = [
                {"remove_index": {"index": name}},
                {"add": {"index": f"movies-manual-{self.replaced}", "alias": "movies"}},
            ]
            self.client.indices.update_aliases(actions=actions)
            return
        self.client.indices.delete(index=name)
        if how == "recreate":
            self._create(name, aliases={"movies": {}})

    def _create(self, name: str, aliases: dict[str, Any]) -> None:
        described = admin.described(MOVIES, Settings().include_dir)
        self.client.indices.create(index=name, aliases=aliases, **described)
