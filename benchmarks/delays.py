"""When each change that leaves no trace in `modified` is right in the search.

The DAGs run as their schedules would have them: the sync each minute, the reconcile each five. Runs
are not waited for: a run begins at its minute, or when the one before ends, and takes the seconds
that it takes here. So a delay is what a schedule that is kept would show.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from benchmarks import untraced
from benchmarks.figures import Part
from benchmarks.load import first_load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import PURGE, RECONCILE
from benchmarks.transactions import watched
from benchmarks.untraced import Change
from local.rest import RestError, call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.servers import Servers
    from benchmarks.untraced import Query

SYNC_SECONDS = 60
RECONCILE_SECONDS = 300
MOST_MINUTES = 30
"""Minutes of the schedule after which a change counts as lost."""

MOST_IMPORTED = 100_000
"""Films up to which a whole table is imported again: the documented delay is given for so many."""

_TASKS = ("presence", "touched", "contents")

Results = dict[str, dict[str, Any]]


class Program(Protocol):
    """The DAGs, each run to its end; what their tasks return."""

    def sync(self) -> Results:
        """Run the sync."""

    def reconcile(self) -> Results:
        """Run the reconcile."""

    def purge(self) -> bool:
        """Let a person approve a list; say whether there was one that may be asked about."""


@dataclass(frozen=True)
class Sides:
    """The catalogue and its index.

    :param dsn: of the catalogue, as superuser.
    :param url: of Elasticsearch.
    """

    dsn: str
    url: str

    def films(self, number: int) -> list[str]:
        """Return films that changes may concern."""
        with psycopg.connect(self.dsn) as connection:
            found = [id_ for (id_,) in connection.execute(untraced.FILMS, (number,))]
        if len(found) < number:
            msg = f"the catalogue has only {len(found)} films with a director and an actor"
            raise BenchmarkError(msg)
        return found

    def execute(self, *statements: str) -> None:
        """Change the catalogue, in one transaction."""
        with psycopg.connect(self.dsn) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def make(self, change: Change) -> None:
        """Make a change."""
        self.execute(*change.statements)
        for key, document in change.damage:
            if document is None:
                self._call("DELETE", f"_doc/{key}")
                continue
            try:
                self._call("POST", f"_update/{key}", {"doc": document})
            except RestError:
                self._call("PUT", f"_doc/{key}", document)

    def hits(self, query: Query) -> int:
        """Search, as a visitor does."""
        self._call("POST", "_refresh")
        body = {"size": 0, "track_total_hits": True, "query": query}
        return int(self._call("POST", "_search", body)["hits"]["total"]["value"])

    def _call(self, method: str, what: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        return call(method, f"{self.url}/movies/{what}", body, seconds=60)


@dataclass(frozen=True)
class Delay:
    """When a change was right.

    :param minutes: of the schedule, from the change to the end of the run that made it right.
    :param syncs: runs of the sync until then.
    :param reconciles: runs of the reconcile until then.
    """

    minutes: float
    syncs: int
    reconciles: int


@dataclass
class Schedule:
    """The runs that the schedules would make, from a moment on.

    :param runs: how many there were, by kind.
    :param longest: the longest one's seconds, by kind.
    :param results: of the last run of each kind.
    """

    program: Program
    runs: Counter[str] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)
    results: dict[str, Results] = field(default_factory=dict)
    _free: dict[str, float] = field(default_factory=dict)
    _is_asked: bool = False

    def until_right(self, changes: Sequence[Change], hits: Callable[[Query], int]) -> list[Delay]:
        """Run until each change is right in the search; return when it was.

        Raises BenchmarkError when one is not within `MOST_MINUTES`.
        """
        found: dict[str, Delay] = {}
        for second in range(SYNC_SECONDS, 60 * MOST_MINUTES, SYNC_SECONDS):
            due = ["sync"] if second % RECONCILE_SECONDS else ["sync", "reconcile"]
            for kind in due:
                ended = self._run(kind, second)
                for change in changes:
                    if change.name not in found and hits(change.query) == change.hits:
                        runs = self.runs["sync"], self.runs["reconcile"]
                        found[change.name] = Delay(ended / 60, *runs)
            if len(found) == len(changes):
                return [found[change.name] for change in changes]
        lost = [change.name for change in changes if change.name not in found]
        msg = f"not right in the search after {MOST_MINUTES} minutes: {', '.join(lost)}"
        raise BenchmarkError(msg)

    def _run(self, kind: str, second: float) -> float:
        """Run one DAG; return the second of the schedule at which it ended."""
        began = time.monotonic()
        run = self.program.sync if kind == "sync" else self.program.reconcile
        self.results[kind] = run()
        self._is_asked |= any(one.get("asked") for one in self.results[kind].values())
        if self._is_asked and self.program.purge():
            self._is_asked = False
        took = time.monotonic() - began
        self.runs[kind] += 1
        self.longest[kind] = max(self.longest.get(kind, 0.0), took)
        self._free[kind] = max(self._free.get(kind, 0.0), second) + took
        return self._free[kind]


class Dags:
    """The real DAGs, by Airflow."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def sync(self) -> Results:
        """Run the sync."""
        return self._servers.run()

    def reconcile(self) -> Results:
        """Run the reconcile."""
        return self._servers.run_dag(RECONCILE, _TASKS)

    def purge(self) -> bool:
        """Approve a list in the name of a person."""
        return bool(self._servers.run_dag(PURGE, ("purge",))["purge"]["lists"])


