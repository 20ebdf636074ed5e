"""Freshness of a run that goes on: seconds from a commit until a search finds it.

The catalogue lives all the while: a simulator edits it. Runs follow each other, so what is measured
has hand-overs in it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]  # Airflow needs it
import psycopg

from benchmarks.figures import Part
from benchmarks.load import remove_index
from benchmarks.runs import BenchmarkError
from local.processes import pause, wait_until
from local.rest import call
from local.simulate import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.servers import Servers

SECONDS = 150
"""Seconds for which each run follows: ten minutes have several hand-overs."""

ENVIRONMENT = {"MOVIES_ETL_FOLLOW_SECONDS": str(SECONDS), "MOVIES_ETL_SCHEDULE": "* * * * *"}
EDITS_PER_SECOND = 5.0
MINUTES = float(os.environ.get("BENCHMARK_MINUTES", "10"))
_NOTE = (
    f"A simulator edits the catalogue {EDITS_PER_SECOND:.0f} times per second all the while; each "
    f"run follows for {SECONDS} s, so there are hand-overs."
)
_LOOK = 0.01
_PAUSE = 0.3
_PATIENCE = 120.0
_NAMES = ("title", "actors_names", "directors_names", "writers_names")
_FOLLOWER = """
    SELECT activity.client_port FROM pg_stat_activity AS activity
    JOIN pg_locks ON pg_locks.pid = activity.pid AND locktype = 'advisory' AND granted
    WHERE application_name LIKE 'movies_etl follow%'
    GROUP BY activity.client_port ORDER BY count(*) DESC LIMIT 1
"""


_FILMS_OF_PERSON = """
    SELECT count(DISTINCT film_work_id) FROM content.person_film_work
    WHERE person_id = %s AND role IN ('actor', 'director', 'writer')
