"""Freshness of a run that goes on: seconds from a commit until a search finds it.

The catalogue lives all the while: a simulator edits it. Runs follow each other, so what is measured
has hand-overs in it. PGSync keeps an index of its own equal to the same catalogue meanwhile, and
the same is searched there; where it cannot run it is left out, and the notes say why.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psutil  # type: ignore[import-untyped]  # Airflow needs it
import psycopg

from benchmarks import pgsync
from benchmarks.figures import Part
from benchmarks.load import remove_index
from benchmarks.runs import BenchmarkError
from local.processes import pause, wait_until
from local.rest import call
from local.simulate import Simulation

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.servers import Servers

SECONDS = 150
"""Seconds for which each run follows: ten minutes have several hand-overs."""

ENVIRONMENT = {"MOVIES_ETL_FOLLOW_SECONDS": str(SECONDS), "MOVIES_ETL_SCHEDULE": "*/2 * * * *"}
"""The next run begins before the time of the one before is over."""
OPTIONS = {"wal_level": "logical"}
"""For PGSync."""

EDITS_PER_SECOND = 5.0
MINUTES = float(os.environ.get("BENCHMARK_MINUTES", "10"))
_NOTE = (
    f"A simulator edits the catalogue {EDITS_PER_SECOND:.0f} times per second all the while; each "
    f"run follows for {SECONDS} s, so there are hand-overs; runs are scheduled each two minutes."
)
_LOOK = 0.01
_LOOK_BESIDE = 0.05
_SHARE = 0.05
"""Part of its age after which a change is searched for again: many that wait for the other program
would keep a processor busy with searches."""
_PAUSE = 0.3
_PATIENCE = 120.0
"""Seconds after which a search is given up."""

_IDLE_SECONDS = 30.0
_NAMES = ("title", "actors_names", "directors_names", "writers_names")
_FOLLOWER = """
    SELECT activity.client_port FROM pg_stat_activity AS activity
    JOIN pg_locks ON pg_locks.pid = activity.pid AND locktype = 'advisory' AND granted
    WHERE application_name LIKE 'movies_etl follow%'
        AND wait_event IS DISTINCT FROM 'advisory'  -- as of a task that stands by
    GROUP BY activity.client_port ORDER BY count(*) DESC LIMIT 1
"""


_FILMS_OF_PERSON = """
    SELECT count(DISTINCT film_work_id) FROM content.person_film_work
    WHERE person_id = %s AND role IN ('actor', 'director', 'writer')