def measure(servers: Servers, films: int) -> Part:
    """Make every kind of change; then import the table again, and empty it."""
    first_load(servers, films)
    sides = Sides(servers.dsn, f"http://127.0.0.1:{servers.elasticsearch.port}")
    program = Dags(servers)
    with watched(servers.dsn) as transactions:
        rows = delays(program, sides, films, servers.report)
        results = emptied(program, sides)
    part = Part(
        title=f"Delays of what leaves no trace, {films:,} films",
        columns=("change", "right after, minutes", "runs: sync, reconcile", "documented, minutes"),
        rows=rows,
        summary={"delays_longest_transaction_s": round(transactions.seconds, 1)},
    )
    add_emptied(part, results, servers.empty_task())
    part.rows.append(
        ("longest transaction of all runs, s", f"{transactions.seconds:,.1f}", "", "30")
    )
    return part


def add_emptied(part: Part, results: Mapping[str, dict[str, Any]], empty: float) -> None:
    """Add what the runs took after all films were gone.

    :param results: of their tasks.
    :param empty: the peak memory of a task that does nothing, in MB.
    """
    measured = [one["benchmark"] for one in results.values()]
    asked = max(int(one.get("asked", 0)) for one in results.values())
    memory = max(one["peak"] for one in measured) - empty
    seconds = max(one["at"] for one in measured)
    part.rows += [
        ("TRUNCATE of all films: documents of which a person is asked", f"{asked:,}", "", ""),
        ("the same, longest task, s", f"{seconds:,.1f}", "", ""),
        ("the same, largest peak memory over an empty task, MB", f"{memory:,.1f}", "", "120"),
    ]
    part.summary |= {"emptied_memory_mb": round(memory, 1), "emptied_asked": asked}


def delays(
    program: Program, sides: Sides, films: int, report: Callable[[str], None]
) -> list[tuple[str, ...]]:
    """Make every kind of change, and the import; return a row of the table for each.

    Raises BenchmarkError when a change is right later than it is documented.
    """
    program.sync()
    program.reconcile()
    sides.execute("ALTER TABLE content.film_work ALTER COLUMN modified DROP NOT NULL")
    kinds = untraced.changes(sides.films(9 * untraced.FILMS_EACH))
    rows = _made(program, sides, kinds)
    report(f"{len(kinds)} kinds of changes are right in the search")
    if films <= MOST_IMPORTED:
        rows += _made(program, sides, [imported(sides)])
        report("the imported table is right in the search")
    return rows


def _made(program: Program, sides: Sides, kinds: Sequence[Change]) -> list[tuple[str, ...]]:
    for change in kinds:
        sides.make(change)
        if sides.hits(change.query) == change.hits:
            msg = f"{change.name}: nothing to be done"
            raise BenchmarkError(msg)
    found = Schedule(program).until_right(kinds, sides.hits)
    late = [
        f"{change.name} ({delay.minutes:.1f} minutes)"
        for change, delay in zip(kinds, found, strict=True)
        if delay.minutes > change.documented
    ]
    if late:
        msg = f"later than it is documented: {', '.join(late)}"
        raise BenchmarkError(msg)
    return [
        (
            change.name,
            f"{delay.minutes:.1f}",
            f"{delay.syncs}, {delay.reconciles}",
            f"{change.documented:,.0f}",
        )
        for change, delay in zip(kinds, found, strict=True)
    ]


def imported(sides: Sides) -> Change:
    """Return the import of a whole table with old stamps, through the fuse."""
    with psycopg.connect(sides.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM content.film_work").fetchone()
    tables = ("film_work", "genre_film_work", "person_film_work")
    return Change(
        "TRUNCATE and import with old stamps, approved at once",
        7,
        {"match": {"title": "reimported"}},
        int(row[0]) if row else 0,
        (
            "SET LOCAL session_replication_role = replica",  # as pg_restore --disable-triggers does
            *(f"CREATE TEMPORARY TABLE old_{one} AS TABLE content.{one}" for one in tables),
            "UPDATE old_film_work SET title = 'Reimported ' || title, modified = '1999-01-01'",
            "TRUNCATE content.film_work CASCADE",
            *(f"INSERT INTO content.{one} SELECT * FROM old_{one}" for one in tables),
        ),
    )


def emptied(program: Program, sides: Sides) -> Mapping[str, dict[str, Any]]:
    """Empty the table; return what the tasks of the next runs say. Nobody answers."""
    sides.execute("TRUNCATE content.film_work CASCADE")
    return program.sync() | program.reconcile()
