"""The way of one document, step by step: from its row to a visitor's search. No I/O."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from movies_etl.page.facts import DocumentFacts, Facts, RowFacts
from movies_etl.page.labels import times, to_the_second

State = Literal["yes", "no", "waits", "unknown"]


class Step(BaseModel):
    """One step of the way.

    :param state: whether the document is past it.
    """

    name: str
    state: State
    text: str


def steps(facts: Facts) -> list[Step]:
    """Return the steps in the order in which a document takes them."""
    return [
        _row(facts.row),
        _cursor(facts, facts.row),
        _model(facts.row),
        _letter(facts),
        _document(facts),
        _search(facts.document),
    ]


def _row(row: RowFacts | None) -> Step:
    if row is None:
        return Step(name="Row in the catalogue", state="unknown", text="PostgreSQL does not answer")
    if not row.exists:
        return Step(name="Row in the catalogue", state="no", text="there is none")
    text = (
        f"changed {to_the_second(row.modified)}"
        if row.modified
        else "without a usable time of change"
    )
    return Step(name="Row in the catalogue", state="yes", text=text)


def _cursor(facts: Facts, row: RowFacts | None) -> Step:
    name = "Passed by the cursor"
    if row is None or not row.exists:
        return Step(name=name, state="unknown", text="no row to compare with")
    if row.modified is None:
        return Step(name=name, state="yes", text="read in every run")
    if not facts.is_remembered:
        return Step(name=name, state="unknown", text="Airflow does not say the cursor")
    if facts.cursor is None:
        return Step(name=name, state="waits", text="the first load has not saved a cursor")
    state: State = "yes" if row.is_passed else "waits"
    text = f"it stands at {to_the_second(facts.cursor)}"
    if facts.horizon:
        text += f"; all is confirmed up to {to_the_second(facts.horizon)}"
    return Step(name=name, state=state, text=text)


def _model(row: RowFacts | None) -> Step:
    name = "Fits the model"
    if row is None or not row.exists:
        return Step(name=name, state="unknown", text="no row to check")
    if row.problem:
        return Step(name=name, state="no", text=row.problem)
    return Step(name=name, state="yes", text="checked just now")


def _letter(facts: Facts) -> Step:
    name = "No dead letter"
    if facts.document is None:
        return Step(name=name, state="unknown", text="Elasticsearch does not answer")
    if facts.letter:
        text = f"{facts.letter.cause}, refused {times(facts.letter.attempts)}"
        return Step(name=name, state="no", text=text)
    if not facts.knows_letter:
        return Step(name=name, state="unknown", text="dead letters cannot be read")
    return Step(name=name, state="yes", text="nothing was refused")


def _document(facts: Facts) -> Step:
    name, document = "Equal in the index", facts.document
    if document is None:
        return Step(name=name, state="unknown", text="Elasticsearch does not answer")
    if document.version is None:
        return Step(name=name, state="no", text="there is no document")
    read = f"read {document.read_at:%Y-%m-%d %H:%M:%S} UTC" if document.read_at else ""
    if facts.row is None or not facts.row.exists:
        state: State = "unknown" if facts.row is None else "no"
        return Step(name=name, state=state, text=f"{read}, with no row to compare")
    if facts.differences:
        fields = ", ".join(one.field for one in facts.differences)
        return Step(name=name, state="no", text=f"{read}, differs in {fields}")
    return Step(name=name, state="yes", text=read)


def _search(document: DocumentFacts | None) -> Step:
    name = "Found by its title"
    if document is None:
        return Step(name=name, state="unknown", text="Elasticsearch does not answer")
    if document.version is None:
        return Step(name=name, state="no", text="no document to find")
    if not document.is_searchable:
        return Step(name=name, state="waits", text="after the next refresh")
    if document.place is None:
        return Step(name=name, state="no", text="not among the first hundred")
    return Step(name=name, state="yes", text=f"in place {document.place}")
