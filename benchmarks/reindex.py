"""The rebuild: its load beside the raw bulk ceiling, while runs go on and somebody searches."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks import ceiling
from benchmarks.figures import Figure, Part
from benchmarks.load import bodies as bodies_of
from benchmarks.load import compare, remove_index, steady_rounds
from benchmarks.servers import REINDEX
from local.processes import pause, wait_until
from local.rest import call

if TYPE_CHECKING:
    from benchmarks.ceiling import Bodies, Ceiling
    from benchmarks.servers import Servers

ENVIRONMENT = {"MOVIES_ETL_SCHEDULE": "* * * * *"}
"""The sync runs as it does by default."""

TASKS = ("prepare", "check", "swap")
_SEARCH_PAUSE = 0.05
_FIRST_LOAD_SECONDS = 4 * 3600.0
_NOTE = (
    "A run of `movies_sync` begins each minute all the while, and the alias is searched 20 times "
    "per second, from the first task of the rebuild to the last."
)


def measure(servers: Servers, films: int, rounds: int) -> Part:
    """Make the index anew a few times, the ceiling before and after each; return the figures.

    A rebuild comes first that does not count: it warms everything up.
    """
    bodies = bodies_of(servers)
    port = servers.elasticsearch.port
    remove_index(port)
    servers.let_run()
    wait_until(
        lambda: _documents(port) == films, seconds=_FIRST_LOAD_SECONDS, what="the first load"
    )
    empty = Figure.of(servers.empty_task() for _ in range(3))
    ceiling.measure(port, bodies, servers.meter)
    _rebuilt(servers, films)
    made = steady_rounds(
        lambda: _rebuilt(servers, films), lambda: _ceiling(servers, bodies), wanted=rounds
    )
    compare(port, "movies", bodies)
    servers.report(f"the index has the same {films:,} documents as the ceiling's bodies")
    rounds_made = made[:rounds]
    return _part(
        films,
        [one.load for one in rounds_made],
        [one.ceiling for one in rounds_made],
        empty,
    )


def _part(films: int, rebuilds: list[dict[str, Any]], ceilings: list[float], empty: Figure) -> Part:
    figures = {
        "ceiling_docs_s": Figure.of(ceilings),
        "reindex_docs_s": Figure.of(films / one["load"] for one in rebuilds),
        "reindex_ratio": Figure.of(
            films / one["load"] / rate for one, rate in zip(rebuilds, ceilings, strict=True)
        ),
        "reindex_check_docs_s": Figure.of(films / one["check"] for one in rebuilds),
        "reindex_swap_s": Figure.of(one["swap"] for one in rebuilds),
        "reindex_whole_s": Figure.of(one["whole"] for one in rebuilds),
        "reindex_load_mb": Figure.of(one["load_peak"] - empty.median for one in rebuilds),
        "reindex_check_mb": Figure.of(one["check_peak"] - empty.median for one in rebuilds),
        "reindex_searches": Figure.of(one["searches"].number for one in rebuilds),
        "reindex_searches_failed": Figure.of(one["searches"].failed for one in rebuilds),
        "reindex_search_p95_ms": Figure.of(one["searches"].p95 for one in rebuilds),
    }
    over = f"over an empty task ({empty.text()} MB), MB"
    named = {
        "ceiling_docs_s": ("raw bulk ceiling, documents/s", 0),
        "reindex_docs_s": ("all `load` tasks, from the first to the last, films/s", 0),
        "reindex_ratio": ("the same / the ceilings before and after it", 3),
        "reindex_check_docs_s": ("`check`, catch-up and comparison of everything, films/s", 0),
        "reindex_swap_s": ("`swap`, s", 1),
        "reindex_whole_s": ("from the first task to the last, s", 0),
        "reindex_load_mb": (f"peak memory of a `load` {over}", 1),
        "reindex_check_mb": (f"peak memory of `check` {over}", 1),
        "reindex_searches": ("searches meanwhile", 0),
        "reindex_searches_failed": ("searches that failed or found fewer films", 0),
        "reindex_search_p95_ms": ("95 of 100 searches took less than, ms", 1),
    }
    return Part(
        title=f"A rebuild of {films:,} films",
        rows=[(words, figures[name].text(digits)) for name, (words, digits) in named.items()],
        summary={name: round(figure.median, 3) for name, figure in figures.items()},
        notes=[_NOTE],
    )


def _rebuilt(servers: Servers, films: int) -> dict[str, Any]:
    """Make the index anew; return seconds, peaks of memory, and the searches meanwhile."""
    with _searching(servers.elasticsearch.port, films) as searches:
        results = servers.run_dag(REINDEX, TASKS, mapped=("load",))
    loads = [one["benchmark"] for one in results["load"]]
    began, ended = _span(loads)
    alone = {task: results[task]["benchmark"] for task in TASKS}
    whole_began, whole_ended = _span([*loads, *alone.values()])
    servers.report(f"rebuild: {films / (ended - began):,.0f} films/s in {len(loads)} ranges")
    return {
        "load": ended - began,
        "check": alone["check"]["at"],
        "swap": alone["swap"]["at"],
        "whole": whole_ended - whole_began,
        "load_peak": max(one["peak"] for one in loads),
        "check_peak": alone["check"]["peak"],
        "searches": searches,
    }


def _span(measured: list[dict[str, Any]]) -> tuple[float, float]:
    """Return when the first of some tasks began, and the last one ended."""
    return (
        min(one["began"] for one in measured),
        max(one["began"] + one["at"] for one in measured),
    )


@dataclass
class _Searches:
    """Searches of the alias.

    :param failed: those that had no answer, or of another number of films than there are.
    """

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def number(self) -> int:
        return len(self.seconds) + self.failed

    @property
    def p95(self) -> float:
        """Milliseconds."""
        return quantiles(self.seconds, n=20, method="inclusive")[18] * 1e3


@contextmanager
def _searching(port: int, films: int) -> Iterator[_Searches]:
    """Search all the time, from before a block until it ends."""
    found, ended = _Searches(), threading.Event()

    def search() -> None:
        while not ended.is_set():
            began = time.monotonic()
            if _documents(port) == films:
                found.seconds.append(time.monotonic() - began)
            else:
                found.failed += 1
            pause(_SEARCH_PAUSE)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _documents(port: int) -> int:
    """Count the films that a search of the alias finds; -1 where it fails."""
    body = {"size": 0, "track_total_hits": True}
    try:
        answer = call("POST", f"http://127.0.0.1:{port}/movies/_search", body)
    except Exception:  # noqa: BLE001 - any is a search that failed
        return -1
    return int(answer["hits"]["total"]["value"])


def _ceiling(servers: Servers, bodies: Bodies) -> Ceiling:
    result = ceiling.measure(servers.elasticsearch.port, bodies, servers.meter)
    servers.report(f"ceiling: {result.rate:,.0f} documents/s")
    return result
