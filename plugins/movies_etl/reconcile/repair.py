"""The one place where something is corrected: candidates are read again, under the writer's lock.

A document whose row is gone at that reading is deleted with the reading's version. A film that is
inserted meanwhile is read later, with a greater version: so an older reading never deletes it, and
never overwrites a newer document.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from movies_etl.errors import CancelledStatementError, WriterBusyError, on_one_line
from movies_etl.postgres import lock
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.fuses import allowed
from movies_etl.settings import Settings
from movies_etl.state.reconcile import Nowhere, Sweep, WrittenDocuments
from movies_etl.sync.batches import Batch
from movies_etl.sync.counters import Counters
from movies_etl.sync.ids import in_pages
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context
from movies_etl.sync.stream_run import StreamRun

log = logging.getLogger(__name__)

_StandT = TypeVar("_StandT", Sweep, WrittenDocuments, Nowhere)

BATCH_SIZE = 2000
"""Documents that are read again while the lock is held once."""

PAUSE_SECONDS = 0.1
"""Seconds between two batches, in which a task that waits for the lock takes it."""


@dataclass(frozen=True)
class Repaired:
    """What was done about candidates.

    :param counters: what was read again, loaded and deleted.
    :param left: candidates that were left, because a task was writing all the time.
    :param listed: candidates that a person decides about from now on.
    :param set_aside: candidates that a person was asked about before, or has refused.
    :param rewritten: documents that were rewritten for the same reason, now and before.
    """

    counters: Counters
    left: int = 0
    listed: int = 0
    set_aside: int = 0
    rewritten: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left for another time."""
        return not self.left and not self.listed

    def stands(self, before: _StandT, after: _StandT, *, goes_on: bool) -> _StandT:
        """Return where a question stands: after what was compared only if all of it is done.

        What was rewritten is counted until the question has come to its end.

        :param goes_on: the question has not come to its end.
        """
        if not self.is_done:
            return before.model_copy(update={"rewritten": self.rewritten})
        return after.model_copy(update={"rewritten": self.rewritten if goes_on else 0})


@dataclass(frozen=True)
class Pace:
    """How long candidates are read again.

    :param pause: seconds between two batches, in which another task may take the lock.
    :param seconds: after which no further batch begins; what is left is found again.
    """

    pause: float = 0.0
    seconds: float = float("inf")


UNTIL_DONE = Pace()


def repair(
    resources: Resources, settings: Settings, found: Candidates, pace: Pace = UNTIL_DONE
) -> Repaired:
    """Load or delete what was found; a list of very much is kept, and a person decides.

    :param resources: ``lock_wait`` is how long a task that writes is waited for.
    """
    few, listed, set_aside = allowed(resources, found)
    done = carry_out(replace(resources, counters=Counters()), settings, few, pace)
    return replace(done, listed=listed, set_aside=set_aside)


def carry_out(
    resources: Resources, settings: Settings, found: Candidates, pace: Pace = UNTIL_DONE
) -> Repaired:
    """Load or delete candidates, however many: each is read again.

    :param resources: their counters count what is done.
    """
    ends = time.monotonic() + pace.seconds
    counters = resources.counters
    batches, left = _batches(found), 0
    for batch in batches:
        try:
            _read_again_in_time(resources, settings, batch)
        except WriterBusyError as error:
            left = len(batch.ids) + _number(batches)
            log.info("%d candidates are left for the next time: %s", left, on_one_line(error))
            break
        if time.monotonic() >= ends and (left := _number(batches)):
            log.info("%d candidates are left for the next time: this took its time", left)
            break
        time.sleep(pace.pause)
    if counters.read:
        said = counters.outcomes() or "nothing to do"
        log.info("Read %d candidates again: %s", counters.read, said)
    return Repaired(counters, left)


def _batches(found: Candidates) -> Iterator[Batch]:
    """Yield what is to be read again; what is to be deleted comes first."""
    told = chain(found.surplus, found.missing, found.different, found.letters)
    for ids in in_pages(told, BATCH_SIZE):
        yield Batch([*dict.fromkeys(ids)], delete_absent=True)
    # The checksums of damaged documents may say that they are right. They are only rewritten: those
    # whose rows are gone by then are surplus, which has a fuse of its own.
    for ids in in_pages(found.damaged, BATCH_SIZE):
        yield Batch(ids, skip_unchanged=False)


def _number(batches: Iterator[Batch]) -> int:
    return sum(len(batch.ids) for batch in batches)


def _read_again_in_time(resources: Resources, settings: Settings, batch: Batch) -> None:
    """Read candidates again; where one statement takes too long for all of them, by halves."""
    try:
        _read_again(resources, settings, batch)
    except CancelledStatementError:
        if len(batch.ids) < 2:
            raise
        middle = len(batch.ids) // 2
        for ids in (batch.ids[:middle], batch.ids[middle:]):
            _read_again_in_time(resources, settings, replace(batch, ids=ids))


def _read_again(resources: Resources, settings: Settings, batch: Batch) -> None:
    """Read candidates with a version taken under the lock; load them, or delete what is gone."""
    definition, context = resources.definition, resources.context
    with lock.held(resources.source.server, context.uuid, wait=resources.lock_wait):
        check_context(resources)
        run = StreamRun.begun(definition.root, resources, settings)
        run.load(batch)
        run.finish()
