"""A first load by the real DAG, between passes of the raw bulk ceiling."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks import ceiling
from benchmarks.figures import Figure, Part
from benchmarks.runs import BenchmarkError
from benchmarks.servers import FOLDER, Servers
from local.rest import RestError, call

if TYPE_CHECKING:
    from benchmarks.ceiling import Bodies, Ceiling

_MOST_FOR_OVERHEAD = 200_000
"""What the protections cost per film does not depend on the number; the time to measure it does."""

_STEADY = 1.1
"""By how much the ceilings before and after a load may differ: then the load counts."""

_MOST_TRIES = 3
"""Loads made for each that is wanted, when the machine is not steady."""

Shape = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Round:
    """One load, and the passes of the ceiling before and after it."""

    before: Ceiling
    load: dict[str, Any]
    after: Ceiling

    @property
    def unsteadiness(self) -> float:
        """The greater of the two ceilings, in resources of the other."""
        rates = self.before.rate, self.after.rate
        return max(rates) / min(rates)

    @property
    def ceiling(self) -> float:
        """Documents per second around the load."""
        return mean((self.before.rate, self.after.rate))


def measure(servers: Servers, bodies: Bodies, rounds: int) -> Part:
    """Load everything a few times, the ceiling before and after each; return the figures.

    A pass of each comes first that does not count: a Java that has just started is three times
    slower.
    """
    port, films = servers.elasticsearch.port, bodies.films
    servers.report("warming up: a pass of the ceiling and a first load")
    ceiling.measure(port, bodies, servers.meter)
    first_load(servers, films)
    empty = Figure.of(servers.empty_task() for _ in range(3))
    made = steady_rounds(
        lambda: _load(servers, films), lambda: _ceiling(servers, bodies), wanted=rounds
    )
    compare(servers.elasticsearch.port, "movies", bodies)
    servers.report(f"the index has the same {films:,} documents as the ceiling's bodies")
    part = _part(films, made[:rounds], empty, left_out=len(made) - rounds)
    if films <= _MOST_FOR_OVERHEAD:
        _add_overhead(part, servers, films, rounds)
    return part


def steady_rounds(
    load: Callable[[], dict[str, Any]], ceiling: Callable[[], Ceiling], *, wanted: int
) -> list[Round]:
    """Load until enough loads stood between two equal ceilings; return all, the steadiest first.

    Other users of a machine slow the ceiling or the load, and a ratio of the two is luck then.
    Whether a load counts is told by its ceilings alone, never by itself.
    """
    made: list[Round] = []
    before = ceiling()
    while sum(one.unsteadiness <= _STEADY for one in made) < wanted:
        if len(made) == wanted * _MOST_TRIES:
            break
        made.append(Round(before, load(), after := ceiling()))
        before = after
    return sorted(made, key=lambda one: one.unsteadiness)


def _add_overhead(part: Part, servers: Servers, films: int, rounds: int) -> None:
    """Measure what the protections cost: loads with them and without, by turns.

    The least CPU time of each is compared: others on the machine can only add to it.
    """
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * rounds):  # the difference is small
        for unprotected in (False, True) if number % 2 else (True, False):
            load = first_load(servers, films, unprotected=unprotected)
            spent[unprotected].append((load["task"] + load["postgres"]) / films * 1e6)
    protected, bare = min(spent[False]), min(spent[True])
    overhead = protected / bare - 1
    part.rows += [
        (f"CPU of both, least of {len(spent[False])} loads, µs per film", f"{protected:.1f}"),
        ("the same without the protections, by turns, µs per film", f"{bare:.1f}"),
        ("what the protections add", f"{overhead:.1%}"),
    ]
    part.summary |= {
        "cpu_us_own_protected": round(protected, 3),
        "cpu_us_own_unprotected": round(bare, 3),
        "protections_overhead": round(overhead, 4),
    }
    servers.report(f"the protections add {overhead:.1%} of CPU time")


def first_load(servers: Servers, films: int, *, unprotected: bool = False) -> dict[str, float]:
    """Take the index away, load everything anew, and return what the task `film_work` measured.

    Raises BenchmarkError when not every film was loaded.
    """
    remove_index(servers.elasticsearch.port)
    result = servers.run(unprotected=unprotected)["film_work"]
    if result["indexed"] != films:
        msg = f"a first load of {films:,} films sent {result['indexed']:,}"
        raise BenchmarkError(msg)
    figures: dict[str, float] = result["benchmark"]
    return figures


def _load(servers: Servers, films: int) -> dict[str, Any]:
    load = first_load(servers, films)
    servers.report(
        f"load: {films / load['at']:,.0f} films/s, CPU per film: "
        f"task {load['task'] / films * 1e6:.1f} us, "
        f"PostgreSQL {load['postgres'] / films * 1e6:.1f} us"
    )
    return load


def remove_index(port: int) -> None:
    """Take away the index behind the alias: the next run creates one and loads everything."""
    url = f"http://127.0.0.1:{port}"
    try:
        names = list(call("GET", f"{url}/_alias/movies"))
    except RestError as error:
        if error.status != 404:
            raise
        return
    for name in names:
        call("DELETE", f"{url}/{name}", seconds=60)


def compare(
    port: int,
    index: str,
    bodies: Bodies,
    *,
    wanted: Shape = lambda document: document,
    found: Shape = lambda document: document,
) -> None:
    """Raise BenchmarkError unless the index has exactly the documents of the bodies.

    :param wanted: what is to be compared of a body's document.
    :param found: what is to be compared of the index's document.
    """
    url = f"http://127.0.0.1:{port}/{index}"
    for file in bodies.files:
        lines = file.read_bytes().splitlines()
        documents = {
            json.loads(action)["index"]["_id"]: wanted(json.loads(document))
            for action, document in zip(lines[::2], lines[1::2], strict=True)
        }
        for there in call("POST", f"{url}/_mget", {"ids": list(documents)}, seconds=60)["docs"]:
            film = there["_id"]
            if not there["found"] or found(there["_source"]) != documents[film]:
                msg = f"film {film} is not in {index} as it should be: {there.get('_source')}"
                raise BenchmarkError(msg)
    count = call("GET", f"{url}/_count")["count"]
    if count != bodies.films:
        msg = f"{index} has {count:,} documents, {bodies.films:,} are wanted"
        raise BenchmarkError(msg)


def bodies(servers: Servers) -> Bodies:
    """Take the documents out of the catalogue."""
    taken = ceiling.take_out(servers.dsn, FOLDER / "bodies")
    servers.report(
        f"{taken.films:,} documents of {taken.size / taken.films:,.0f} bytes taken out as "
        f"{len(taken.files)} bodies"
    )
    return taken


def _ceiling(servers: Servers, bodies: Bodies) -> Ceiling:
    result = ceiling.measure(servers.elasticsearch.port, bodies, servers.meter)
    servers.report(f"ceiling: {result.rate:,.0f} documents/s")
    return result


def _part(films: int, rounds: list[Round], empty: Figure, *, left_out: int) -> Part:
    loads = [one.load for one in rounds]
    ceilings = list(dict.fromkeys(one for both in rounds for one in (both.before, both.after)))
    micros = 1e6 / films
    figures = {
        "ceiling_docs_s": Figure.of(one.rate for one in ceilings),
        "load_docs_s": Figure.of(films / load["at"] for load in loads),
        "ratio": Figure.of(films / one.load["at"] / one.ceiling for one in rounds),
        "cpu_us_task": Figure.of(load["task"] * micros for load in loads),
        "cpu_us_postgres": Figure.of(load["postgres"] * micros for load in loads),
        "cpu_us_own": Figure.of((load["task"] + load["postgres"]) * micros for load in loads),
        "cpu_us_elasticsearch": Figure.of(load["elasticsearch"] * micros for load in loads),
        "ceiling_cpu_us_elasticsearch": Figure.of(
            one.spent.elasticsearch * micros for one in ceilings
        ),
        "ceiling_cpu_us_client": Figure.of(one.spent.task * micros for one in ceilings),
        "rss_mb": Figure.of(load["peak"] - empty.median for load in loads),
    }
    most = max(one.unsteadiness for one in rounds) - 1
    notes = [f"The ceilings before and after a load differ by {most:.0%} or less."]
    if left_out:
        notes.append(f"Loads left out, as their ceilings differed by more: {left_out}.")
    named = {
        "ceiling_docs_s": ("raw bulk ceiling, documents/s", 0),
        "load_docs_s": ("first load by `movies_sync`, films/s", 0),
        "ratio": ("first load / the ceilings before and after it", 3),
        "cpu_us_task": ("CPU of the task, µs per film", 1),
        "cpu_us_postgres": ("CPU of PostgreSQL, µs per film", 1),
        "cpu_us_own": ("CPU of both, µs per film", 1),
        "cpu_us_elasticsearch": ("CPU of Elasticsearch, µs per film", 0),
        "ceiling_cpu_us_elasticsearch": ("CPU of Elasticsearch in the ceiling, µs per film", 0),
        "ceiling_cpu_us_client": ("CPU of the ceiling's sender, µs per film", 1),
        "rss_mb": (f"peak memory of the task over an empty task ({empty.text(0)} MB), MB", 1),
    }

    def bar(label: str, *names: str) -> tuple[str, float, float, float, float]:
        rate, task, postgres, elasticsearch = (
            figures[name].median if name else 0.0 for name in names
        )
        return label, rate, task, postgres, elasticsearch

    return Part(
        title=f"First load of {films:,} films",
        rows=[(words, figures[name].text(digits)) for name, (words, digits) in named.items()],
        summary={name: round(figure.median, 3) for name, figure in figures.items()},
        notes=notes,
        bars=[
            bar(
                "raw bulk, nothing to read",
                *("ceiling_docs_s", "ceiling_cpu_us_client", "", "ceiling_cpu_us_elasticsearch"),
            ),
            bar(
                "movies_sync",
                *("load_docs_s", "cpu_us_task", "cpu_us_postgres", "cpu_us_elasticsearch"),
            ),
        ],
    )
