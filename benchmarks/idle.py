"""A run that finds nothing: what it costs PostgreSQL, and how long its tasks take."""

from __future__ import annotations

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


def measure(servers: Servers, films: int, rounds: int) -> Part:
    """Run the DAG over an index that is equal to the catalogue; return the figures.

    PostgreSQL, started with OPTIONS, counts every query: too dear for the other resources.
    """
    first_load(servers, films)
    queries: list[float] = []
    calls: list[float] = []
    walls: list[float] = []
    tasks: list[float] = []
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        servers.run()
        for _ in range(rounds):
            connection.execute("SELECT pg_stat_statements_reset()")
            results = servers.run()
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
