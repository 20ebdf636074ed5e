"""From what somebody types, an id or words of a title, to the documents that may be meant."""

from __future__ import annotations

from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es import admin
from movies_etl.es.client import translated_errors, whole
from movies_etl.page.asking import together
from movies_etl.page.memory import ELASTICSEARCH, POSTGRES, Servers
from movies_etl.page.visitor import query_of, text_fields
from movies_etl.postgres import ids, lookups
from movies_etl.postgres.layout import LOWEST_IDS

MAX_CANDIDATES = 10
MAX_WORDS = 10


class Candidate(BaseModel):
    """A document that may be meant.

    :param in_catalogue: its row was found by these words; None where nobody could look.
    :param in_index: its document was.
    """

    id: str
    label: str
    in_catalogue: bool | None
    in_index: bool | None


class Candidates(BaseModel):
    """What somebody may mean.

    :param id: the id, where it is clear: then there are no candidates.
    :param problems: servers that did not answer.
    """

    index: str
    id: str | None = None
    candidates: list[Candidate] = []
    problems: list[str] = []


class _Rows(BaseModel):
    id: str | None = None
    found: dict[str, str] = {}


def looked_up(definition: IndexDefinition, servers: Servers, text: str) -> Candidates:
    """Return the document that is named, or those whose titles have the words."""
    said = together(
        {
            POSTGRES: lambda: _rows(definition, servers, text),
            ELASTICSEARCH: lambda: _documents(definition, servers, text),
        }
    )
    problems = [one.problem for one in said.values() if one.problem]
    rows: _Rows | None = said[POSTGRES].answer
    documents: _Rows | None = said[ELASTICSEARCH].answer
    id_ = (rows and rows.id) or (documents and documents.id)
    if id_ is None and rows is None:
        id_ = ids.written(text, LOWEST_IDS["uuid"])  # the column's type cannot be asked
    if id_:
        return Candidates(index=definition.name, id=id_, problems=problems)
    in_rows = rows.found if rows else {}
    in_index = documents.found if documents else {}
    labels = in_index | in_rows
    found = [
        Candidate(
            id=one,
            label=labels[one],
            in_catalogue=_known(rows, one),
            in_index=_known(documents, one),
        )
        for one in dict.fromkeys([*in_rows, *in_index])
    ]
    return Candidates(
        index=definition.name, candidates=found[: 2 * MAX_CANDIDATES], problems=problems
    )


def _known(side: _Rows | None, id_: str) -> bool | None:
    return None if side is None else id_ in side.found


def _rows(definition: IndexDefinition, servers: Servers, text: str) -> _Rows:
    with servers.catalogue(definition) as source:
        lowest = source.layout.lowest_ids[definition.root.rows.table]
        written = ids.written(text, lowest)
        if written and (lowest or source.existing([written])):
            return _Rows(id=written)
        found = lookups.with_words(source, text.split()[:MAX_WORDS], MAX_CANDIDATES)
        return _Rows(found=found)


def _documents(definition: IndexDefinition, servers: Servers, text: str) -> _Rows:
    with servers.elasticsearch() as client:
        index = admin.live(client, definition)
        if index is None:
            return _Rows()
        fields = text_fields(index)
        with translated_errors():
            by_id = client.search(index=index.name, query={"ids": {"values": [text]}}, size=1)
            if whole(by_id, f"a search of {index.name}")["hits"]["hits"]:
                return _Rows(id=text)
            answer = client.search(
                index=index.name,
                query=query_of(fields[:1], text),
                size=MAX_CANDIDATES,
                source_includes=fields[:1],
            )
    label = fields[0] if fields else ""
    hits = whole(answer, f"a search of {index.name}")["hits"]["hits"]
    return _Rows(found={hit["_id"]: str(hit["_source"].get(label)) for hit in hits})