"""


_KINDS = {
    "film": "a film changed",
    "person": "a person of about ten films renamed",
    "deleted": "a film deleted",
    "beside": "a film changed, while 1,000 persons were renamed",
    "killed": "a film changed, around the kill of the task that follows",
}
_OURS = "movies_sync"
_PGSYNC = f"PGSync {pgsync.VERSION}"


def _until_the_next_search(began: float, at_least: float) -> float:
    """Return the seconds until a change is searched for again."""
    return max(at_least, _SHARE * (time.monotonic() - began))


class _Engine(NamedTuple):
    """A program whose index is searched.

    :param query: of the films that have a word.
    """

    name: str
    alias: str
    query: Callable[[str], dict[str, Any]]


_AllTimes = dict[tuple[str, str], list[float]]
"""Seconds by kind of change and program."""


@dataclass
class _Times:
    """Seconds from a commit until a search finds it, of each change of one kind in one index."""

    seconds: list[float]

    def row(self, title: str, engine: str) -> tuple[str, ...]:
        p50, p95 = self.percentiles()
        counted = f"{len(self.seconds):,}"
        return title, engine, counted, *map(_shown, (p50, p95, max(self.seconds)))

    def percentiles(self) -> tuple[float, float]:
        if len(self.seconds) == 1 or inf in self.seconds:
            ordered = sorted(self.seconds)
            return tuple(ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.95))  # type: ignore[return-value]
        parts = quantiles(self.seconds, n=20, method="inclusive")
        return parts[9], parts[18]


def _shown(seconds: float) -> str:
    return "never" if seconds == inf else f"{seconds:.2f}"


def measure(servers: Servers, films: int) -> Part:
    """Change the catalogue while runs follow it; return the figures."""
    remove_index(servers.elasticsearch.port)
    servers.let_run()
    port = servers.elasticsearch.port
    ours = _Engine(_OURS, "movies", _found_by)
    wait_until(
        lambda: _found(port, ours, None) == films and _follows(servers.dsn),
        seconds=1800,
        what="the first load",
    )
    servers.report("everything is loaded, a run follows")
    notes = [_NOTE]
    times: _AllTimes = defaultdict(list)
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        idle = _idle(servers, connection)
        servers.report(f"idle, % of one core: {idle}")
        why_not = pgsync.missing()
        with ExitStack() as stack:
            others = []
            if why_not is None:
                process = stack.enter_context(pgsync.going_on(servers))
                other = _Engine(_PGSYNC, pgsync.INDEX, pgsync.found_by)
                _wait_for(process, lambda: _found(port, other, None) == films)
                servers.report("PGSync has loaded everything, too")
                others.append(stack.enter_context(_Beside(port, other, times)))
            else:
                notes.append(f"PGSync was left out: {why_not}.")
            with _edited(servers.dsn):
                _probe(servers, _Probe(connection, port, ours, others, times), times)
    return _part(films, times, idle, notes)


def _probe(servers: Servers, probe: _Probe, times: _AllTimes) -> None:
    """Make every kind of change, the simulator at work."""
    until = time.monotonic() + MINUTES * 60
    number = 0
    while time.monotonic() < until:
        number += 1
        probe.film("film")
        if number % 10 == 0:
            probe.person()
        if number % 60 == 0:
            probe.deletion()
            servers.report(" ".join(_Times(times["film", _OURS]).row("film", _OURS)))
        pause(_PAUSE)
    servers.report("1,000 persons are renamed")
    probe.thousand_persons()
    for _ in range(20):
        probe.film("beside")
    servers.report("the task that follows is killed")
    _kill(probe.connection)
    for _ in range(10):
        probe.film("killed")


def _part(
    films: int,
    times: _AllTimes,
    idle: dict[str, float],
    notes: list[str],
) -> Part:
    summary: dict[str, object] = {}
    rows = []
    for (kind, engine), seconds in sorted(
        times.items(), key=lambda one: [*_KINDS].index(one[0][0])
    ):
        one = _Times(seconds)
        rows.append(one.row(_KINDS[kind], engine))
        key = kind if engine == _OURS else f"{kind}_pgsync"
        for name, value in zip(
            ("p50", "p95", "max"), (*one.percentiles(), max(seconds)), strict=True
        ):
            summary[f"{key}_{name}_s"] = None if value == inf else round(value, 3)
    summary |= {f"idle_{name}_percent": round(percent, 2) for name, percent in idle.items()}
    spent = ", ".join(f"{name} {percent:.2f} %" for name, percent in idle.items())
    return Part(
        title=f"A run that goes on, over {films:,} films",
        columns=("seconds from commit to search hit", "by", "changes", "p50", "p95", "max"),
        rows=rows,
        summary=summary,
        notes=[*notes, f"While nothing changes it takes of one core: {spent}."],
    )


def _idle(servers: Servers, connection: psycopg.Connection[Any]) -> dict[str, float]:
    """Return what each part takes of one core while nothing changes, in percent."""
    while True:
        process = psutil.Process(_follower(connection))
        before, own = servers.meter.read(), process.cpu_times()
        pause(_IDLE_SECONDS)
        try:
            after = process.cpu_times()
        except psutil.NoSuchProcess:  # the next run has taken over
            continue
        spent = servers.meter.read().since(before)
        task = after.user + after.system - own.user - own.system
        seconds = {
            "task": task,
            "postgres": spent.postgres,
            "elasticsearch": spent.elasticsearch,
        }
        return {name: 100 * one / spent.at for name, one in seconds.items()}


def _wait_for(process: subprocess.Popen[bytes], is_done: Callable[[], bool]) -> None:
    def done() -> bool:
        if process.poll() is not None:
            msg = f"PGSync ended with {process.returncode}; see .local/bench/pgsync/daemon.log"
            raise BenchmarkError(msg)
        return is_done()

    wait_until(done, seconds=1800, what="PGSync's first load")


class _Pending(NamedTuple):
    """A change that a search has to find.

    :param wanted: films that the word is to find.
    """

    kind: str
    word: str
    wanted: Callable[[], int]
    began: float


class _Beside:
    """Searches the index of another program meanwhile, so that nobody waits for it.

    A change that it does not find in time, or not before everything is measured, is never found.
    """

    def __init__(self, port: int, engine: _Engine, times: _AllTimes) -> None:
        self._port = port
        self._engine = engine
        self._times = times
        self._pending: dict[_Pending, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._search, name=engine.name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def add(self, change: _Pending) -> None:
        self._pending[change] = time.monotonic()

    def brings(self, word: str) -> bool:
        """Wait until the film that has this word is found; say whether it was in time."""
        began = time.monotonic()
        while _found(self._port, self._engine, word) != 1:
            if time.monotonic() - began > _PATIENCE:
                return False
            time.sleep(_LOOK_BESIDE)
        return True

    def _search(self) -> None:
        while not self._ended.is_set() or self._pending:
            now = time.monotonic()
            for change, at in tuple(self._pending.items()):
                if now < at:
                    continue
                self._pending[change] = now + _until_the_next_search(change.began, _LOOK_BESIDE)
                found = _found(self._port, self._engine, change.word)
                late = time.monotonic() - change.began
                if found == change.wanted():
                    self._done(change, late)
                elif late > _PATIENCE:
                    self._done(change, inf)
            time.sleep(_LOOK_BESIDE)

    def _done(self, change: _Pending, seconds: float) -> None:
        del self._pending[change]
        self._times[change.kind, self._engine.name].append(seconds)


class _Probe:
    """Makes changes, each when a search has found the one before, and notes the seconds."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        port: int,
        engine: _Engine,
        others: Sequence[_Beside],
        times: _AllTimes,
    ) -> None:
        self.connection = connection
        self._port = port
        self._engine = engine
        self._others = others
        self._times = times
        self._number = 0

    def film(self, kind: str) -> None:
        word = self._word()
        self._made(
            kind,
            "UPDATE content.film_work SET title = %(word)s, modified = now() WHERE id ="
            " (SELECT id FROM content.film_work WHERE id >= gen_random_uuid() ORDER BY id LIMIT 1)",
            word,
        )

    def person(self) -> None:
        word = self._word()
        row = self.connection.execute(
            "SELECT person_id FROM content.person_film_work WHERE person_id >= gen_random_uuid()"
            " GROUP BY person_id HAVING count(DISTINCT film_work_id) BETWEEN 7 AND 13 LIMIT 1"
        ).fetchone()
        if row is None:
            msg = "no person has about ten films"
            raise BenchmarkError(msg)
        self._made(
            "person",
            "UPDATE content.person SET full_name = %(word)s, modified = now() WHERE id = %(id)s",
            word,
            lambda: self._count(_FILMS_OF_PERSON, *row),
            id=row[0],
        )

    def deletion(self) -> None:
        word = self._word()
        self._made(
            None,
            "INSERT INTO content.film_work (id, title, type, modified)"
            " VALUES (gen_random_uuid(), %(word)s, 'movie', now())",
            word,
        )
        if all(other.brings(word) for other in self._others):
            delete = "DELETE FROM content.film_work WHERE title = %(word)s"
            self._made("deleted", delete, word, lambda: 0)

    def thousand_persons(self) -> None:
        self.connection.execute(
            "UPDATE content.person SET full_name = full_name || ' x', modified = now()"
            " WHERE id IN (SELECT id FROM content.person LIMIT 1000)"
        )

    def _word(self) -> str:
        self._number += 1
        return f"zq{os.getpid()}n{self._number}"

    def _made(
        self,
        kind: str | None,
        statement: str,
        word: str,
        films: Callable[[], int] = lambda: 1,
        **values: object,
    ) -> None:
        """Change the catalogue; note the seconds as those of this kind, if of any."""
        self.connection.execute(statement.encode(), {"word": word, **values})
        began = counted = time.monotonic()
        wanted = films()
        for other in self._others if kind else ():
            other.add(_Pending(kind or "", word, lambda: wanted, began))
        while _found(self._port, self._engine, word) != wanted:
            now = time.monotonic()
            if now - began > _PATIENCE:
                msg = f"a search does not find {wanted} films of {word} after {_PATIENCE:.0f} s"
                raise BenchmarkError(msg)
            if now - counted > 1:  # the simulator may have taken a link away
                wanted, counted = films(), now
            time.sleep(_until_the_next_search(began, _LOOK))
        if kind:
            self._times[kind, self._engine.name].append(time.monotonic() - began)

    def _count(self, statement: str, *values: object) -> int:
        row = self.connection.execute(statement.encode(), values).fetchone()
        return int(row[0]) if row else 0


