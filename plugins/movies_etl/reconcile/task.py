"""What every question of a task of the reconcile works with: its time, its memory, its repairs.

What is remembered moves on only when everything that was found is done. So a task that is killed,
or that meets a writer, asks the same question again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import cached_property
from typing import Any

from movies_etl.errors import CancelledStatementError, on_one_line
from movies_etl.postgres.timestamps import parse
from movies_etl.reconcile.asked_for import ReconcileParams
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.fuses import to_be_listed
from movies_etl.reconcile.making import Making
from movies_etl.reconcile.repair import PAUSE_SECONDS, Pace, Repaired, repair
from movies_etl.reconcile.result import Result
from movies_etl.settings import Settings
from movies_etl.state.reconcile import ReconcileState, ReconcileStore
from movies_etl.sync.counters import Counters
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

PATIENT_SECONDS = 60.0
"""Seconds for which a task compares, and for which it reads again what one question found, unless
everything was asked for. Each question has its share of the first: a huge one leaves the others
theirs, run after run."""


class ReconcileTask:
    """One task of the reconcile.

    :param resources: the servers; ``lock_wait`` is how long to wait for a writer.
    :param store: where the state is kept between runs.

    ``state`` is what is remembered, ``making`` tells whether the index is outdated.
    """

    def __init__(
        self,
        resources: Resources,
        settings: Settings,
        store: ReconcileStore,
        asked: ReconcileParams,
    ) -> None:
        self.resources = resources
        self.asked = asked
        self._settings = settings
        self._store = store
        self._began = time.monotonic()
        self._patience = float("inf") if asked.full else PATIENT_SECONDS
        self._ends = self._deadline = self._began + self._patience
        self._share = self._patience
        self._pace = Pace(PAUSE_SECONDS, self._patience)
        self.making = Making(resources, settings.include_dir)
        self._result = Result(rebuild=self.making.is_outdated)
        self.state = self._loaded()

    def _loaded(self) -> ReconcileState:
        """Return the state as it was kept, if it is of this index and this database."""
        context, state = self.resources.context, self._store.load()
        fresh = ReconcileState(
            index=context.uuid, history=context.history, database=context.database
        )
        if state is None or state.is_about(fresh):
            return state or fresh
        log.warning("What was remembered is of another index or database; everything is compared")
        return fresh

    @cached_property
    def documents(self) -> int:
        """How many documents the index has."""
        return self.resources.index.documents()

    def begin(self, questions: int) -> None:
        """Begin a question: it has its share of the task's time, and of what others left of theirs.

        :param questions: of the task that are left, this one included.
        """
        now = time.monotonic()
        self._share = min(self._share, self._patience / questions)
        self._deadline = now + max((self._ends - now) / questions, self._share)

    def leave(self, error: CancelledStatementError) -> None:
        """Leave a question that took too long to the next run: others must not wait for it."""
        self._result.unanswered += 1
        log.warning("A question of this run has no answer: %s", on_one_line(error))

    def has_time(self) -> bool:
        """Whether a question may go on."""
        return time.monotonic() < self._deadline

    def load(self, found: Candidates) -> Repaired:
        """Read candidates again, but leave deletions to the question that sees them all."""
        found.surplus.clear()
        return self.repair(found)

    def repair(self, found: Candidates, *, is_left: bool = False) -> Repaired:
        """Read candidates again; what is left to a rebuild counts as left.

        What was rewritten before another task came between counts for the next time, too.

        :param is_left: leave what differs, even if it is little.
        """
        is_left = is_left or self.making.leaves(found)
        wanted = replace(found, different=Ids(), damaged=Ids()) if is_left else found
        if self.asked.dry_run:
            done = Repaired(Counters(), listed=to_be_listed(wanted))
        else:
            began = time.monotonic()
            done = repair(self.resources, self._settings, wanted, self._pace)
            self._ends += time.monotonic() - began  # a time of its own
        self._result.add(found, done)
        to_rebuild = found.rewrites if is_left else 0
        now = found.rewrites - done.set_aside
        if not done.is_done:
            now = max(0, done.counters.indexed - len(found.missing))
        return replace(done, left=done.left + to_rebuild, rewritten=found.rewritten + now)

    def remember(self, **changes: object) -> None:
        """Keep the state with changes, unless nothing may be written."""
        state = self.state.model_copy(update=changes)
        if state != self.state and not self.asked.dry_run:
            self._store.save(state)
        self.state = state

    def forget(self, what: str, nothing: object) -> None:
        """Forget a part of the state that is too old: then everything is compared again."""
        log.warning("What is remembered of %s is too old; everything is compared again", what)
        self.remember(**{what: nothing, "current": None, "verified_at": None})

    def ended(self, name: str) -> dict[str, Any]:
        """Return the result, and keep it with the state.

        :param name: of the task.
        """
        self._result.seconds = round(time.monotonic() - self._began, 3)
        if verified_at := self.state.verified_at:
            now = parse(self.resources.source.server.now())
            age = max((now - parse(verified_at)).total_seconds(), 0.0)
            self._result.verified_age_seconds = round(age, 3)
        result = self._result.as_result()
        self.remember(results=self.state.results | {name: result})
        log.info("%s is done: %s", name, self._result.in_words())
        return result
