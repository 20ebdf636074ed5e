"""Hints that rows were deleted, for a task that goes on: counts of both sides, and statistics.

PostgreSQL's statistics tell of a deletion up to ten seconds late: a session that goes idle has not
told them before. The number of rows is right at once, but costs more, and says nothing while as
many rows are new.
"""

from __future__ import annotations

import time
from enum import Enum

from movies_etl.postgres.traces import statistics
from movies_etl.reconcile.each_run import CHEAP_ROWS
from movies_etl.reconcile.fuses import FEW_DELETIONS
from movies_etl.state.comparison import Comparison, DifferenceStore, TableStatistics
from movies_etl.sync.counts import difference_of
from movies_etl.sync.resources import Resources

HINT_SECONDS = 1.0
"""Seconds between two looks for hints."""

HINTS_LAST_SECONDS = 20.0
"""Seconds after a commit within which PostgreSQL has counted what was deleted: a session that goes
idle tells it after ten."""

COUNT_TIMES = 30.0
"""Rows are counted again after so many times as long as counting took: a thirtieth of the time."""

REST_TIMES = 4.0
"""After deleted rows were looked for the next look waits so many times as long as it took: where
rows are deleted all the time, looks take a fifth of the time."""

MAX_REST_SECONDS = 60.0
"""The longest such wait."""


class Hint(Enum):
    """What tells that rows were deleted."""

    FEW = "a few more were deleted than were found"
    MANY = "very many were, or a person decides about some, or nothing tells how many"


class Hints:
    """Says whether rows seem to have been deleted since they were searched for.

    :param store: has the last comparison of both sides.
    """

    def __init__(self, resources: Resources, store: DifferenceStore) -> None:
        self._resources = resources
        self._store = store
        self._table = resources.definition.root.rows.table
        self._last: Comparison | None = None
        self._at = self._until = self._count_at = 0.0
        self._is_to_count = False
        self._found = 0

    def begin(self) -> None:
        """Take up the last comparison: another task may have made it."""
        last = self._store.load()
        if _counted(last) != _counted(self._last):
            self._found = last.found if last else 0
        self._last = last

    def keep(self) -> None:
        """Let the next task know what was found, or it would search everything for it."""
        last = self._store.load()
        if last and _counted(last) == _counted(self._last) and self._found > last.found:
            self._store.save(last.model_copy(update={"found": self._found}))

    @property
    def rows(self) -> int:
        """How many rows there were in the last comparison."""
        return self._last.rows if self._last else 0

    def changed(self, at: float) -> None:
        """Note that something became visible.

        :param at: by the monotonic clock.
        """
        self._until = max(self._until, at + HINTS_LAST_SECONDS)
        self._is_to_count = True

    def look(self) -> Hint | None:
        """Return a hint, if there is one and it is time to look for it."""
        now = time.monotonic()
        if not self._at <= now <= self._until:
            return None
        self._at = now + HINT_SECONDS
        return self._of_statistics() or self._of_numbers(now)

    def allows(self, deletions: int) -> bool:
        """Whether so many documents without a row may be deleted without the fuses."""
        is_all = self._found + deletions >= self.rows
        return self._hint(deletions) is Hint.FEW and not is_all

    def found(self, deleted: int) -> None:
        """Note documents that were deleted: the statistics count their rows sooner or later."""
        self._found += deleted

    def rest(self, seconds: float) -> None:
        """Note for how long deleted rows were looked for until now."""
        wait = min(REST_TIMES * seconds, MAX_REST_SECONDS)
        self._at = max(self._at, time.monotonic() + wait)
        self._until = max(self._until, self._at + HINTS_LAST_SECONDS)

    def _of_statistics(self) -> Hint | None:
        now = statistics(self._resources.source, [self._table]).get(self._table)
        known = _counted(self._last)
        if now is None or known is None:
            return None if now is known else Hint.MANY
        deleted = now.deleted_since(known)
        if deleted is None:
            return Hint.MANY
        return self._hint(deleted - self._found) if deleted > self._found else None

    def _hint(self, deleted: int) -> Hint:
        """Return what a number of deletions means that were not found yet.

        A few deletions may be many: no more of them than the fuses let pass, until everything is
        searched again.
        """
        decides = self._last and self._last.surplus
        return Hint.MANY if decides or self._found + deleted > FEW_DELETIONS else Hint.FEW

    def _of_numbers(self, now: float) -> Hint | None:
        """Compare the number of documents with that of the rows.

        Only after something became visible, and where rows are counted cheaply.
        """
        last = self._last
        if last is None or last.rows > CHEAP_ROWS or not self._is_to_count or now < self._count_at:
            return None
        self._is_to_count = False
        resources = self._resources
        found = difference_of(resources.source, resources.index, resources.letters)
        self._count_at = now + COUNT_TIMES * (time.monotonic() - now)
        return self._hint(-found) if found < -last.surplus else None


def _counted(last: Comparison | None) -> TableStatistics | None:
    return last.statistics if last else None
