"""The servers asked about one document: PostgreSQL and Elasticsearch side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import ValidationError

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import problems
from movies_etl.es import admin
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.page.catalogue import waiting
from movies_etl.page.facts import Difference, DocumentFacts, Facts, RowFacts
from movies_etl.page.labels import label_of
from movies_etl.page.letters import LetterSeen, letter_of
from movies_etl.page.memory import ELASTICSEARCH, POSTGRES, Memory, Servers
from movies_etl.page.rounds import in_two_rounds
from movies_etl.page.visitor import place_of, text_fields
from movies_etl.postgres.source import Source

CHECKSUM = "checksum"


class _Indexed(NamedTuple):
    document: DocumentFacts
    letter: LetterSeen | None


def known_of(definition: IndexDefinition, servers: Servers, id_: str) -> Facts:
    """Return what is known of a document.

    :param id_: as PostgreSQL writes it.
    """
    said = in_two_rounds(
        definition,
        servers,
        {
            POSTGRES: lambda memory: _row(definition, servers, id_, memory),
            ELASTICSEARCH: lambda _: _document(definition, servers, id_),
        },
    )
    memory = said.memory
    is_moving = memory.is_moving(datetime.now(UTC))
    row: RowFacts | None = said.answers[POSTGRES]
    indexed: _Indexed | None = said.answers[ELASTICSEARCH]
    document = indexed.document if indexed else None
    cursor = memory.cursors.get(definition.root.name)
    return Facts(
        index=definition.name,
        noun=definition.noun,
        dag=definition.sync_dag,
        id=id_,
        label=_label(definition, row, document),
        row=row,
        document=document,
        letter=indexed.letter if indexed else None,
        differences=_differences(row, document),
        is_remembered=said.is_remembered,
        left=memory.comparison.surplus if memory.comparison else 0,
        purge_dag=definition.purge_dag,
        is_loaded=bool(cursor and cursor.horizon),
        horizon=cursor.horizon if cursor else None,
        cursor=cursor.rows.stamp if cursor and cursor.rows else None,
        paused=memory.paused,
        last_failed=bool(memory.ended and memory.ended.state == "failed"),
        is_moving=is_moving,
        hanging=memory.running.run_id if memory.running and not is_moving else None,
        problems=said.problems,
    )


def _row(definition: IndexDefinition, servers: Servers, id_: str, memory: Memory) -> RowFacts:
    cursors = memory.cursors
    with servers.catalogue(definition) as source:
        of_root = cursors.get(definition.root.name)
        behind = [
            stream.name
            for stream in definition.streams
            # Another root row says nothing of this document.
            if waiting(
                source,
                stream,
                cursors.get(stream.name),
                links_only=stream is definition.root,
            )
        ]
        activity = source.server.activity()
        facts = RowFacts(exists=False, behind=behind, holder=str(activity.holder or "") or None)
        if not source.possible([id_]):
            return facts
        after = of_root.rows if of_root else None
        seen = source.looked_at(definition.root.rows, id_, after)
        if seen is None:
            return facts
        found = facts.model_copy(
            update={"exists": True, "modified": seen.stamp, "is_passed": seen.is_passed}
        )
        return found.model_copy(update=_assembled(definition, source, id_))


def _assembled(definition: IndexDefinition, source: Source, id_: str) -> Mapping[str, object]:
    """Build the document as a task does, and say whether the model lets it pass."""
    _, pieces = source.documents([id_])
    with closing(pieces):
        documents = [one for piece in pieces for one in piece]
    if not documents:
        return {"exists": False}  # deleted meanwhile
    (document,) = documents
    if document.problem:
        return {"problem": document.problem}
    problem = None
    try:
        definition.document.model_validate_json(document.text)
    except ValidationError as error:
        problem = problems(error, with_values=True)
    return {"document": json.loads(document.text), "problem": problem}


def _document(definition: IndexDefinition, servers: Servers, id_: str) -> _Indexed:
    with servers.elasticsearch() as client:
        letter = letter_of(client, definition, id_)
        index = admin.live(client, definition)
        return _Indexed(_found(index, id_) if index else DocumentFacts(), letter)


def _found(index: Index, id_: str) -> DocumentFacts:
    """Look a document up in real time, and by searches."""
    client, concrete = index.client, index.name
    with translated_errors():
        (answer,) = client.mget(index=concrete, ids=[id_], realtime=True)["docs"]
        if not answer.get("found"):
            return DocumentFacts(concrete=concrete)
        by_id = client.count(index=concrete, query={"ids": {"values": [id_]}})
    source, version = answer["_source"], answer["_version"]
    fields = text_fields(index)
    title = source.get(fields[0]) if fields else None
    return DocumentFacts(
        concrete=concrete,
        version=version,
        read_at=datetime.fromtimestamp(version / 1_000_000, UTC),
        source=source,
        is_searchable=by_id["count"] > 0,
        place=place_of(index, fields, id_, title) if title else None,
    )


def _label(
    definition: IndexDefinition, row: RowFacts | None, document: DocumentFacts | None
) -> str | None:
    texts = (row.document if row else None, document.source if document else None)
    labels = (label_of(definition, text) for text in texts if text)
    return next(filter(None, labels), None)


def _differences(row: RowFacts | None, document: DocumentFacts | None) -> list[Difference]:
    ours = row.document if row else None
    theirs = document.source if document else None
    if ours is None or theirs is None:
        return []
    fields = [*dict.fromkeys([*ours, *theirs])]
    return [
        Difference(field=field, row=ours.get(field), document=theirs.get(field))
        for field in fields
        if field != CHECKSUM and ours.get(field) != theirs.get(field)
    ]
