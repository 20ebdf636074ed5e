"""A run that finds nothing: what it costs PostgreSQL, and how long its tasks take."""

from __future__ import annotations

from collections import deque
from typing import Any

import psycopg

from benchmarks.figures import Figure, Part
from benchmarks.load import first_load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import Servers
from local.reader import READER

OPTIONS = {
    "shared_preload_libraries": "'pg_stat_statements'",
    "pg_stat_statements.track_planning": "on",
}
_SPENT = """
    SELECT sum(total_exec_time + total_plan_time), sum(calls)
    FROM pg_stat_statements
    JOIN pg_roles ON pg_roles.oid = userid
    WHERE rolname = %s
"""

_TRIES = 5
"""Runs per round at most."""


class _Quiet:
    """Tells whether nothing was committed in the last three runs.

    The first run after a commit reads; the second one notes that there was nothing.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._seen: deque[str] = deque(maxlen=4)
        self.was_so()

    def was_so(self) -> bool:
        """Note what is visible after a run; say whether it was so for three."""
        found = self._connection.execute("SELECT txid_current_snapshot()::text").fetchone()
        self._seen.append(str(found))
        return len(self._seen) == self._seen.maxlen and len({*self._seen}) == 1


def measure(servers: Servers, films: int, rounds: int) -> Part:
    """Run the DAG over an index that is equal to the catalogue; return the figures.

    PostgreSQL, started with OPTIONS, counts every query: too dear for the other resources. After
    the load it analyzes the tables, which is a commit: the runs after it look again and do not
    count.
    """
    first_load(servers, films)
    queries: list[float] = []
    calls: list[float] = []
    walls: list[float] = []
    tasks: list[float] = []
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        quiet = _Quiet(connection)
        for _ in range(_TRIES * rounds):
            connection.execute("SELECT pg_stat_statements_reset()")
            results = servers.run()
            if not quiet.was_so():
                continue
            found = connection.execute(_SPENT, (READER,)).fetchone()
            sent = sum(result["indexed"] for name, result in results.items() if name != "init")
            if sent or found is None:
                msg = f"an idle run sent {sent} documents"
                raise BenchmarkError(msg)
            queries.append(found[0])
            calls.append(float(found[1]))
            figures = [result["benchmark"] for result in results.values()]
            walls.append(sum(figure["at"] for figure in figures))
            tasks.append(sum(figure["task"] for figure in figures))
            if len(queries) == rounds:
                break
        else:
            msg = f"something was committed between most of {_TRIES * rounds} idle runs"
            raise BenchmarkError(msg)
    shown = {
        "idle_postgres_ms": ("PostgreSQL: planning and execution of all queries, ms", queries, 2),
        "idle_queries": ("queries", calls, 0),
        "idle_wall_s": ("the four task functions together, s", walls, 2),
        "idle_cpu_task_s": ("CPU of the four task functions, s", tasks, 2),
    }
    servers.report(f"idle: {Figure.of(queries).text(2)} ms of queries per run")
    return Part(
        title=f"A run that finds nothing, over {films:,} films",
        rows=[(words, Figure.of(values).text(digits)) for words, values, digits in shown.values()],
        summary={
            name: round(Figure.of(values).median, 3) for name, (_, values, _) in shown.items()
        },
    )
