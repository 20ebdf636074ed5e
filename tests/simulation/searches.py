"""What searches of the model of Elasticsearch find: just the few that the program makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.elasticsearch import Held, IndexModel

Answer = dict[str, Any]


def got(key: str, held: Held | None, includes: Sequence[str] | None) -> Answer:
    """Return a document as an answer has it.

    :param includes: the fields that are asked for; None for all.
    """
    if held is None:
        return {"_id": key, "found": False}
    source = held.source
    if includes is not None and "*" not in includes:
        source = {name: source[name] for name in includes if name in source}
    return {"_id": key, "found": True, "_version": held.version, "_source": source}


def hits(
    index: IndexModel,
    *,
    size: int,
    source_includes: Sequence[str],
    sort: str,
    search_after: Sequence[str] | None,
    **_options: Any,
) -> Answer:
    """Return a page of documents in the order of a field."""
    found = sorted(
        (held.source[sort], key)
        for key, held in index.searchable.items()
        if search_after is None or held.source[sort] > search_after[0]
    )
    page = [
        got(key, index.searchable[key], source_includes) | {"sort": [place]}
        for place, key in found[:size]
    ]
    return {"hits": {"hits": page}}


def in_order(
    index: IndexModel, *, size: int, query: Answer, sort: list[dict[str, str]], **_options: Any
) -> Answer:
    """Return documents in the order in which they were written, or the newest ones."""
    bounds = query["range"]["_seq_no"]
    found = sorted(
        (held.sequence, key)
        for key, held in index.searchable.items()
        if bounds.get("gt", -1) < held.sequence <= bounds.get("lte", held.sequence)
    )
    if sort[0]["_seq_no"] == "desc":
        found.reverse()
    page = [
        got(key, index.searchable[key], None) | {"_seq_no": place} for place, key in found[:size]
    ]
    return {"hits": {"hits": page}}


def inventory(
    index: IndexModel, *, query: Answer | None = None, aggs: Answer | None = None, **_options: Any
) -> Answer:
    """Count documents by ranges of ids or list their ids; or return the keys of those found."""
    ids = {key: held.source.get("id") for key, held in index.searchable.items()}
    if aggs is None:
        said = (query or {})["bool"].get("filter", {}).get("terms", {}).get("id", (None,))
        found = [key for key, id_ in ids.items() if id_ in said and key not in said]
        return {"hits": {"hits": [{"_id": key} for key in found]}}
    if "parts" in aggs:
        filters = map(_within, aggs["parts"]["filters"]["filters"])
        buckets = [{"doc_count": sum(map(within, ids.values()))} for within in filters]
        return {"aggregations": {"parts": {"buckets": buckets}}}
    within = _within(query or {})
    counts = Counter(
        (id_, index.searchable[key].source.get("checksum"))
        for key, id_ in ids.items()
        if within(id_)
    )
    listed = [
        {"key": {"id": id_, "checksum": checksum}, "doc_count": counts[id_, checksum]}
        for id_, checksum in sorted(counts, key=str)
    ]
    return {"aggregations": {"documents": {"buckets": listed}}}


def _within(query: Answer) -> Callable[[str | None], bool]:
    """Return whether an id is one that a query of a range finds."""
    bounds = query.get("range", {}).get("id", {})
    first, before = bounds.get("gte"), bounds.get("lt")

    def within(id_: str | None) -> bool:
        return (
            id_ is not None and (first is None or id_ >= first) and (before is None or id_ < before)
        )

    return within
