"""Breaks of rule 18: a run that goes on sees what becomes visible, and may die at any moment."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from movies_etl.follow.cursors import HeldCursors
from movies_etl.follow.spell import Spell

from tests.simulation.switches import Switches, patched

FOLLOWING = Switches()


@FOLLOWING.rule("18")
def snapshot_is_noted_after_the_reading() -> AbstractContextManager[object]:
    """What is committed while a cycle reads is in the snapshot that it is judged by."""
    cycle = Spell._cycle

    def broken(self: Any, *, settles: bool) -> None:
        cycle(self, settles=settles)
        self._seen = self._server.snapshot()

    return patched((Spell, "_cycle", broken))


@FOLLOWING.rule("18-rows")
def rows_are_counted_after_the_reading() -> AbstractContextManager[object]:
    """What is committed while a stream is read is among the rows that the next look knows."""
    load = Spell._load

    def broken(self: Any, stream: Any, context: Any, *within: Any) -> None:
        load(self, stream, context, *within)
        self._above[stream.name] = self._standing(stream, context.horizon)

    return patched((Spell, "_load", broken))


@FOLLOWING.rule("18-versions")
def versions_are_sent_before_they_are_kept() -> AbstractContextManager[object]:
    """A task that dies leaves cursors that know nothing of what it sent."""

    def broken(self: Any, stream: str, cursor: Any) -> None:
        self._present[stream] = cursor

    return patched((HeldCursors, "save", broken))
