"""The one place where something is corrected: candidates are read again, under the writer's lock.

A document whose row is gone at that reading is deleted with the reading's version. A film that is
inserted meanwhile is read later, and so with a greater version: it is never deleted by an older
reading, nor is a newer document overwritten.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from movies_etl.errors import WriterBusyError
from movies_etl.postgres import lock
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.fuses import allowed
from movies_etl.settings import Settings
from movies_etl.sync.batches import Batch
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context
from movies_etl.sync.stream_run import StreamRun

log = logging.getLogger(__name__)

BATCH_SIZE = 2000
"""Documents that are read again while the lock is held once."""


@dataclass(frozen=True)
class Repaired:
    """What was done about candidates.

    :param counters: what was read again, loaded and deleted.
    :param left: candidates that were left, because a task was writing all the time.
    :param listed: candidates of which a person is to decide from now on.
    :param set_aside: candidates of which a person was to decide before, or has refused.
    """

    counters: Counters
    left: int = 0
    listed: int = 0
    set_aside: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing of it has to be done another time."""
        return not self.left and not self.listed


def repair(
    resources: Resources, settings: Settings, found: Candidates, pause: float = 0.0
) -> Repaired:
    """Load or delete what was found; of very much a person decides, and it is kept on a list.

    :param resources: ``lock_wait`` is how long a task that writes is waited for.
    :param pause: seconds between two batches, in which another task may take the lock.
    """
    few, listed, set_aside = allowed(resources, found)
    done = carry_out(replace(resources, counters=Counters()), settings, few, pause)
    return replace(done, listed=listed, set_aside=set_aside)


def carry_out(
    resources: Resources, settings: Settings, found: Candidates, pause: float = 0.0
) -> Repaired:
    """Load or delete candidates, however many: each is read again.

    :param resources: whose counters count it.
    """
    counters = resources.counters
    batches = [*_batches(found)]
    left = sum(len(batch.ids) for batch in batches)
    for number, batch in enumerate(batches):
        if number:
            time.sleep(pause)
        try:
            _read_again(resources, settings, batch)
        except WriterBusyError as error:
            log.info("%d candidates are left for the next time: %s", left, error)
            break
        left -= len(batch.ids)
    if batches:
        said = counters.outcomes() or "nothing to do"
        log.info("Read %d candidates again: %s", counters.read, said)
    return Repaired(counters, left)


def _batches(found: Candidates) -> list[Batch]:
    """Return what is to be read again; what is to be deleted comes first."""
    told = (*found.surplus, *found.missing, *found.different, *found.letters)
    compared = _pieces([*dict.fromkeys(told)])
    # The checksums of damaged documents may say that they are right. They are only rewritten: those
    # whose rows are gone by then are surplus, which has a fuse of its own.
    forced = _pieces([*dict.fromkeys(found.damaged)])
    return [
        *(Batch(ids, delete_absent=True) for ids in compared),
        *(Batch(ids, skip_unchanged=False) for ids in forced),
    ]


def _pieces(ids: Sequence[str]) -> list[list[str]]:
    return [[*ids[start : start + BATCH_SIZE]] for start in range(0, len(ids), BATCH_SIZE)]


def _read_again(resources: Resources, settings: Settings, batch: Batch) -> None:
    """Read candidates with a version taken under the lock; load them, or delete what is gone."""
    definition, context = resources.definition, resources.context
    with lock.held(resources.source.server, context.uuid, wait=resources.lock_wait):
        check_context(resources)
        run = StreamRun.begun(definition.root, resources, settings)
        run.load(batch)
        run.finish()
