"""What a command prints while it works: lines with the seconds, and a bar for what takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY = 10.0
"""Seconds between two lines about a long job where there is no terminal for a bar."""


class Report:
    """Prints lines with the seconds since it was made; threads may share it."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()
        self._alone = threading.RLock()
        self._bars: Progress | None = None

    def __call__(self, text: str) -> None:
        """Print one line at once, also into a pipe; nothing ends because nobody reads it."""
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        with self._alone, contextlib.suppress(OSError):
            if self._bars is not None:
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, flush=True)

    @contextlib.contextmanager
    def bars(self) -> Iterator[None]:
        """Show long jobs as bars below the lines, if there is a terminal."""
        if not sys.stdout.isatty():
            yield
            return
        bars = Progress(
            TextColumn("          {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TimeRemainingColumn(),
            transient=True,
        )
        with contextlib.suppress(OSError):
            bars.start()
        self._bars = bars
        try:
            yield
        finally:
            self._bars = None
            with contextlib.suppress(OSError):
                bars.stop()

    def progress(self, what: str, done: int, total: int) -> None:
        """Say how much of a job is done; it is over when all is done."""
        with self._alone, contextlib.suppress(OSError):
            if self._bars is not None:
                _show(self._bars, what, done, total)
            elif 0 < done < total and time.monotonic() - self._told >= _EVERY:
                self._told = time.monotonic()
                self(f"{what}: {done:,} of {total:,}")


def _show(bars: Progress, what: str, done: int, total: int) -> None:
    known = next((task.id for task in bars.tasks if task.description == what), None)
    if done == total:
        if known is not None:
            bars.remove_task(known)
    elif known is None:
        bars.add_task(what, completed=done, total=total)
    else:
        bars.update(known, completed=done, total=total)
