"""The command watch: lag and rate of each stream in the terminal, until Ctrl-C."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.lag import MOST, Lag, Observer
from local.processes import pause
from local.rest import RestError, UnreachableError
from local.words import counted

if TYPE_CHECKING:
    from typing import NoReturn

    from rich.console import RenderableType

    from local.lag import StreamLag


def watch(observer: Observer, seconds: float) -> NoReturn:
    """Show how things stand every so many seconds: a table on a terminal, else a line."""
    console = Console()
    if not sys.stdout.isatty():
        while True:
            print(line(look(observer)), flush=True)
            pause(seconds)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(table(look(observer)), refresh=True)
            pause(seconds)


def look(observer: Observer) -> Lag | str:
    """Return how things stand, or why that cannot be told."""
    try:
        return observer.look()
    except (RestError, UnreachableError, psycopg.Error) as error:
        return f"cannot look: {' '.join(str(error).split())[:300]}"


def line(lag: Lag | str) -> str:
    """Return one line."""
    now = f"{datetime.now(UTC).astimezone():%H:%M:%S}"
    if isinstance(lag, str):
        return f"{now} {lag}"
    streams = "; ".join(
        f"{stream.name} {_seconds(stream.lag)}, {_rows(stream)} waiting" for stream in lag.streams
    )
    return f"{now} {streams}; {_sides(lag)}; {_now(lag)}"


def table(lag: Lag | str) -> RenderableType:
    """Return the table for a terminal."""
    if isinstance(lag, str):
        return Text(lag)
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    grid.add_column("stream")
    for heading in ("behind", "rows waiting", "last run sent", "films per second"):
        grid.add_column(heading, justify="right")
    for stream in lag.streams:
        rate = "" if stream.rate is None else f"{stream.rate:,.0f}"
        grid.add_row(stream.name, _seconds(stream.lag), _rows(stream), f"{stream.sent:,}", rate)
    below = ("", _sides(lag), f"{_last(lag)}; {_now(lag)}", "stop with Ctrl-C")
    return Group(grid, *map(Text, below))


def _seconds(lag: float | None) -> str:
    return "loading" if lag is None else f"{lag:,.0f} s"


def _rows(stream: StreamLag) -> str:
    return f"{stream.waiting:,}" if stream.waiting < MOST else f"{MOST:,} or more"


def _sides(lag: Lag) -> str:
    letters = f", {counted(lag.letters, 'dead letter')}" if lag.letters else ""
    return (
        f"{counted(lag.films, 'film')} in PostgreSQL, {lag.documents:,} in Elasticsearch{letters}"
    )


def _last(lag: Lag) -> str:
    if lag.last is None or lag.last.ended is None:
        return "no run has ended yet"
    ago = (datetime.now(UTC) - lag.last.ended).total_seconds()
    return f"last run: {lag.last.state} {ago:.0f} s ago"


def _now(lag: Lag) -> str:
    doing = f"{lag.running} is running" if lag.running else "no task is running"
    rate = "" if lag.rate is None else f", {lag.rate:,.0f} films per second"
    return f"{doing}{rate}"
