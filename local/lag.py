"""How far the indexes are behind the catalogue: what `watch` shows, asked of all three servers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from local.outcome import Outcome
from local.rest import call
from local.search import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from movies_etl.definitions.definition import Feed, IndexDefinition, Stream

    from local.airflow_api import AirflowApi, Run

MOST = 100_000
"""Waiting rows that are counted of a table; a backlog of millions would take its time."""

Cursor = dict[str, Any]


@dataclass(frozen=True)
class StreamLag:
    """Where a stream stands.

    :param lag: seconds since the moment up to which everything is in the index; None before the
        first load is complete.
    :param waiting: rows and links after the cursor; those above the last run's horizon were sent,
        and are read once more.
    :param sent: documents that the last run sent.
    :param rate: documents per second of that run's task; None when it sent nothing.
    """

    name: str
    lag: float | None
    waiting: int
    sent: int
    rate: float | None


@dataclass(frozen=True)
class IndexLag:
    """What is known of an index at one moment.

    :param rows: rows that have a document, or should have one.
    :param documents: documents that a search finds.
    :param letters: dead letters.
    :param rate: documents per second that the index has taken since the look before; None at
        first.
    :param last: the last run that has ended.
    :param running: the task that runs.
    """

    name: str
    streams: tuple[StreamLag, ...]
    rows: int
    documents: int
    letters: int
    rate: float | None
    last: Run | None
    running: str | None


@dataclass
class Observer:
    """Looks at one index again and again.

    :param dsn: the catalogue.
    :param url: Elasticsearch.
    :param api: Airflow, about the index's DAG.
    :param index: the declared index.
    """

    dsn: str
    url: str
    api: AirflowApi
    index: IndexDefinition
    _indexed: tuple[float, int] | None = field(default=None, init=False)
    _outcome: tuple[str, Outcome] | None = field(default=None, init=False)

    def look(self) -> IndexLag:
        """Return how things stand; raise RestError, UnreachableError or psycopg.Error."""
        runs = self.api.runs(3)
        last = next((run for run in runs if run.finished), None)
        outcome = self._outcome_of(last)
        cursors = self._cursors()
        index = self.index
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=2) as connection:
            streams = tuple(
                _stream(connection, stream, cursors.get(stream.name), outcome)
                for stream in index.streams
            )
            whole = sql.SQL("SELECT count(*) FROM content.{}")
            table = sql.Identifier(index.root.rows.table)
            rows = _number(connection, whole.format(table))
        return IndexLag(
            name=index.name,
            streams=streams,
            rows=rows,
            documents=count(self.url, index.alias),
            letters=count(self.url, index.dead_letters),
            rate=self._rate(),
            last=last,
            running=self._running(runs),
        )

    def _cursors(self) -> Mapping[str, Cursor]:
        """Return the live index's cursors by stream."""
        prefix = self.index.cursor_variable("")
        return {
            key.removeprefix(prefix): json.loads(text)
            for key, text in self.api.variables(prefix).items()
        }

    def _outcome_of(self, run: Run | None) -> Outcome | None:
        """Return what a run did; it is asked for once."""
        if run is None:
            return None
        if self._outcome is None or self._outcome[0] != run.run_id:
            self._outcome = run.run_id, Outcome.of(self.api, run)
        return self._outcome[1]

    def _running(self, runs: list[Run]) -> str | None:
        for run in runs:
            if run.state == "running":
                for task in self.api.tasks(run.run_id):
                    if task.state == "running":
                        return task.name
        return None

    def _rate(self) -> float | None:
        """Return how many documents per second the index took since the last look."""
        path = f"{self.index.alias}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
        found = call("GET", f"{self.url}/{path}&ignore_unavailable=true")
        total = int(found["_all"]["primaries"]["indexing"]["index_total"]) if found else 0
        now = time.monotonic()
        before, self._indexed = self._indexed, (now, total)
        if before is None or total < before[1]:  # a new index, or a node that was started anew
            return None
        return (total - before[1]) / max(now - before[0], 1e-9)


def _stream(
    connection: psycopg.Connection[Any],
    stream: Stream,
    cursor: Cursor | None,
    outcome: Outcome | None,
) -> StreamLag:
    sent = outcome.sent.get(stream.name, 0) if outcome else 0
    seconds = outcome.seconds.get(stream.name, 0) if outcome else 0
    waiting = _waiting(connection, stream.rows, (cursor or {}).get("rows"))
    if stream.links is not None:
        waiting += _waiting(connection, stream.links, (cursor or {}).get("links"))
    return StreamLag(
        stream.name,
        _lag(connection, cursor),
        waiting,
        sent,
        sent / seconds if sent and seconds else None,
    )


def _lag(connection: psycopg.Connection[Any], cursor: Cursor | None) -> float | None:
    """Return the seconds between the cursor's horizon and the database's clock."""
    if cursor is None or cursor["horizon"] is None:
        return None
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return (row[0] - datetime.fromisoformat(cursor["horizon"])).total_seconds() if row else None


def _waiting(connection: psycopg.Connection[Any], feed: Feed, position: Cursor | None) -> int:
    """Count the rows of a table after the cursor's position in it, MOST at most."""
    after: sql.Composable = sql.SQL("true")
    if position is not None:
        after = sql.SQL("({}, id) > ({}::timestamptz, {}::uuid)").format(
            sql.Identifier(feed.stamp), position[feed.stamp], position["id"]
        )
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM content.{} WHERE {} LIMIT {}) AS waiting")
    return _number(connection, query.format(sql.Identifier(feed.table), after, MOST))


def _number(connection: psycopg.Connection[Any], query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