def _found_by(word: str) -> dict[str, Any]:
    return {"multi_match": {"query": word, "fields": list(_NAMES)}}


def _found(port: int, engine: _Engine, word: str | None) -> int:
    """Count what a search finds; of every film where there is no word."""
    query = engine.query(word) if word else {"match_all": {}}
    body = {"query": query, "size": 0, "track_total_hits": True}
    try:
        answer = call("POST", f"http://127.0.0.1:{port}/{engine.alias}/_search", body)
    except Exception:  # noqa: BLE001 - there is no index yet
        return -1
    return int(answer["hits"]["total"]["value"])


def _follows(dsn: str) -> bool:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(_FOLLOWER.encode()).fetchone() is not None


def _kill(connection: psycopg.Connection[Any]) -> None:
    os.kill(_follower(connection), signal.SIGKILL)


def _follower(connection: psycopg.Connection[Any]) -> int:
    """Return the process of the task that follows: the owner of its session's socket."""
    row = connection.execute(_FOLLOWER.encode()).fetchone()
    if row is None:
        msg = "no task follows"
        raise BenchmarkError(msg)
    (port,) = row
    for found in psutil.net_connections("tcp"):
        is_its = found.laddr and found.laddr.port == port and found.pid
        if is_its and "postgres" not in psutil.Process(found.pid).name():
            return int(found.pid)
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
