"""Is search up to date? Per index: what waits, what holds it up, what both sides have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import BaseModel

from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.es import admin
from movies_etl.es.client import translated_errors
from movies_etl.page.asking import together
from movies_etl.page.memory import AIRFLOW, ELASTICSEARCH, POSTGRES, Memory, Run, Servers
from movies_etl.page.word import Standing, Word, word_of
from movies_etl.postgres.horizon import Holder
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.state.cursors import Cursor, Position

COUNTED = 10_000
"""Rows that wait are counted up to here."""
HELD_AFTER = timedelta(minutes=1)
"""Age from which an open transaction is told of: it keeps the horizon back."""


class StreamState(BaseModel):
    """Where a stream stands.

    :param lag: seconds between the database's clock and the moment up to which everything is
        confirmed; None before the first load is complete.
    :param waiting: rows and links after the cursor, `COUNTED` of each table at most; None when not
        known.
    """

    name: str
    lag: float | None = None
    waiting: int | None = None


class IndexState(BaseModel):
    """How one index stands.

    :param problems: servers that did not answer, and why.
    :param rows: that should have a document.
    :param documents: that a search finds.
    :param difference: rows less documents less rows never indexed because of a letter, at the last
        comparison that a run made; ``compared`` is when.
    :param left: documents without a row that are left until a person decides.
    :param verified: every document was compared with its row since then; None before the first
        pass of the reconcile; ``verifying`` is how many the pass under way has compared.
    :param found: what the reconcile's tasks found and did last, by task.
    :param letters: dead letters.
    :param holder: the transaction that holds the horizon, where it is older than a minute.
    :param concrete: the index behind the alias; ``created`` is when it was made.
    """

    name: str
    dag: str
    noun: str
    nouns: str
    word: Word
    streams: list[StreamState]
    problems: list[str]
    rows: int | None = None
    documents: int | None = None
    difference: int | None = None
    compared: datetime | None = None
    left: int = 0
    verified: datetime | None = None
    verifying: int | None = None
    found: dict[str, dict[str, int | float | None]] = {}
    letters: int | None = None
    holder: str | None = None
    concrete: str | None = None
    created: datetime | None = None
    paused: bool | None = None
    running: Run | None = None
    last: Run | None = None


class _Catalogue(NamedTuple):
    """What PostgreSQL says: its time, rows, the oldest transaction, rows that wait by stream."""

    now: datetime
    rows: int
    holder: Holder | None
    waiting: dict[str, int]


class _Indexed(NamedTuple):
    """What Elasticsearch says."""

    concrete: str | None
    created: datetime | None
    documents: int
    letters: int


def freshness(
    definition: IndexDefinition, servers: Servers, period: timedelta | None
) -> IndexState:
    """Return how an index stands.

    :param period: between two scheduled runs; None when there are none.
    """
    memory = together({AIRFLOW: lambda: servers.memory(definition)})[AIRFLOW]
    cursors = memory.answer.cursors if memory.answer else {}
    said = together(
        {
            POSTGRES: lambda: _catalogue(definition, servers, cursors),
            ELASTICSEARCH: lambda: _indexed(definition, servers),
        }
    )
    catalogue: _Catalogue | None = said[POSTGRES].answer
    indexed: _Indexed | None = said[ELASTICSEARCH].answer
    known = memory.answer or Memory({}, paused=None)
    problems = [one.problem for one in (memory, *said.values()) if one.problem]
    now = catalogue.now if catalogue else datetime.now(UTC)
    streams = [_stream(stream, known, catalogue, now) for stream in definition.streams]
    comparison, reconcile = known.comparison, known.reconcile
    return IndexState(
        name=definition.name,
        dag=definition.sync_dag,
        noun=definition.noun,
        nouns=definition.nouns,
        word=word_of(
            Standing(
                lags=[stream.lag for stream in streams],
                waiting=[stream.waiting for stream in streams],
                memory=known,
                holder=_told(catalogue),
                now=now,
                period=period,
                problems=problems,
            )
        ),
        streams=streams,
        problems=problems,
        rows=catalogue.rows if catalogue else None,
        documents=indexed.documents if indexed else None,
        difference=comparison.difference if comparison else None,
        compared=parse(comparison.at) if comparison else None,
        left=comparison.surplus if comparison else 0,
        verified=parse(reconcile.verified_at) if reconcile and reconcile.verified_at else None,
        verifying=reconcile.current.looked_at if reconcile and reconcile.current else None,
        found=reconcile.results if reconcile else {},
        letters=indexed.letters if indexed else None,
        holder=_told(catalogue),
        concrete=indexed.concrete if indexed else None,
        created=indexed.created if indexed else None,
        paused=known.paused,
        running=known.running,
        last=known.ended,
    )


def _catalogue(
    definition: IndexDefinition, servers: Servers, cursors: Mapping[str, Cursor | None]
) -> _Catalogue:
    with servers.catalogue(definition) as source:
        activity = source.server.activity()
        return _Catalogue(
            now=parse(activity.now),
            holder=activity.holder,
            waiting={
                stream.name: waiting(source, stream, cursors.get(stream.name))
                for stream in definition.streams
            },
            rows=source.count(),
        )


def waiting(
    source: Source, stream: Stream, cursor: Cursor | None, *, links_only: bool = False
) -> int:
    """Count the rows and links after a stream's cursor, `COUNTED` of each table at most."""
    places: list[tuple[Feed, Position | None]] = []
    if not links_only:
        places.append((stream.rows, cursor.rows if cursor else None))
    if stream.links is not None:
        places.append((stream.links, cursor.links if cursor else None))
    return sum(source.count_changed(feed, after, COUNTED) for feed, after in places)


def _indexed(definition: IndexDefinition, servers: Servers) -> _Indexed:
    with servers.elasticsearch() as client, translated_errors():
        letters = client.count(index=definition.dead_letters, ignore_unavailable=True)["count"]
        index = admin.live(client, definition)
        if index is None:
            return _Indexed(None, None, 0, letters)
        settings = client.indices.get_settings(index=index.name)[index.name]["settings"]
        return _Indexed(
            concrete=index.name,
            created=datetime.fromtimestamp(int(settings["index"]["creation_date"]) / 1000, UTC),
            documents=client.count(index=index.name)["count"],
            letters=letters,
        )


def _stream(
    stream: Stream, known: Memory, catalogue: _Catalogue | None, now: datetime
) -> StreamState:
    cursor = known.cursors.get(stream.name)
    confirmed = parse(cursor.horizon) if cursor and cursor.horizon else None
    return StreamState(
        name=stream.name,
        lag=max((now - confirmed).total_seconds(), 0) if confirmed else None,
        waiting=catalogue.waiting[stream.name] if catalogue else None,
    )


def _told(catalogue: _Catalogue | None) -> str | None:
    """Return who holds the horizon, where that is worth a word."""
    holder = catalogue.holder if catalogue else None
    if catalogue is None or holder is None or catalogue.now - parse(holder.since) < HELD_AFTER:
        return None
    return str(holder)
