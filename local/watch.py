"""The command watch: lag and rate of each index and stream in the terminal, until Ctrl-C."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.lag import MOST
from local.processes import pause
from local.rest import RestError, UnreachableError
from local.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from rich.console import RenderableType

    from local.lag import IndexLag, Observer


def watch(observers: Sequence[Observer], seconds: float) -> NoReturn:
    """Show how things stand every so many seconds: tables on a terminal, else lines."""
    if not sys.stdout.isatty():
        while True:
            print("\n".join(lines(look(observers))), flush=True)
            pause(seconds)
    with Live(auto_refresh=False) as live:
        while True:
            live.update(tables(look(observers)), refresh=True)
            pause(seconds)


def look(observers: Sequence[Observer]) -> list[IndexLag] | str:
    """Return how things stand, or why that is not known."""
    try:
        return [observer.look() for observer in observers]
    except (RestError, UnreachableError, psycopg.Error) as error:
        return f"cannot look: {' '.join(str(error).split())[:300]}"


def lines(seen: list[IndexLag] | str) -> list[str]:
    """Return a line for each index."""
    now = f"{datetime.now(UTC).astimezone():%H:%M:%S}"
    if isinstance(seen, str):
        return [f"{now} {seen}"]
    told = []
    for one in seen:
        lags = [stream.lag for stream in one.streams]
        known = [lag for lag in lags if lag is not None]
        lag = max(known) if len(known) == len(lags) else None
        waiting = sum(stream.waiting for stream in one.streams)
        letters = f", {counted(one.letters, 'dead letter')}" if one.letters else ""
        told.append(
            f"{now} {one.name}: {_behind(lag)}, {counted(waiting, 'row')} waiting, "
            f"{counted(one.documents, 'document')} of {one.rows:,}{letters}; {_doing(one)}"
        )
    return told


def tables(seen: list[IndexLag] | str) -> RenderableType:
    """Return the tables for a terminal: a row for each stream, then one for each index."""
    if isinstance(seen, str):
        return Text(seen)
    streams = _table(("index", "stream"), ("behind", "rows waiting", "last run sent", "per second"))
    indexes = _table(
        ("index",), ("rows", "documents", "refused", "per second"), ("running", "last run")
    )
    for one in seen:
        for stream in one.streams:
            waiting = f"{stream.waiting:,}" if stream.waiting < MOST else f"{MOST:,} or more"
            lag = "loading" if stream.lag is None else f"{stream.lag:,.0f} s"
            rate = "" if stream.rate is None else f"{stream.rate:,.0f}"
            streams.add_row(one.name, stream.name, lag, waiting, f"{stream.sent:,}", rate)
        numbers = (f"{number:,.0f}" for number in (one.rows, one.documents, one.letters))
        now = "" if one.rate is None else f"{one.rate:,.0f}"
        indexes.add_row(one.name, *numbers, now, one.running or "-", _last(one))
    return Group(streams, "", indexes, "", "stop with Ctrl-C")


def _table(left: Sequence[str], right: Sequence[str], more: Sequence[str] = ()) -> Table:
    """Return a table with these headings, those in the middle for numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (*left, *right, *more):
        table.add_column(heading, justify="right" if heading in right else "left")
    return table


def _behind(lag: float | None) -> str:
    return "loading" if lag is None else f"{lag:,.0f} s behind"


def _last(one: IndexLag) -> str:
    if one.last is None or one.last.ended is None:
        return "none has ended"
    ago = (datetime.now(UTC) - one.last.ended).total_seconds()
    time = f"{ago:.0f} s" if ago < 600 else f"{ago / 60:,.0f} min"
    return f"{one.last.state} {time} ago"


def _doing(one: IndexLag) -> str:
    doing = f"{one.running} is running" if one.running else "no task is running"
    rate = "" if one.rate is None else f", {one.rate:,.0f} per second"
    return f"{doing}{rate}"