"""


@dataclass
class _Kind:
    """One kind of change.

    :param title: in words.
    :param seconds: from the commit until a search finds it, of each change.
    """

    title: str
    seconds: list[float] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        p50, p95 = self.percentiles()
        counted = f"{len(self.seconds):,}"
        return self.title, counted, f"{p50:.2f}", f"{p95:.2f}", f"{max(self.seconds):.2f}"

    def percentiles(self) -> tuple[float, float]:
        parts = quantiles(self.seconds, n=20, method="inclusive")
        return parts[9], parts[18]


def measure(servers: Servers, films: int) -> Part:
    """Change the catalogue while runs follow it; return the figures."""
    remove_index(servers.elasticsearch.port)
    servers.let_run()
    port = servers.elasticsearch.port
    wait_until(
        lambda: _found(port, None) == films and _follows(servers.dsn),
        seconds=1800,
        what="the first load",
    )
    servers.report("everything is loaded, a run follows")
    kinds = {
        "film": _Kind("a film changed"),
        "person": _Kind("a person of about ten films renamed"),
        "deleted": _Kind("a film deleted"),
        "beside": _Kind("a film changed, while 1,000 persons were renamed"),
        "killed": _Kind("a film changed, around the kill of the task that follows"),
    }
    with (
        _edited(servers.dsn),
        psycopg.connect(servers.dsn, autocommit=True) as connection,
    ):
        probe = _Probe(connection, port)
        until = time.monotonic() + MINUTES * 60
        number = 0
        while time.monotonic() < until:
            number += 1
            kinds["film"].seconds.append(probe.film())
            if number % 10 == 0:
                kinds["person"].seconds.append(probe.person())
            if number % 60 == 0:
                kinds["deleted"].seconds.append(probe.deletion())
                servers.report(" | ".join(kinds["film"].row()))
            pause(_PAUSE)
        servers.report("1,000 persons are renamed")
        probe.thousand_persons()
        for _ in range(20):
            kinds["beside"].seconds.append(probe.film())
        servers.report("the task that follows is killed")
        _kill(connection)
        for _ in range(10):
            kinds["killed"].seconds.append(probe.film())
    summary: dict[str, object] = {}
    for name, kind in kinds.items():
        p50, p95 = kind.percentiles()
        summary |= {f"{name}_p50_s": round(p50, 3), f"{name}_p95_s": round(p95, 3)}
        summary[f"{name}_max_s"] = round(max(kind.seconds), 3)
    return Part(
        title=f"A run that goes on, over {films:,} films",
        columns=("seconds from commit to search hit", "changes", "p50", "p95", "max"),
        rows=[kind.row() for kind in kinds.values()],
        summary=summary,
        notes=[_NOTE],
    )


class _Probe:
    """Makes a change and waits until a search finds it; each returns seconds."""

    def __init__(self, connection: psycopg.Connection[Any], port: int) -> None:
        self._connection = connection
        self._port = port
        self._number = 0

    def film(self) -> float:
        word = self._word()
        return self._made(
            "UPDATE content.film_work SET title = %(word)s, modified = now() WHERE id ="
            " (SELECT id FROM content.film_work WHERE id >= gen_random_uuid() ORDER BY id LIMIT 1)",
            word,
        )

    def person(self) -> float:
        word = self._word()
        row = self._connection.execute(
            "SELECT person_id FROM content.person_film_work WHERE person_id >= gen_random_uuid()"
            " GROUP BY person_id HAVING count(DISTINCT film_work_id) BETWEEN 7 AND 13 LIMIT 1"
        ).fetchone()
        if row is None:
            msg = "no person has about ten films"
            raise BenchmarkError(msg)
        return self._made(
            "UPDATE content.person SET full_name = %(word)s, modified = now() WHERE id = %(id)s",
            word,
            lambda: self._count(_FILMS_OF_PERSON, *row),
            id=row[0],
        )

    def deletion(self) -> float:
        word = self._word()
        self._made(
            "INSERT INTO content.film_work (id, title, type, modified)"
            " VALUES (gen_random_uuid(), %(word)s, 'movie', now())",
            word,
        )
        return self._made("DELETE FROM content.film_work WHERE title = %(word)s", word, lambda: 0)

    def thousand_persons(self) -> None:
        self._connection.execute(
            "UPDATE content.person SET full_name = full_name || ' x', modified = now()"
            " WHERE id IN (SELECT id FROM content.person LIMIT 1000)"
        )

    def _word(self) -> str:
        self._number += 1
        return f"zq{os.getpid()}n{self._number}"

    def _made(
        self,
        statement: str,
        word: str,
        films: Callable[[], int] = lambda: 1,
        **values: object,
    ) -> float:
        self._connection.execute(statement.encode(), {"word": word, **values})
        began = time.monotonic()
        wanted, counted = films(), began
        while _found(self._port, word) != wanted:
            now = time.monotonic()
            if now - began > _PATIENCE:
                msg = f"a search does not find {wanted} films of {word} after {_PATIENCE:.0f} s"
                raise BenchmarkError(msg)
            if now - counted > 1:  # the simulator may have taken a link away
                wanted, counted = films(), now
            time.sleep(_LOOK)
        return time.monotonic() - began

    def _count(self, statement: str, *values: object) -> int:
        row = self._connection.execute(statement.encode(), values).fetchone()
        return int(row[0]) if row else 0


def _found(port: int, word: str | None) -> int:
    """Count what a search finds; of every film where there is no word."""
    query = {"multi_match": {"query": word, "fields": list(_NAMES)}} if word else {"match_all": {}}
    body = {"query": query, "size": 0, "track_total_hits": True}
    try:
        answer = call("POST", f"http://127.0.0.1:{port}/movies/_search", body)
    except Exception:  # noqa: BLE001 - there is no index yet
        return -1
    return int(answer["hits"]["total"]["value"])


def _follows(dsn: str) -> bool:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(_FOLLOWER.encode()).fetchone() is not None


def _kill(connection: psycopg.Connection[Any]) -> None:
    """Kill the process of the task that follows: the owner of its session's socket."""
    row = connection.execute(_FOLLOWER.encode()).fetchone()
    if row is None:
        msg = "no task follows"
        raise BenchmarkError(msg)
    (port,) = row
    for found in psutil.net_connections("tcp"):
        is_its = found.laddr and found.laddr.port == port and found.pid
        if is_its and "postgres" not in psutil.Process(found.pid).name():
            os.kill(found.pid, signal.SIGKILL)
            return
    msg = f"nobody has a connection from port {port}"
    raise BenchmarkError(msg)


@contextmanager
def _edited(dsn: str) -> Iterator[None]:
    """Let a simulator edit the catalogue meanwhile."""
    stop = threading.Event()

    class Stopped(Exception):  # noqa: N818 - it is no error
        pass

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    def edit() -> None:
        simulation = Simulation(dsn, EDITS_PER_SECOND, lambda _: None, seed=1, wait=wait)
        try:
            simulation.run()
        except Stopped:
            return

    thread = threading.Thread(target=edit, name="simulator")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
