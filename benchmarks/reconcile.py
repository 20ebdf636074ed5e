"""The reconcile: what a run costs that finds nothing, and how fast everything is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, Part
from benchmarks.load import first_load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import RECONCILE
from benchmarks.transactions import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.servers import Servers

TASKS = ("presence", "touched", "contents")
EVERY_SECONDS = 300
"""Between two runs on the default schedule."""

_PARTIES = ("task", "postgres", "elasticsearch")


def measure(servers: Servers, films: int, rounds: int) -> Part:
    """Compare an index that is equal to the catalogue, all of it and as each run does."""
    first_load(servers, films)
    servers.run()
    with watched(servers.dsn) as longest:
        whole = [_run(servers, films, full=True)["contents"] for _ in range(rounds)]
        servers.report("everything was compared")
        ordinary = [_run(servers, films) for _ in range(rounds)]
    empty = Figure.of(servers.empty_task() for _ in range(3))

    rate = _figure(whole, lambda one: films / one["benchmark"]["at"])
    cpu = _figure(whole, _cpu)
    memory = Figure.of(one["benchmark"]["peak"] - empty.median for one in whole)
    rows: list[tuple[str, ...]] = [
        ("everything compared, films/s", rate.text()),
        ("the same, CPU of all parties, s", cpu.text(1)),
        *(
            (f"the same, CPU of {words}, µs per film", _per_film(whole, party, films).text(1))
            for party, words in zip(
                _PARTIES, ("the task", "PostgreSQL", "Elasticsearch"), strict=True
            )
        ),
        (f"the same, peak memory over an empty task ({empty.text()} MB), MB", memory.text(1)),
        ("longest transaction of all runs, s", f"{longest.seconds:.1f}"),
    ]
    for name in TASKS:
        runs = [one[name] for one in ordinary]
        rows.append((f"`{name}` of a run that finds nothing, s", _figure(runs, _seconds).text(2)))
        rows.append(("its CPU of all parties, s", _figure(runs, _cpu).text(2)))
    share = Figure.of(
        100 * sum(_cpu(one[name]) for name in ("presence", "touched")) / EVERY_SECONDS
        for one in ordinary
    )
    rows.append(("`presence` and `touched` each five minutes, share of one core, %", share.text(2)))
    return Part(
        title=f"The reconcile of {films:,} films without drift",
        rows=rows,
        summary={
            "reconcile_films_per_second": round(rate.median),
            "reconcile_cpu_s": round(cpu.median, 1),
            "reconcile_memory_mb": round(memory.median, 1),
            "reconcile_share_of_a_core": round(share.median, 2),
            "reconcile_longest_transaction_s": round(longest.seconds, 1),
        },
    )


def _run(servers: Servers, films: int, **conf: object) -> dict[str, dict[str, Any]]:
    results = servers.run_dag(RECONCILE, TASKS, conf)
    found = {
        name: one["missing"] + one["different"] + one["surplus"] for name, one in results.items()
    }
    if any(found.values()) or (conf and results["contents"]["looked_at"] != films):
        msg = f"a reconcile without drift found {found} of {films} films"
        raise BenchmarkError(msg)
    return results


def _figure(runs: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> Figure:
    return Figure.of(map(value, runs))


def _per_film(runs: Sequence[dict[str, Any]], party: str, films: int) -> Figure:
    return Figure.of(1e6 * one["benchmark"][party] / films for one in runs)


def _seconds(one: dict[str, Any]) -> float:
    return float(one["benchmark"]["at"])


def _cpu(one: dict[str, Any]) -> float:
    return float(sum(one["benchmark"][party] for party in _PARTIES))
