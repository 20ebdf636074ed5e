"""Search as a visitor of the site does: words with typing errors, over titles, texts and names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es import admin
from movies_etl.es.client import translated_errors, whole
from movies_etl.es.index import Index
from movies_etl.page.asking import together
from movies_etl.page.memory import ELASTICSEARCH, Servers

MAX_HITS = 10
LAST_PLACE = 100
"""Places up to which a document is looked for when its own title is searched for."""
_HIDDEN = ("id", "checksum")


class Hit(BaseModel):
    """A document that was found.

    :param label: its title or name.
    :param more: its other texts, numbers and lists of texts, as they are stored.
    """

    id: str
    score: float
    label: str
    more: dict[str, Any]


class Found(BaseModel):
    """What a visitor finds.

    :param fields: the fields that are searched; the first counts three times as much.
    :param milliseconds: of the whole request.
    :param problem: why there is no answer.
    """

    index: str
    noun: str
    nouns: str
    total: int | None = None
    hits: list[Hit] = []
    fields: list[str] = []
    milliseconds: int | None = None
    problem: str | None = None


def as_a_visitor(definition: IndexDefinition, servers: Servers, words: str) -> Found:
    """Search an index by words."""
    said = together({ELASTICSEARCH: lambda: _search(definition, servers, words)})[ELASTICSEARCH]
    answer: Found | None = said.answer
    if answer:
        return answer
    problem = said.problem or f"There is no index {definition.alias} yet."
    return Found(
        index=definition.name, noun=definition.noun, nouns=definition.nouns, problem=problem
    )


def _search(definition: IndexDefinition, servers: Servers, words: str) -> Found | None:
    with servers.elasticsearch() as client:
        index = admin.live(client, definition)
        if index is None:
            return None
        fields = text_fields(index)
        began = time.monotonic()
        with translated_errors():
            answer = client.search(
                index=index.name,
                query=query_of(fields, words),
                size=MAX_HITS,
                track_total_hits=True,
            )
    whole(answer, f"a search of {index.name}")
    return Found(
        index=definition.name,
        noun=definition.noun,
        nouns=definition.nouns,
        total=answer["hits"]["total"]["value"],
        hits=[_hit(hit, fields) for hit in answer["hits"]["hits"]],
        fields=fields,
        milliseconds=round((time.monotonic() - began) * 1000),
    )


def text_fields(index: Index) -> list[str]:
    """Return the fields of an index that words are looked for in, the title or name first."""
    properties = index.mapping()["properties"]
    return [
        field
        for field in index.definition.document.model_fields
        if properties.get(field, {}).get("type") == "text"
    ]


def query_of(fields: Sequence[str], words: str) -> dict[str, Any]:
    """Return a site's usual query: any of the words, one or two letters wrong, title first."""
    if not fields:
        return {"match_none": {}}
    weighted = [f"{fields[0]}^3", *fields[1:]]
    return {"multi_match": {"query": words, "fields": weighted, "fuzziness": "AUTO"}}


def place_of(index: Index, fields: Sequence[str], id_: str, title: str) -> int | None:
    """Return the place of a document when its title is searched for; None beyond `LAST_PLACE`."""
    with translated_errors():
        answer = index.client.search(
            index=index.name, query=query_of(fields, title), size=LAST_PLACE, source=False
        )
    hits = whole(answer, f"a search of {index.name}")["hits"]["hits"]
    found = [hit["_id"] for hit in hits]
    return found.index(id_) + 1 if id_ in found else None


def _hit(hit: dict[str, Any], fields: Sequence[str]) -> Hit:
    source = hit["_source"]
    label = fields[0] if fields else ""
    more = {
        name: value
        for name, value in source.items()
        if name not in (*_HIDDEN, label) and value not in (None, [], "") and _is_plain(value)
    }
    return Hit(id=hit["_id"], score=hit["_score"], label=str(source.get(label)), more=more)


def _is_plain(value: object) -> bool:
    return not (isinstance(value, list) and any(isinstance(one, dict) for one in value))
