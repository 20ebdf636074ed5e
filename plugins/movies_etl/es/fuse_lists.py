"""The index of fuse lists: documents of which so many differ that a person is asked.

A list is one document with what is known of it, under its digest, and documents with its ids, a
piece each. The pieces come first: a list that is there is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import elasticsearch
from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import IndexUnavailableError
from movies_etl.es.client import patient, whole
from movies_etl.state.fuse_list import FuseList, Kind

IDS_PER_PIECE = 10_000
"""Ids of one document: of 36 bytes, 400 kB in a request."""

MAX_LISTS = 1000
"""Open lists of one index that are looked at."""

_KEYWORDS = ("digest", "kind", "index", "state", "asked_by", "piece_of")
_NUMBERS = ("count", "documents", "number")
_TIMES = ("found_at", "asked_at", "answered_at")
_TEXTS = ("examples", "answered_by")
_MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        **{name: {"type": "keyword"} for name in _KEYWORDS},
        **{name: {"type": "long"} for name in _NUMBERS},
        **{name: {"type": "date_nanos"} for name in _TIMES},
        **{name: {"type": "text", "index": False} for name in _TEXTS},
        "ids": {"type": "keyword", "index": False, "doc_values": False},
    },
}


class Place(NamedTuple):
    """Where a list was read: a change of it counts only if nobody changed it since."""

    sequence: int
    term: int


class FuseLists:
    """The lists of one declared index.

    :param client: of the Elasticsearch that has the declared index.
    :param patience: seconds that each method waits for a lost or overloaded Elasticsearch.
    :raises ConfigurationError: (every method) Elasticsearch refuses the request.
    :raises IndexUnavailableError: (every method) Elasticsearch cannot be reached or is overloaded,
        or answers in part only.
    """

    def __init__(
        self, client: Elasticsearch, definition: IndexDefinition, patience: float = 0.0
    ) -> None:
        self._client = client
        self._name = definition.fuse_lists
        self.patience = patience

    def keep(self, found: FuseList, ids: Iterable[str]) -> None:
        """Store a list that waits for an answer, in place of one of the same ids that is done.

        One that is open was kept by another run meanwhile, and somebody may have answered.
        """
        self._create()
        left = iter(ids)
        for number in range(_pieces(found)):
            piece = [*islice(left, IDS_PER_PIECE)]
            document = {"piece_of": found.digest, "number": number, "ids": piece}
            self._put(f"{found.digest}.{number}", document, refresh=False)  # it is got by its key
        known = self._by_digest(found.digest)
        if not known:
            self._begin(found)
        elif known[0][0].state == "done":
            self.take(found, known[0][1])

    @patient
    def _begin(self, found: FuseList) -> None:
        document = found.model_dump(mode="json")
        with suppress(elasticsearch.ConflictError):  # another run's, or this one's before a retry
            self._client.create(index=self._name, id=found.digest, document=document, refresh=True)

    @patient
    def _create(self) -> None:
        if self._client.indices.exists(index=self._name):
            return
        settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
        try:
            self._client.indices.create(index=self._name, settings=settings, mappings=_MAPPINGS)
        except elasticsearch.BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    def change(self, changed: FuseList) -> None:
        """Store what is known of a list."""
        self._put(changed.digest, changed.model_dump(mode="json"), refresh=True)

    @patient
    def _put(self, key: str, document: dict[str, Any], *, refresh: bool) -> None:
        self._client.index(index=self._name, id=key, document=document, refresh=refresh)

    @patient
    def take(self, changed: FuseList, place: Place) -> bool:
        """Store what is known of a list, unless somebody has changed it; say whether it is there.

        The answer to an earlier attempt may have been lost: then it is there already.
        """
        try:
            self._client.index(
                index=self._name,
                id=changed.digest,
                document=changed.model_dump(mode="json"),
                if_seq_no=place.sequence,
                if_primary_term=place.term,
                refresh=True,
            )
        except elasticsearch.ConflictError:
            return self.found(changed.digest) == changed
        return True

    def found(self, digest: str) -> FuseList | None:
        """Return a list by its digest, in real time."""
        return next((one for one, _ in self._by_digest(digest)), None)

    def _by_digest(self, digest: str) -> list[tuple[FuseList, Place]]:
        return self._lists({"ids": {"values": [digest]}})

    def open(self, index: str) -> list[tuple[FuseList, Place]]:
        """Return the lists of a concrete index that wait or were refused, the oldest first.

        :param index: its uuid.
        """
        terms = [{"term": {"index": index}}, {"terms": {"state": ["waiting", "refused"]}}]
        return self._lists({"bool": {"filter": terms}})

    @patient
    def _lists(self, query: dict[str, Any]) -> list[tuple[FuseList, Place]]:
        answer = self._client.search(
            index=self._name,
            query=query,
            size=MAX_LISTS,
            sort=[{"found_at": "asc"}],
            seq_no_primary_term=True,
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
        hits = whole(answer, f"a search of {self._name}")["hits"]["hits"]
        return [
            (FuseList.model_validate(one["_source"]), Place(one["_seq_no"], one["_primary_term"]))
            for one in hits
        ]

    def set_aside(self, index: str, kind: Kind) -> Iterator[list[str]]:
        """Yield the documents that a person was asked about, or is being asked about."""
        for one, _ in self.open(index):
            if one.kind == kind:
                yield from self.pieces(one)

    def pieces(self, of: FuseList, first: int = 0) -> Iterator[list[str]]:
        """Yield the ids of a list.

        :param first: as many pieces are left out.
        :raises IndexUnavailableError: a piece is missing.
        """
        left = max(of.count - first * IDS_PER_PIECE, 0)
        for number in range(first, _pieces(of)):
            ids = self._piece(f"{of.digest}.{number}")
            left -= len(ids)
            yield ids
        if left:
            raise IndexUnavailableError(
                f"List {of.digest} in {self._name} lacks {left} of {of.count} ids. Delete the "
                "list: what differs is found again."
            )

    @patient
    def _piece(self, key: str) -> list[str]:
        try:
            answer = self._client.get(index=self._name, id=key)
        except elasticsearch.NotFoundError:
            return []
        ids: list[str] = answer["_source"]["ids"]
        return ids

    @patient
    def drop_ids(self, of: FuseList) -> None:
        """Delete the ids of a list that is done."""
        operations = [{"delete": {"_id": f"{of.digest}.{one}"}} for one in range(_pieces(of))]
        self._client.bulk(index=self._name, operations=operations, refresh=True)


def _pieces(of: FuseList) -> int:
    return -(-of.count // IDS_PER_PIECE)
