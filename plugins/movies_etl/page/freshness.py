"""Is search up to date? Per index: what waits, what holds it up, what both sides have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.page.catalogue import Catalogue, catalogue
from movies_etl.page.indexes import Indexes, indexes
from movies_etl.page.memory import ELASTICSEARCH, POSTGRES, Memory, Run, Servers
from movies_etl.page.rebuild import BesideState, RebuildState, beside_states, rebuild_state
from movies_etl.page.rounds import in_two_rounds
from movies_etl.page.word import Standing, Word, word_of
from movies_etl.postgres.timestamps import parse
from movies_etl.state.comparison import Comparison


class StreamState(BaseModel):
    """Where a stream stands.

    :param lag: seconds between the database's clock and the moment up to which everything is
        confirmed; None before the first load is complete.
    :param waiting: rows and links after the cursor, a limit of each table at most; None when
        not known.
    """

    name: str
    lag: float | None = None
    waiting: int | None = None


class IndexState(BaseModel):
    """How one index stands.

    :param problems: servers that did not answer, and parts without which nothing can be said.
    :param unread: what else could not be read, and why.
    :param rows: number of rows, each of which should have a document: counted now, or at the last
        comparison.
    :param documents: number of documents that a search finds.
    :param difference: rows less documents less rows never indexed because of a letter, at the last
        comparison that a run made; ``compared`` is when.
    :param left: documents without a row that are left until a person decides.
    :param verified: every document was compared with its row since then; None before the first
        pass of the reconcile; ``verifying`` is how many the pass under way has compared.
    :param found: what the reconcile's tasks found and did last, by task.
    :param letters: dead letters.
    :param holder: the transaction that holds the horizon, where it is older than a minute; whether
        there is one is not known without ``knows_holder``.
    :param concrete: the index behind the alias, None where there is none or, without
        ``knows_index``, where that could not be asked; ``created`` is when it was made.
    :param beside: the other indexes of the alias, the newest first.
    :param rebuild: how far the newest rebuild has come; None when there was none.
    :param is_moving: a run is under way and makes progress.
    """

    name: str
    dag: str
    noun: str
    nouns: str
    word: Word
    streams: list[StreamState]
    problems: list[str]
    unread: list[str] = []
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
    knows_holder: bool = True
    concrete: str | None = None
    knows_index: bool = True
    created: datetime | None = None
    beside: list[BesideState] = []
    rebuild: RebuildState | None = None
    is_moving: bool = False
    paused: bool | None = None
    running: Run | None = None
    last: Run | None = None


def freshness(
    definition: IndexDefinition, servers: Servers, period: timedelta | None
) -> IndexState:
    """Return how an index stands.

    :param period: between two scheduled runs; None when there are none.
    """
    said = in_two_rounds(
        definition,
        servers,
        {
            POSTGRES: lambda memory: catalogue(definition, servers, memory.cursors),
            ELASTICSEARCH: lambda _: indexes(definition, servers),
        },
    )
    known = said.memory
    in_postgres: Catalogue | None = said.answers[POSTGRES]
    indexed: Indexes | None = said.answers[ELASTICSEARCH]
    parts = [one for one in (in_postgres, indexed) if one]
    problems = [*said.problems, *(problem for one in parts for problem in one.problems)]
    now = in_postgres.now if in_postgres else datetime.now(UTC)
    streams = [_stream(stream, known, in_postgres, now) for stream in definition.streams]
    comparison, reconcile = known.comparison, known.reconcile
    holder = in_postgres.told_holder if in_postgres else None
    standing = Standing(
        lags=[stream.lag for stream in streams],
        waiting=[stream.waiting for stream in streams],
        memory=known,
        holder=holder,
        now=now,
        period=period,
        problems=problems,
        has_index=indexed is None or indexed.live is not None,
    )
    live, beside = (indexed.live, indexed.beside) if indexed else (None, [])
    rebuild = rebuild_state(definition.reindex_dag, known.rebuild, beside)
    return IndexState(
        name=definition.name,
        dag=definition.sync_dag,
        noun=definition.noun,
        nouns=definition.nouns,
        word=word_of(standing),
        streams=streams,
        problems=problems,
        unread=[*known.unread, *(one for part in parts for one in part.unread)],
        rows=_rows(in_postgres, comparison),
        documents=live.documents if live else None,
        difference=comparison.difference if comparison else None,
        compared=parse(comparison.at) if comparison else None,
        left=comparison.surplus if comparison else 0,
        verified=parse(reconcile.verified_at) if reconcile and reconcile.verified_at else None,
        verifying=reconcile.current.looked_at if reconcile and reconcile.current else None,
        found=reconcile.results if reconcile else {},
        letters=indexed.letters if indexed else None,
        holder=holder,
        knows_holder=in_postgres is not None,
        concrete=live.name if live else None,
        knows_index=live is not None or (indexed is not None and not indexed.problems),
        created=live.created if live else None,
        beside=beside_states(beside, rebuild, known.fed),
        rebuild=rebuild,
        is_moving=known.is_moving(now),
        paused=known.paused,
        running=known.running,
        last=known.ended,
    )


def _rows(catalogue: Catalogue | None, comparison: Comparison | None) -> int | None:
    if catalogue and catalogue.rows is None and comparison:
        return comparison.rows
    return catalogue.rows if catalogue else None


def _stream(
    stream: Stream, known: Memory, catalogue: Catalogue | None, now: datetime
) -> StreamState:
    cursor = known.cursors.get(stream.name)
    confirmed = parse(cursor.horizon) if cursor and cursor.horizon else None
    return StreamState(
        name=stream.name,
        lag=max((now - confirmed).total_seconds(), 0) if confirmed else None,
        waiting=catalogue.waiting[stream.name] if catalogue else None,
    )
