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
from movies_etl.es.client import looked_up, translated_errors, whole
from movies_etl.es.index import Index
from movies_etl.page.facts import Difference, DocumentFacts, Facts, RowFacts
from movies_etl.page.labels import label_of
from movies_etl.page.letters import LetterSeen, letter_of
from movies_etl.page.memory import ELASTICSEARCH, POSTGRES, Memory, Servers
from movies_etl.page.parts import Hurried, Parts, live_index
from movies_etl.page.rounds import in_two_rounds
from movies_etl.page.visitor import place_of, text_fields
from movies_etl.postgres import lookups
from movies_etl.postgres.source import Source

CHECKSUM = "checksum"


class _Indexed(NamedTuple):
    """What Elasticsearch has.

    :param document: None where the index could not be read.
    :param knows_letter: whether dead letters could be read.
    :param unread: parts that could not be read, and why.
    """

    document: DocumentFacts | None
    letter: LetterSeen | None
    knows_letter: bool
    unread: list[str]


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
        knows_letter=bool(indexed and indexed.knows_letter),
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
        problems=[*said.problems, *(one for part in (row, indexed) if part for one in part.unread)],
    )


def _row(definition: IndexDefinition, servers: Servers, id_: str, memory: Memory) -> RowFacts:
    parts = Parts()
    with servers.catalogue(definition) as source:
        # First: a run that loads what waits would else leave a difference that nothing explains.
        behind = parts.ask("Rows that wait", lambda: _behind(definition, source, memory))
        holder = parts.ask("The oldest transaction", lambda: source.server.activity().holder)
        around = {"holder": holder and str(holder), "behind": behind, "unread": parts.unread}
        return RowFacts.model_validate({**_looked_at(definition, source, id_, memory), **around})


def _looked_at(
    definition: IndexDefinition, source: Source, id_: str, memory: Memory
) -> Mapping[str, object]:
    cursor = memory.cursors.get(definition.root.name)
    seen = None
    if source.possible([id_]):
        seen = lookups.looked_at(source, definition.root.rows, id_, cursor.rows if cursor else None)
    if seen is None:
        return {"exists": False}
    found = {"exists": True, "modified": seen.stamp, "is_passed": seen.is_passed}
    return found | _assembled(definition, source, id_)


def _behind(definition: IndexDefinition, source: Source, memory: Memory) -> list[str]:
    """Return the streams that have rows waiting; another root row says nothing of a document."""
    return [
        stream.name
        for stream in definition.streams
        if lookups.waiting(
            source,
            stream,
            memory.cursors.get(stream.name),
            at_most=1,
            links_only=stream is definition.root,
        )
    ]


def _assembled(definition: IndexDefinition, source: Source, id_: str) -> dict[str, object]:
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
        node, parts, letters = Hurried(client), Parts(), Parts()
        index = live_index(parts, node.client, definition)
        letter = letters.ask("Dead letters", lambda: letter_of(node.client, definition, id_))
        document = None if parts.unread else DocumentFacts()
        if index:
            document = parts.ask(f"Index {index.name}", lambda: _found(node, index, id_))
        return _Indexed(document, letter, not letters.unread, [*parts.unread, *letters.unread])


def _found(node: Hurried, index: Index, id_: str) -> DocumentFacts:
    """Look a document up in real time, and by searches."""
    concrete = index.name
    with translated_errors():
        answer = node.client.mget(index=concrete, ids=[id_], realtime=True)
        (found,) = looked_up(answer, concrete)
        if not found["found"]:
            return DocumentFacts(concrete=concrete)
        by_id = node.client.count(index=concrete, query={"ids": {"values": [id_]}})
    source, version = found["_source"], found["_version"]
    fields = text_fields(index)
    title = source.get(fields[0]) if fields else None
    return DocumentFacts(
        concrete=concrete,
        version=version,
        read_at=datetime.fromtimestamp(version / 1_000_000, UTC),
        source=source,
        is_searchable=whole(by_id, f"a count of {concrete}")["count"] > 0,
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
