"""The index that a run writes to: found or created, checked, and whether it lost documents."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, carried
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.family import Build, built
from movies_etl.es.index import Index
from movies_etl.es.maker import maker_of
from movies_etl.es.mapping import differences
from movies_etl.es.owner import Owner, claim, is_made_here, owned, owner_of
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import Cursor
from movies_etl.state.database import Database
from movies_etl.sync.counts import difference_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """The concrete index behind the alias.

    :param uuid: a recreated index of the same name has another.
    :param history: a restored index of the same uuid has another; None where it cannot be told.
    :param mapping: as Elasticsearch has it.
    :param settings: as Elasticsearch has them, by their whole names.
    """

    index: Index
    uuid: str
    history: str | None
    mapping: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def found(cls, client: Elasticsearch, definition: IndexDefinition) -> Self | None:
        """Return the index behind the alias; None when there is neither alias nor index."""
        index = admin.live(client, definition)
        return cls._of(index) if index else None

    @classmethod
    def created(
        cls,
        client: Elasticsearch,
        definition: IndexDefinition,
        name: str,
        described: Mapping[str, Any],
        database: Database,
    ) -> Self:
        """Create the index, with the alias and with its owner.

        :param described: settings and mappings of the file.
        :param database: the owner.
        """
        own = owned(described, Owner.of(database))
        index = admin.create(client, definition, name, built(own, Build.at_first(described)))
        log.info("Created index %s behind alias %s", name, definition.alias)
        return cls._of(index)

    @classmethod
    def _of(cls, index: Index) -> Self:
        settings = index.settings()
        uuid = str(settings["index.uuid"])
        return cls(index, uuid, index.history(), index.mapping(), settings)

    def check(self, described: Mapping[str, Any], database: Database, root: Cursor | None) -> None:
        """Refuse an index that is not this installation's, or that would refuse documents.

        :param described: settings and mappings of the file.
        :param root: the cursor of the first stream.
        :raises ConfigurationError: says what to do, the harmless step first.
        """
        self._check_owner(database, root)
        for outdated in self._outdated(described):
            log.warning(
                "Index %s %s, until %s has made it anew",
                self.index.name,
                outdated,
                self.index.definition.reindex_dag,
            )

    def _outdated(self, described: Mapping[str, Any]) -> Iterator[str]:
        """Say how the index differs from the files, and what that means.

        :raises ConfigurationError: it would refuse documents.
        """
        file = f"elasticsearch/{self.index.definition.name}.json"
        if lacks := differences(self.index, self.mapping, described):
            yield (
                f"is not as {file} has it: {'; '.join(map(str, lacks))}. Documents are loaded all "
                "the same; searches find nothing by what is missing"
            )
        if changed := carried.changed_analysis(self.settings, described["settings"]):
            yield (
                f"takes texts apart otherwise than the settings of {file} have it: "
                f"{', '.join(changed)}. Searches find words as it was made"
            )
        then, now = maker_of(self.mapping), maker_of(described["mappings"])
        if then and now and then.documents != now.documents:
            yield (
                f"was made by another documents.sql, of Movies ETL {then.program}. What changes is "
                "loaded as it is made now; the other documents stay as they are"
            )

    def _check_owner(self, database: Database, root: Cursor | None) -> None:
        """Refuse an index that somebody else fills."""
        name, alias, owner = self.index.name, self.index.definition.alias, owner_of(self.mapping)
        if owner is None and not is_made_here(self.mapping):
            raise ConfigurationError(
                f"Index {name} behind alias {alias} was not made by this program. If it is "
                "somebody else's, set MOVIES_ETL_INDEX_PREFIX. If it is an old one of yours, take "
                "the alias away from it: the next run creates an index and loads everything, and "
                "until then searches find nothing."
            )
        if (
            owner is None
            or owner.is_database(database)
            or self._is_taken_along(owner, root, database)
        ):
            return
        raise ConfigurationError(
            f"Index {name} behind alias {alias} is filled from {owner}, but connection "
            f"movies_postgres leads to {Owner.of(database)}. If this is a second environment, set "
            "MOVIES_ETL_INDEX_PREFIX, which gives it indexes of its own. If the catalogue and "
            f"Airflow were moved here, hand the index over by PUT /{name}/_mapping with "
            '{"_meta": {}}: the next run loads everything.'
        )

    def _is_taken_along(self, owner: Owner, root: Cursor | None, database: Database) -> bool:
        """Whether the connection was pointed to another database since the cursors were saved.

        They know the index as filled from its owner, so it is this installation's. As they belong
        to another database, everything is loaded again.
        """
        if root is None or root.index != self.uuid:
            return False
        is_another = database.difference_from(root.database) is not None
        return owner.is_database(root.database) and is_another

    def claim(self, database: Database) -> None:
        """Write whose the index is, where it does not say so, or says less than is known."""
        if not self.is_claimed(database):
            claim(self.index, self.mapping, Owner.of(database))

    def is_claimed(self, database: Database) -> bool:
        """Whether the index says whose it is, and as much as is known."""
        owner, wanted = owner_of(self.mapping), Owner.of(database)
        if owner is None or not owner.is_database(database):
            return False
        return bool(owner.system_identifier) or not wanted.system_identifier

    def lost(self, root: Cursor | None, source: Source) -> str | None:
        """Say why the index lacks what the cursors have passed; None when it does not."""
        if root is None or root.index != self.uuid:
            return None
        return self._restored(root) or self._emptied(root, source)

    def _restored(self, root: Cursor) -> str | None:
        if not (root.history and self.history) or root.history == self.history:
            return None
        return (
            f"index {self.index.name} was restored, or a shard of it was lost: it has not what was "
            "loaded since"
        )

    def _emptied(self, root: Cursor, source: Source) -> str | None:
        """Say that the index has nothing although it was loaded, and some rows are not refused."""
        loaded = root.rows or root.horizon
        if not loaded or self.index.documents():
            return None
        letters = DeadLetters(self.index.client, source.definition)
        is_emptied = difference_of(source, self.index, letters) > 0
        return f"index {self.index.name} was emptied" if is_emptied else None
