"""How far the index is behind the catalogue: what `watch` shows, asked of all three servers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from local.outcome import STREAMS, Outcome
from local.rest import call
from local.search import ALIAS, LETTERS, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.airflow_api import AirflowApi, Run

CURSORS = "movies_etl.cursor."
MOST = 100_000
"""Waiting rows that are counted of a table; a backlog of millions would take its time."""

_FEEDS = {
    "film_work": (("film_work", "rows", "modified"),),
    "genre": (("genre", "rows", "modified"), ("genre_film_work", "links", "created")),
    "person": (("person", "rows", "modified"), ("person_film_work", "links", "created")),
}
"""A stream's tables, with the cursor's field and the column that tell the position there."""


@dataclass(frozen=True)
class StreamLag:
    """Where a stream stands.

    :param lag: seconds since the moment up to which everything is in the index; None before the
        first load is complete.
    :param waiting: rows and links after the cursor; those above the last run's horizon were sent,
        and are read once more.
    :param sent: films that the last run sent.
    :param rate: films per second of that run's task; None when it sent nothing.
    """

    name: str
    lag: float | None
    waiting: int
    sent: int
    rate: float | None


@dataclass(frozen=True)
class Lag:
    """What is known at one moment.

    :param rate: films per second that the index has taken since the look before; None at first.
    :param last: the last run that has ended.
    :param running: the task that runs.
    """

    streams: tuple[StreamLag, ...]
    films: int
    documents: int
    letters: int
    rate: float | None
    last: Run | None
    running: str | None


@dataclass
class Observer:
    """Looks at the three servers again and again.

    Its methods raise RestError, UnreachableError and psycopg.Error.

    :param dsn: the catalogue.
    :param url: Elasticsearch.
    :param api: Airflow.
    """

    dsn: str
    url: str
    api: AirflowApi
    _indexed: tuple[float, int] | None = field(default=None, init=False)
    _outcome: tuple[str, Outcome] | None = field(default=None, init=False)

    def look(self) -> Lag:
        """Return how things stand."""
        runs = self.api.runs(3)
        last = next((run for run in runs if run.finished), None)
        outcome = self._outcome_of(last)
        cursors = self.cursors()
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=2) as connection:
            streams = tuple(
                _stream(connection, name, cursors.get(name), outcome) for name in STREAMS
            )
            films = _number(connection, "SELECT count(*) FROM content.film_work")
        return Lag(
            streams=streams,
            films=films,
            documents=count(self.url),
            letters=count(self.url, LETTERS),
            rate=self._rate(),
            last=last,
            running=self._running(runs),
        )

    def cursors(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the cursors of the live index by stream."""
        found = self.api.variables(CURSORS)
        return {
            name: json.loads(found[CURSORS + name]) for name in STREAMS if CURSORS + name in found
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
        path = f"{ALIAS}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
        found = call("GET", f"{self.url}/{path}&ignore_unavailable=true")
        total = int(found["_all"]["primaries"]["indexing"]["index_total"]) if found else 0
        now = time.monotonic()
        before, self._indexed = self._indexed, (now, total)
        if before is None or total < before[1]:  # a new index, or a node that was started anew
            return None
        return (total - before[1]) / max(now - before[0], 1e-9)


def _stream(
    connection: psycopg.Connection[Any],
    name: str,
    cursor: Mapping[str, Any] | None,
    outcome: Outcome | None,
) -> StreamLag:
    sent = outcome.sent[name] if outcome else 0
    seconds = outcome.seconds[name] if outcome else 0
    return StreamLag(
        name,
        _lag(connection, cursor),
        sum(_waiting(connection, cursor or {}, *feed) for feed in _FEEDS[name]),
        sent,
        sent / seconds if sent and seconds else None,
    )


def _lag(connection: psycopg.Connection[Any], cursor: Mapping[str, Any] | None) -> float | None:
    """Return the seconds between the cursor's horizon and the database's clock."""
    if cursor is None or cursor["horizon"] is None:
        return None
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return (row[0] - datetime.fromisoformat(cursor["horizon"])).total_seconds() if row else None


def _waiting(
    connection: psycopg.Connection[Any],
    cursor: Mapping[str, Any],
    table: str,
    part: str,
    column: str,
) -> int:
    """Count the rows of a table after the cursor's position in it."""
    position = cursor.get(part)
    after: sql.Composable = sql.SQL("true")
    if position is not None:
        after = sql.SQL("({}, id) > ({}::timestamptz, {}::uuid)").format(
            sql.Identifier(column), sql.Literal(position[column]), sql.Literal(position["id"])
        )
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM content.{} WHERE {} LIMIT {}) AS waiting")
    return _number(connection, query.format(sql.Identifier(table), after, sql.Literal(MOST)))


def _number(connection: psycopg.Connection[Any], query: sql.Composed | str) -> int:
    text = query.encode() if isinstance(query, str) else query
    row = connection.execute(text).fetchone()
    return int(row[0]) if row else 0
