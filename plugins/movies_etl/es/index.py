"""One concrete index: what it holds, and what tells it from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch, NotFoundError

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es.client import NO_INDEX, patient, whole

MAX_IDS_PER_LOOKUP = 10_000
"""Documents that are looked up by one request."""


class Stored(NamedTuple):
    """What the index has of a document.

    :param version: its external version; 0 when the document is not there.
    :param checksum: of the document's text; None when the document is not there.
    """

    version: int
    checksum: int | None


ABSENT = Stored(0, None)


class Index:
    """One concrete index.

    :param client: of an Elasticsearch of the supported major version.
    :param definition: what the index is for.
    :param name: the concrete index, never the alias: it must not move under a running task.
    :param patience: seconds that a look-up waits for a lost or overloaded Elasticsearch.
    :raises ConfigurationError: (every method) Elasticsearch refuses the request.
    :raises IndexUnavailableError: (every method) Elasticsearch cannot be reached or is overloaded.
    """

    def __init__(
        self, client: Elasticsearch, definition: IndexDefinition, name: str, patience: float = 0.0
    ) -> None:
        self.client = client
        self.definition = definition
        self.name = name
        self.patience = patience

    def stored(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Return version and checksum of documents in real time: what a search sees is older."""
        ids = [one for one in ids if one]  # an empty id fails the whole request
        found: dict[str, Stored] = {}
        for start in range(0, len(ids), MAX_IDS_PER_LOOKUP):
            found |= self._stored(ids[start : start + MAX_IDS_PER_LOOKUP])
        return found

    @patient
    def _stored(self, ids: Sequence[str]) -> dict[str, Stored]:
        answer = self.client.mget(
            index=self.name,
            ids=[*ids],
            source_includes=["checksum"],
            realtime=True,
            filter_path="docs._id,docs._version,docs._source,docs.error",
        )
        stored = {}
        for document in answer["docs"]:
            if document.get("error", {}).get("type") in NO_INDEX:
                raise ConfigurationError(
                    f"Index {self.name} vanished or was closed while it was written to. Open it if "
                    f"it is closed; the next run looks for alias {self.definition.alias} again."
                )
            if "error" in document:
                raise IndexUnavailableError(
                    f"Elasticsearch could not look up {self.definition.noun} {document['_id']} in "
                    f"{self.name}: {document['error'].get('reason', document['error'])}."
                )
            if "_version" in document:
                source = document.get("_source", {})
                stored[document["_id"]] = Stored(document["_version"], source.get("checksum"))
        return stored

    @patient
    def refresh(self) -> None:
        """Make every confirmed document visible to searches."""
        self.client.indices.refresh(index=self.name)

    def documents(self) -> int:
        """Count the documents, those included that no search sees yet."""
        self.refresh()
        return self._count()

    @patient
    def _count(self) -> int:
        answer = self.client.count(index=self.name)
        return int(whole(answer, f"a count of {self.name}")["count"])

    @patient
    def uuid(self) -> str:
        """Return the index's uuid: a recreated index of the same name has another."""
        return str(self._setting("uuid"))

    @patient
    def shards(self) -> int:
        """Return the number of primary shards."""
        return int(str(self._setting("number_of_shards")))

    @patient
    def settings(self) -> dict[str, Any]:
        """Return the settings that were given, by their whole names; lists are lists."""
        answer = self.client.indices.get_settings(index=self.name, flat_settings=True)
        given: dict[str, Any] = answer[self.name]["settings"]
        return given

    def check_uuid(self, uuid: str) -> None:
        """Refuse an index that is gone, or of which there is another one by this name.

        :raises ConfigurationError: it is gone, or another one.
        """
        try:
            found = self.uuid()
        except ConfigurationError as error:
            if not isinstance(error.__cause__, NotFoundError):
                raise
            found = ""
        if found != uuid:
            raise ConfigurationError(
                f"Index {self.name} {'was made anew' if found else 'is gone'} since this run "
                "began. This attempt wrote nothing; trigger a new run."
            )

    def _setting(self, name: str) -> object:
        answer = self.client.indices.get_settings(index=self.name, name=f"index.{name}")
        return answer[self.name]["settings"]["index"][name]

    @patient
    def mapping(self) -> dict[str, Any]:
        """Return the mapping: ``properties``, ``dynamic``, ``_meta``."""
        answer = self.client.indices.get_mapping(index=self.name)
        mapping: dict[str, Any] = answer[self.name]["mappings"]
        return mapping

    @patient
    def history(self) -> str | None:
        """Return what an index keeps until it is restored: then it has another history.

        A snapshot that is restored over the index gives it one, and so does a shard that is
        allocated by force from a stale copy or an empty one. The uuid stays.

        :returns: the history of each shard; None while a shard is not there.
        """
        answer = self.client.indices.stats(
            index=self.name,
            metric="docs",
            level="shards",
            filter_path="indices.*.shards.*.routing.primary,"
            "indices.*.shards.*.commit.user_data.history_uuid",
        )
        shards = answer.get("indices", {}).get(self.name, {}).get("shards", {})
        histories = [
            copy["commit"]["user_data"]["history_uuid"]
            for _, copies in sorted(shards.items(), key=lambda shard: int(shard[0]))
            for copy in copies
            if copy["routing"]["primary"]
        ]
        is_whole = len(histories) == int(str(self._setting("number_of_shards")))
        return ",".join(histories) if is_whole else None
