"""Documents that were refused: kept apart so that one bad document stops no other.

A document has at most one letter. It says what was refused, why, and how often; it goes away when
the document is indexed later. Letters are written, and looked up by id, in real time; a search says
which documents have one, and each change refreshes the index for it. They carry the version of the
reading that decided: a late request brings no resolved letter back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import IndexUnavailableError
from movies_etl.es.blocks import with_remedy
from movies_etl.es.client import NEWER_IS_THERE, patient, translated_errors, whole
from movies_etl.es.letters import Letter, key_of, pieces

LETTERS_PER_SEARCH = 10_000
"""Letters that one search returns."""
LETTERS_PER_COPY = 50
"""Letters that are read at once with their documents."""
_TEXT = {"type": "text", "index": False}


class Parked(NamedTuple):
    """A letter as it lies in the index.

    :param version: of the reading that was refused.
    :param document: the text that was refused; see :func:`movies_etl.es.letters.kept`.
    """

    version: int
    document: str


class DeadLetters:
    """The index of letters of one declared index.

    :param client: of the Elasticsearch that has the declared index.
    :param patience: seconds that each method waits for a lost or overloaded Elasticsearch.
    :param of: a concrete index without the alias, which has letters of its own: what one index
        refuses another one may take.
    :raises ConfigurationError: (every method) Elasticsearch refuses the request.
    :raises IndexUnavailableError: (every method) Elasticsearch cannot be reached, is overloaded, or
        does not take a letter.
    """

    def __init__(
        self,
        client: Elasticsearch,
        definition: IndexDefinition,
        patience: float = 0.0,
        *,
        of: str | None = None,
    ) -> None:
        self._client = client
        self._name = letters_of(of) if of else definition.dead_letters
        self._noun = definition.noun
        self.patience = patience

    @property
    def name(self) -> str:
        """The name of the index."""
        return self._name

    def create(self) -> bool:
        """Create the index if there is none; return whether there was none."""
        if self.exists():
            return False
        with translated_errors():
            self._client.indices.create(
                index=self._name,
                settings={
                    "number_of_shards": 1,
                    "auto_expand_replicas": "0-1",
                    "gc_deletes": "1h",
                },
                mappings=_mappings(self._noun),
            )
        return True

    def exists(self) -> bool:
        """Whether there is the index."""
        with translated_errors():
            return bool(self._client.indices.exists(index=self._name))

    def ids(self) -> set[str]:
        """Return the ids of the documents that have a letter."""
        return set(self.versions())

    def versions(self) -> dict[str, int]:
        """Return the documents that have a letter, and the letters' versions."""
        found: dict[str, int] = {}
        after: list[str] | None = None
        while True:
            hits = self._page(after, LETTERS_PER_SEARCH, [self._noun])
            found |= {hit["_source"][self._noun]: hit["_version"] for hit in hits}
            if len(hits) < LETTERS_PER_SEARCH:
                return found
            after = hits[-1]["sort"]

    @patient
    def _page(self, after: list[str] | None, size: int, fields: list[str]) -> list[dict[str, Any]]:
        answer = self._client.search(
            index=self._name,
            size=size,
            source_includes=fields,
            version=True,
            sort=self._noun,
            search_after=after,
            filter_path="_shards,timed_out,hits.hits._id,hits.hits._source,hits.hits._version,"
            "hits.hits.sort",
        )
        found = whole(answer, f"a search of {self._name}")
        hits: list[dict[str, Any]] = found.get("hits", {}).get("hits", [])
        return hits

    def parked(self, ids: Collection[str]) -> dict[str, Parked]:
        """Return the letters of these documents, in real time."""
        return self._parked([*ids]) if ids else {}

    @patient
    def _parked(self, ids: Sequence[str]) -> dict[str, Parked]:
        answer = self._client.mget(
            index=self._name, ids=[*map(key_of, ids)], source_includes=["document"]
        )
        return {
            one: Parked(found["_version"], found["_source"]["document"])
            for one, found in zip(ids, answer["docs"], strict=True)
            if found.get("found")
        }

    def copy_to(self, other: DeadLetters) -> None:
        """Write all letters to another index of letters, with their versions."""
        after: list[str] | None = None
        while hits := self._page(after, LETTERS_PER_COPY, ["*"]):
            after = hits[-1]["sort"]
            for hit in hits:
                of = {"version": hit["_version"], "version_type": "external_gte"}
                other._copy([{"index": {"_id": hit["_id"], **of}}, hit["_source"]])

    @patient
    def _copy(self, operations: Sequence[dict[str, Any]]) -> None:
        self._write(operations)

    def park(self, letters: Sequence[Letter], now: str, version: int) -> None:
        """Store letters; a document that has one keeps its first time and counts the attempt.

        :param now: the database's time, ISO 8601.
        :param version: of the reading that was refused; a letter of a later one stays.
        """
        for piece in pieces(letters):
            self._park(piece, now, version)

    @patient
    def _park(self, letters: Sequence[Letter], now: str, version: int) -> None:
        before = self._client.mget(
            index=self._name,
            ids=[key_of(letter.id) for letter in letters],
            source_includes=["first_seen", "attempts"],
        )
        operations: list[dict[str, Any]] = []
        for letter, found in zip(letters, before["docs"], strict=True):
            earlier = found.get("_source", {})
            operations += (
                {"index": _meta(letter.id, version)},
                {
                    self._noun: letter.id,
                    "stage": letter.stage,
                    "reason": letter.reason,
                    "document": letter.document,
                    "first_seen": earlier.get("first_seen", now),
                    "last_seen": now,
                    "attempts": earlier.get("attempts", 0) + 1,
                },
            )
        self._write(operations)

    @patient
    def resolve(self, ids: Collection[str], version: int) -> None:
        """Remove the letters of documents that were indexed.

        :param version: of the reading that was indexed; a letter of a later one stays.
        """
        if ids:
            self._write([{"delete": _meta(one, version)} for one in ids])

    def _write(self, operations: Sequence[dict[str, Any]]) -> None:
        answer = self._client.bulk(index=self._name, operations=operations, refresh=True)
        for item in answer["items"]:
            (result,) = item.values()
            if result["status"] == NEWER_IS_THERE:
                continue
            if "error" in result:  # a letter to be removed that is not there has none
                raise IndexUnavailableError(
                    f"A dead letter of {self._noun} {result['_id']} could not be written to "
                    f"{self._name}: {with_remedy(result['error']['reason'])}. The cursor stays "
                    "before it."
                )


def letters_of(index: str) -> str:
    """Return the name of the index of letters of one concrete index."""
    return f"{index}-dead-letters"


def _mappings(noun: str) -> dict[str, Any]:
    return {
        "dynamic": "strict",
        "properties": {
            noun: {"type": "keyword"},
            "stage": {"type": "keyword"},
            "reason": {"type": "text"},
            "document": _TEXT,
            "first_seen": {"type": "date_nanos"},
            "last_seen": {"type": "date_nanos"},
            "attempts": {"type": "integer"},
        },
    }


def _meta(id_: str, version: int) -> dict[str, Any]:
    return {"_id": key_of(id_), "version": version, "version_type": "external_gte"}
