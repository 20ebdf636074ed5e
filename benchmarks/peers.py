"""The same catalogue loaded by others: the usual cursor program, and PGSync."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmarks import ceiling, pgsync
from benchmarks.figures import Figure, Load, Part
from benchmarks.load import compare, first_load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import FOLDER, Servers
from local.files import CHECKOUT
from local.rest import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.ceiling import Bodies

USUAL = "usual"
_PGSYNC = f"PGSync {pgsync.VERSION}"
OPTIONS = {"wal_level": "logical"}
"""For PGSync; the others run under it as well."""


def measure(servers: Servers, bodies: Bodies, rounds: int) -> Part:
    """Load the catalogue by each, in turn, and compare what is in their indexes."""
    films, port = bodies.films, servers.elasticsearch.port
    loaders: dict[str, Callable[[], Load]] = {
        "raw bulk, nothing to read": lambda: _ceiling(servers, bodies),
        "movies_sync": lambda: _ours(servers, films),
        "usual cursor program": lambda: _usual(servers, films),
    }
    why_not = pgsync.missing()
    if why_not is None:
        loaders[_PGSYNC] = lambda: pgsync.load(servers)
    servers.report("warming up: a pass of the ceiling and a first load")
    ceiling.measure(port, bodies, servers.meter)
    first_load(servers, films)
    empty = servers.empty_task()
    measured: dict[str, list[Load]] = defaultdict(list)
    for _ in range(rounds):
        for name, loader in list(loaders.items()):
            try:
                load = loader()
            except BenchmarkError as error:
                if name != _PGSYNC:
                    raise
                why_not = " ".join(str(error).split())[:300]
                loaders.pop(name)
                measured.pop(name, None)
                continue
            measured[name].append(load)
            servers.report(f"{name}: {films / load.at:,.0f} films/s")
    notes = [
        f"Of the memory of movies_sync {empty:.0f} MB are Airflow's: a task that does nothing.",
        *_compared(port, bodies, why_not),
    ]
    return _part(films, measured, notes)


def _compared(port: int, bodies: Bodies, why_not: str | None) -> list[str]:
    """Compare the indexes with the catalogue; return what a reader has to know of them."""
    compare(port, "movies", bodies)
    compare(port, USUAL, bodies, wanted=without_checksum)
    notes = ["The usual cursor program's documents equal ours, but for the checksum."]
    if why_not is not None:
        return [*notes, f"PGSync was left out: {why_not}."]
    compare(port, pgsync.INDEX, bodies, wanted=pgsync.shown, found=pgsync.normal)
    pgsync_notes = (
        "PGSync's documents hold the same films, genres and persons with their roles; its schema "
        "cannot say three lists by role, the lists of names, nor an order. Its set-up of triggers "
        "and slot and its start are not counted."
    )
    return [*notes, pgsync_notes]


def _ceiling(servers: Servers, bodies: Bodies) -> Load:
    spent = ceiling.measure(servers.elasticsearch.port, bodies, servers.meter).spent
    return Load(spent.at, spent.task, spent.postgres, spent.elasticsearch, peak=0.0)


def _ours(servers: Servers, films: int) -> Load:
    figures = first_load(servers, films)
    return Load(**{name: figures[name] for name in Load.__dataclass_fields__})


def _usual(servers: Servers, films: int) -> Load:
    url = servers.elasticsearch.url
    call("DELETE", f"{url}/{USUAL}?ignore_unavailable=true", seconds=60)
    call("PUT", f"{url}/{USUAL}", ceiling.DEFINITION, seconds=60)
    state = FOLDER / "usual.json"
    state.unlink(missing_ok=True)
    before = servers.meter.read()
    arguments = ("--dsn", servers.dsn, "--url", url, "--index", USUAL, "--state", str(state))
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.usual", *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if answer.returncode:
        msg = f"the usual cursor program failed with {answer.returncode}"
        raise BenchmarkError(msg)
    result: dict[str, Any] = json.loads(answer.stdout)
    if result["films"] != films:
        msg = f"the usual cursor program loaded {result['films']:,} of {films:,} films"
        raise BenchmarkError(msg)
    spent = servers.meter.read().since(before)
    return Load(result["at"], result["task"], spent.postgres, spent.elasticsearch, result["peak"])


def without_checksum(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the usual program's document has as well."""
    return {name: value for name, value in document.items() if name != "checksum"}


def _part(films: int, measured: dict[str, list[Load]], notes: list[str]) -> Part:
    part = Part(
        title=f"First load of {films:,} films, side by side",
        columns=(
            "",
            "films/s (spread)",
            "CPU µs per film: its own",
            "PostgreSQL",
            "Elasticsearch",
            "peak MB",
        ),
        notes=notes,
    )
    part.summary["peers_films"] = films
    for name, loads in measured.items():
        rate = Figure.of(films / load.at for load in loads)
        task, postgres, elasticsearch = (
            Figure.of(seconds / films * 1e6 for seconds in column)
            for column in zip(
                *((load.task, load.postgres, load.elasticsearch) for load in loads),
                strict=True,
            )
        )
        peak = Figure.of(load.peak for load in loads).median
        part.rows.append(
            (
                name,
                rate.text(),
                task.text(1),
                postgres.text(1),
                elasticsearch.text(),
                f"{peak:,.0f}" if peak else "",
            )
        )
        key = name.split()[0].lower()
        part.summary |= {
            f"peers_{key}_docs_s": round(rate.median, 1),
            f"peers_{key}_cpu_us": round(task.median, 1),
            f"peers_{key}_cpu_us_postgres": round(postgres.median, 1),
            f"peers_{key}_cpu_us_elasticsearch": round(elasticsearch.median, 1),
        }
        part.bars.append((name, rate.median, task.median, postgres.median, elasticsearch.median))
    return part
