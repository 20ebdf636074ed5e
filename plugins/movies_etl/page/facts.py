"""What is known of one document: its row, its place, its text in the index, its letter. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from movies_etl.page.letters import LetterSeen


class RowFacts(BaseModel):
    """What PostgreSQL has.

    :param exists: whether there is a row.
    :param modified: of the row; None when it is undated (NULL, infinite).
    :param is_passed: the cursor of its stream lies at or behind it.
    :param document: the text that it becomes; None where it cannot be assembled.
    :param problem: why it cannot be assembled, or would not be sent.
    :param behind: streams that have linked rows or links waiting, of this document or another; None
        where that could not be asked.
    :param holder: what keeps the horizon back, in words.
    :param unread: parts that could not be read, and why.
    """

    exists: bool
    modified: str | None = None
    is_passed: bool = False
    document: dict[str, Any] | None = None
    problem: str | None = None
    behind: list[str] | None = []
    holder: str | None = None
    unread: list[str] = []


class DocumentFacts(BaseModel):
    """What Elasticsearch has.

    :param concrete: the index that was asked; None when the alias leads to none.
    :param version: of the document; None when there is none.
    :param read_at: when its rows were read, by its version.
    :param source: its text.
    :param is_searchable: a search finds it, not only a look-up by its id.
    :param place: its place when a visitor searches for its own title; None beyond the hundredth.
    """

    concrete: str | None = None
    version: int | None = None
    read_at: datetime | None = None
    source: dict[str, Any] | None = None
    is_searchable: bool = False
    place: int | None = None


class Difference(BaseModel):
    """A field that differs, as both sides have it."""

    field: str
    row: Any = None
    document: Any = None


class Facts(BaseModel):
    """What is known of one document; what a server did not answer is None and a problem.

    :param label: its title or name.
    :param letter: its dead letter; None also where ``knows_letter`` says that it could not be read.
    :param is_remembered: Airflow said which cursors and runs there are; else ``is_loaded`` and the
        fields after it are not known.
    :param left: documents without a row that the last look left, because a person decides.
    :param purge_dag: the DAG that asks that person.
    :param is_moving: a run is under way and makes progress.
    :param hanging: the run that is under way and makes no progress.
    """

    index: str
    noun: str
    dag: str
    id: str
    label: str | None = None
    row: RowFacts | None = None
    document: DocumentFacts | None = None
    letter: LetterSeen | None = None
    knows_letter: bool = True
    differences: list[Difference] = []
    is_remembered: bool = True
    is_loaded: bool = False
    left: int = 0
    purge_dag: str = ""
    horizon: str | None = None
    cursor: str | None = None
    paused: bool | None = None
    last_failed: bool = False
    is_moving: bool = False
    hanging: str | None = None
    problems: list[str] = []
