"""One concrete index: what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es.client import NO_INDEX, patient

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
        return int(self.client.count(index=self.name)["count"])

    @patient
    def uuid(self) -> str:
        """Return the index's uuid: a recreated index of the same name has another."""
        settings = self.client.indices.get_settings(index=self.name, name="index.uuid")
        return str(settings[self.name]["settings"]["index"]["uuid"])
