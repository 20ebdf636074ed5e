"""What an index holds as a whole: documents by ranges of ids, the ids of a range, strays.

An answer that is not whole (a shard failed, time ran out) is no answer: what is missing from it
would look like documents that are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elastic_transport import ObjectApiResponse

from movies_etl.definitions.ranges import Range
from movies_etl.es.client import patient, whole
from movies_etl.es.index import Index

IDS_PER_REQUEST = 10_000
"""Ids that one request lists."""

_NO_ID = {"bool": {"must_not": {"exists": {"field": "id"}}}}


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

    def ids(self, part: Range) -> dict[str, int]:
        """Return the ids of a range in their order, each with the number of its documents."""
        found: dict[str, int] = {}
        after = None
        while True:
            page, after = self._page(part, after)
            found |= page
            if after is None:
                return found

    @patient
    def _page(
        self, part: Range, after: Mapping[str, Any] | None
    ) -> tuple[dict[str, int], dict[str, Any] | None]:
        by_id: dict[str, Any] = {
            "size": IDS_PER_REQUEST,
            "sources": [{"id": {"terms": {"field": "id"}}}],
        }
        if after:
            by_id["after"] = after
        answer = self._search(size=0, query=_within(part), aggs={"documents": {"composite": by_id}})
        found = answer["aggregations"]["documents"]
        return {one["key"]["id"]: one["doc_count"] for one in found["buckets"]}, found.get(
            "after_key"
        )

    @patient
    def without_id(self, limit: int) -> list[str]:
        """Return the keys of documents that have no field ``id``: nothing here wrote them."""
        return self._keys(_NO_ID, limit)

    @patient
    def keys(self, ids: Sequence[str], limit: int) -> list[str]:
        """Return the keys of the documents that say to have one of these ids."""
        return self._keys({"terms": {"id": [*ids]}}, limit)

    def _keys(self, query: Mapping[str, Any], limit: int) -> list[str]:
        answer = self._search(size=limit, query=query, source=False)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def _search(self, **body: Any) -> ObjectApiResponse[Any]:  # noqa: ANN401 - the client's own
        answer = self._client.search(
            index=self._name, allow_partial_search_results=False, request_cache=False, **body
        )
        return whole(answer, f"a search of {self._name}")


def _within(part: Range) -> dict[str, Any]:
    bounds = {"gte": part.first, "lt": part.before}
    given = {name: text for name, text in bounds.items() if text is not None}
    return {"range": {"id": given}} if given else {"exists": {"field": "id"}}
