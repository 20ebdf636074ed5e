"""What an index holds as a whole: documents by ranges of ids, their checksums, strays.

An answer that is not whole (a shard failed, time ran out) is no answer: what is missing from it
would look like documents that are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from elastic_transport import ObjectApiResponse

from movies_etl.definitions.ranges import Range
from movies_etl.es.client import looked_up, patient, whole
from movies_etl.es.index import Index

LISTED_PER_REQUEST = 24_000
"""Documents that one request lists: those of the rows that are read together, and some strays."""

WRITTEN_PER_REQUEST = 1_000
"""Documents that one request returns with their text."""

_NO_ID = {"bool": {"must_not": {"exists": {"field": "id"}}}}


class Listed(NamedTuple):
    """What a search sees of the documents of one id.

    :param checksum: None where there is none, or several.
    :param copies: documents whose field ``id`` is this; where there are several, some are strays.
    """

    checksum: int | None
    copies: int


class Written(NamedTuple):
    """A document with its place in the order in which a shard wrote them."""

    key: str
    sequence: int
    source: dict[str, Any]


class DocumentInventory:
    """The documents that a search of one concrete index sees.

    :param index: see it for the errors of every method.
    """

    def __init__(self, index: Index) -> None:
        self._client = index.client
        self._name = index.name
        self.patience = index.patience

    @patient
    def counts(self, parts: Sequence[Range]) -> list[int]:
        """Count the documents of each range of ids."""
        filters = [_within(part) for part in parts]
        answer = self._search(size=0, aggs={"parts": {"filters": {"filters": filters}}})
        return [part["doc_count"] for part in answer["aggregations"]["parts"]["buckets"]]

    def listed(self, part: Range) -> Iterator[tuple[Range, dict[str, Listed]]]:
        """Yield the documents of a range by id, in the order of ids, about a request's at a time.

        :returns: the smaller ranges that make up this one, each with all of its documents.
        """
        first, found, after = part.first, dict[str, Listed](), None
        while True:
            page, after = self._page(part, after)
            for id_, one in page:
                before = found.get(id_)
                found[id_] = Listed(None, before.copies + one.copies) if before else one
            if after is None:
                yield Range(first, part.before), found
                return
            last, one = found.popitem()  # the next page may have copies of it
            if found:
                yield Range(first, last), found
                first = last
            found = {last: one}

    @patient
    def _page(
        self, part: Range, after: Mapping[str, Any] | None
    ) -> tuple[list[tuple[str, Listed]], Mapping[str, Any] | None]:
        sources = [
            {"id": {"terms": {"field": "id"}}},
            {"checksum": {"terms": {"field": "checksum", "missing_bucket": True}}},
        ]
        composite = {"size": LISTED_PER_REQUEST, "sources": sources}
        if after:
            composite["after"] = after
        answer = self._search(
            size=0, query=_within(part), aggs={"documents": {"composite": composite}}
        )
        found = answer["aggregations"]["documents"]
        page = [
            (one["key"]["id"], Listed(one["key"]["checksum"], one["doc_count"]))
            for one in found["buckets"]
        ]
        is_last = len(page) < LISTED_PER_REQUEST
        return page, None if is_last else found["after_key"]

    @patient
    def without_id(self, limit: int) -> list[str]:
        """Return the keys of documents that have no field ``id``: nothing here wrote them."""
        return self._keys(_NO_ID, limit)

    @patient
    def elsewhere(self, ids: Sequence[str], limit: int) -> list[str]:
        """Return the keys of documents whose field ``id`` is one of these, but not their key."""
        said, under = {"terms": {"id": [*ids]}}, {"ids": {"values": [*ids]}}
        return self._keys({"bool": {"filter": said, "must_not": under}}, limit)

    def _keys(self, query: Mapping[str, Any], limit: int) -> list[str]:
        answer = self._search(size=limit, query=query, source=False)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    @patient
    def newest(self, shard: int) -> int:
        """Return the place of the document that a shard wrote last; -1 in an empty one."""
        found = self._in_order(shard, {"gte": 0}, size=1, order="desc")
        return found[0].sequence if found else -1

    @patient
    def written(self, shard: int, after: int, upto: int) -> list[Written]:
        """Return a page of the documents that a shard wrote, in the order in which it did.

        :param after: the place before the first one.
        :param upto: the place of the last one.
        """
        bounds = {"gt": after, "lte": upto}
        return self._in_order(shard, bounds, size=WRITTEN_PER_REQUEST, order="asc")

    def _in_order(
        self, shard: int, bounds: Mapping[str, int], *, size: int, order: str
    ) -> list[Written]:
        answer = self._search(
            size=size,
            query={"range": {"_seq_no": bounds}},
            sort=[{"_seq_no": order}],
            seq_no_primary_term=True,
            track_total_hits=False,
            preference=f"_shards:{shard}",
        )
        return [
            Written(hit["_id"], hit["_seq_no"], hit["_source"]) for hit in answer["hits"]["hits"]
        ]

    @patient
    def texts(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return documents by their keys, in real time."""
        if not ids:
            return {}
        found = looked_up(self._client.mget(index=self._name, ids=[*ids]), self._name)
        return {one["_id"]: one["_source"] for one in found if one["found"]}

    def _search(self, **body: Any) -> ObjectApiResponse[Any]:  # noqa: ANN401 - the client's own
        answer = self._client.search(
            index=self._name, allow_partial_search_results=False, request_cache=False, **body
        )
        return whole(answer, f"a search of {self._name}")


def _within(part: Range) -> dict[str, Any]:
    bounds = {"gte": part.first, "lt": part.before}
    given = {name: text for name, text in bounds.items() if text is not None}
    return {"range": {"id": given}} if given else {"exists": {"field": "id"}}
