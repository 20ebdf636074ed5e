"""Dead letters as people read them: what, why, since when, how often."""

from __future__ import annotations

import json
from datetime import datetime

from elasticsearch import Elasticsearch
from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.client import looked_up, translated_errors, whole
from movies_etl.es.letters import key_of
from movies_etl.page.asking import together
from movies_etl.page.labels import label_of
from movies_etl.page.memory import ELASTICSEARCH, Servers

MAX_LETTERS = 100
"""Letters of one answer, the newest first."""
MAX_CHARACTERS = 20_000
"""What is shown of a document's text; the letter has more."""

_STAGES = {
    "assembly": "PostgreSQL could not read its rows",
    "validation": "a value does not fit the model",
    "indexing": "Elasticsearch refused it",
}


class LetterSeen(BaseModel):
    """A dead letter.

    :param label: its title or name, where the refused text has one.
    :param cause: what refused it, in words.
    :param reason: that step's own words.
    :param document: the beginning of the text that was refused; empty where there was none.
    """

    id: str
    label: str | None = None
    cause: str
    reason: str
    first_seen: datetime
    last_seen: datetime
    attempts: int
    document: str


class Letters(BaseModel):
    """The newest letters of an index.

    :param total: how many there are in all; None when not known.
    :param problem: why there is no answer.
    """

    index: str
    dag: str
    noun: str
    total: int | None = None
    letters: list[LetterSeen] = []
    problem: str | None = None


def letters(definition: IndexDefinition, servers: Servers) -> Letters:
    """Return the newest dead letters of an index."""
    said = together({ELASTICSEARCH: lambda: _newest(definition, servers)})[ELASTICSEARCH]
    total, found = said.answer or (None, [])
    return Letters(
        index=definition.name,
        dag=definition.sync_dag,
        noun=definition.noun,
        total=total,
        letters=found,
        problem=said.problem,
    )


def _newest(definition: IndexDefinition, servers: Servers) -> tuple[int, list[LetterSeen]]:
    with servers.elasticsearch() as client, translated_errors():
        answer = client.search(
            index=definition.dead_letters,
            ignore_unavailable=True,
            size=MAX_LETTERS,
            sort=[{"last_seen": {"order": "desc", "unmapped_type": "date_nanos"}}],
            track_total_hits=True,
        )
        found = whole(answer, f"a search of {definition.dead_letters}")["hits"]
        seen = [_seen(hit["_source"], definition) for hit in found["hits"]]
        return found["total"]["value"], seen


def letter_of(client: Elasticsearch, definition: IndexDefinition, id_: str) -> LetterSeen | None:
    """Return the letter of a document, in real time; None when there is none."""
    with translated_errors():
        if not client.indices.exists(index=definition.dead_letters):
            return None
        answer = client.mget(index=definition.dead_letters, ids=[key_of(id_)])
        (found,) = looked_up(answer, definition.dead_letters)
    return _seen(found["_source"], definition) if found.get("found") else None


def _seen(letter: dict[str, object], definition: IndexDefinition) -> LetterSeen:
    document = str(letter["document"])
    return LetterSeen.model_validate(
        {
            "id": letter[definition.noun],
            "label": _label(definition, document),
            "cause": _STAGES.get(str(letter["stage"]), letter["stage"]),
            "document": document[:MAX_CHARACTERS],
            **{name: letter[name] for name in ("reason", "first_seen", "last_seen", "attempts")},
        }
    )


def _label(definition: IndexDefinition, document: str) -> str | None:
    try:
        text = json.loads(document)
    except ValueError:  # it was cut, or there was none
        return None
    return label_of(definition, text) if isinstance(text, dict) else None
