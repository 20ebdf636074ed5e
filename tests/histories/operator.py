"""Whoever has Elasticsearch in hand: deletes, recreates and empties the index, moves the alias."""

from __future__ import annotations

from itertools import chain
from typing import Any

from elasticsearch import Elasticsearch
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es import admin
from movies_etl.es.fuse_lists import FuseLists
from movies_etl.settings import Settings
from movies_etl.state.fuse_list import Kind

from tests.support.divergence import AskedAbout

WAYS = ("delete", "recreate", "move")
DAMAGE = ("delete", "change", "add")


class Operator:
    """Does to the index what operators do.

    :param client: undisturbed.
    :param definition: the index.

    ``made`` are the indexes that were made by hand: the program removes none of them.
    """

    def __init__(self, client: Elasticsearch, definition: IndexDefinition) -> None:
        self.client = client
        self.definition = definition
        self.replaced = 0
        self.made: set[str] = set()

    def clean_up(self) -> None:
        """Leave nothing of an earlier history; the letters' index stays, empty."""
        for name in self.indexes():
            if name == self.definition.dead_letters:
                self.empty(name)
            else:
                self.client.indices.delete(index=name)

    def indexes(self) -> list[str]:
        """Return all of the program's indexes."""
        names = f"{self.definition.alias}*"
        return list(self.client.indices.get(index=names, expand_wildcards="all"))

    def live(self) -> str | None:
        """Return the index behind the alias."""
        names = self.indexes_behind_alias()
        return names[0] if names else None

    def indexes_behind_alias(self) -> list[str]:
        """Return them; the program wants one."""
        alias = self.definition.alias
        return list(self.client.indices.get(index=alias, ignore_unavailable=True))

    def repair_alias(self) -> None:
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

    def asked_about(self) -> AskedAbout:
        """Return the documents on lists that wait for an answer or were refused."""
        live, lists = (
            admin.live(self.client, self.definition),
            FuseLists(self.client, self.definition),
        )
        index = live.uuid() if live else None
        if index is None:
            return AskedAbout(set(), set())
        kinds: tuple[Kind, ...] = ("deletions", "rewrites")
        return AskedAbout(*({*chain(*lists.set_aside(index, kind))} for kind in kinds))

    def damage(self, how: str, which: int) -> None:
        """Delete or change a document by hand, or add one that has no row."""
        index = self.live()
        ids = sorted(self.documents(index)) if index else []
        if index is None or not ids:
            return
        key = ids[which % len(ids)]
        if how == "delete":
            self.client.delete(index=index, id=key, refresh=True)
            return
        document = self.client.get(index=index, id=key)["_source"]
        if how == "change":
            document["checksum"] = 1
        else:
            key, document["id"] = f"stray {which}", (key, f"stray {which}")[which % 2]
        self.client.index(index=index, id=key, document=document, refresh=True)

    def refresh(self) -> None:
        """Refresh the live index, as Elasticsearch does now and then."""
        if self.live():
            self.client.indices.refresh(index=self.definition.alias)

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
        alias = self.definition.alias
        if how == "move":
            other = f"{alias}-manual-{self.replaced}"
            self.made.add(other)
            self._create(other, aliases={})
            actions = [
                {"remove_index": {"index": name}},
                {"add": {"index": other, "alias": alias}},
            ]
            self.client.indices.update_aliases(actions=actions)
            return
        self.client.indices.delete(index=name)
        if how == "recreate":
            self._create(name, aliases={alias: {}})

    def _create(self, name: str, aliases: dict[str, Any]) -> None:
        described = admin.described(self.definition, Settings().include_dir)
        self.client.indices.create(index=name, aliases=aliases, **described)
