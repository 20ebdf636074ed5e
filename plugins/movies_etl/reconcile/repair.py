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
from movies_etl.settings import Settings
from movies_etl.sync.batches import Batch
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context
from movies_etl.sync.stream_run import StreamRun

log = logging.getLogger(__name__)

FEW_DELETIONS = 100
FEW_REWRITES = 1000
LARGEST_SHARE = 0.05
"""More than a few, and more than this share of the documents: a person is asked."""

BATCH_SIZE = 2000
"""Documents that are read again while the lock is held once."""


@dataclass(frozen=True)
class Repaired:
    """What was done about candidates.

    :param counters: what was read again, loaded and deleted.
    :param left: candidates that were left, because a task was writing all the time.
    :param refused: why nothing was done; None when something was, or nothing had to be.
    """

    counters: Counters
    left: int = 0
    refused: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing of it has to be done another time."""
        return not self.left and self.refused is None


def repair(
    resources: Resources, settings: Settings, found: Candidates, pause: float = 0.0
) -> Repaired:
    """Load or delete what was found, unless it is so much that a person must be asked.

    :param resources: ``lock_wait`` is how long a task that writes is waited for.
    :param pause: seconds between two batches, in which another task may take the lock.
    """
    counters = Counters()
    if over := _over_the_fuses(found):
        log.warning("Nothing of this is done: %s", over)
        return Repaired(counters, refused=over)
    own = replace(resources, counters=counters)
    batches = [*_batches(found)]
    left = sum(len(batch.ids) for batch in batches)
    for number, batch in enumerate(batches):
        if number:
            time.sleep(pause)
        try:
            _read_again(own, settings, batch)
        except WriterBusyError as error:
            log.info("%d candidates are left for the next time: %s", left, error)
            break
        left -= len(batch.ids)
    if batches:
        log.info("Read %d candidates again: %s", counters.read, counters.as_result())
    return Repaired(counters, left)


def _batches(found: Candidates) -> list[Batch]:
    """Return what is to be read again; what is to be deleted comes first."""
    told = (*found.surplus, *found.missing, *found.different, *found.letters)
    compared = _pieces([*dict.fromkeys(told)])
    # The checksums of damaged documents may say that they are right.
    forced = _pieces([*dict.fromkeys(found.damaged)])
    return [
        *(Batch(ids, delete_absent=True) for ids in compared),
        *(Batch(ids, delete_absent=True, skip_unchanged=False) for ids in forced),
    ]


def _pieces(ids: Sequence[str]) -> list[list[str]]:
    return [[*ids[start : start + BATCH_SIZE]] for start in range(0, len(ids), BATCH_SIZE)]


def _over_the_fuses(found: Candidates) -> str | None:
    """Say which fuse keeps this from being done, None when none does."""
    share = LARGEST_SHARE * found.documents
    if len(found.surplus) >= found.documents and found.surplus:
        return f"all of {found.documents} documents have no row any more"
    if len(found.surplus) > max(FEW_DELETIONS, share):
        return f"{len(found.surplus)} of {found.documents} documents have no row any more"
    rewrites = found.rewritten + len(found.different) + len(found.damaged)
    if (found.different or found.damaged) and rewrites > max(FEW_REWRITES, share):
        return f"{rewrites} of {found.documents} documents are not what they should be"
    return None


def _read_again(resources: Resources, settings: Settings, batch: Batch) -> None:
    """Read candidates with a version taken under the lock; load them, or delete what is gone."""
    definition, context = resources.definition, resources.context
    with lock.held(resources.source.server, context.uuid, wait=resources.lock_wait):
        check_context(resources)
        run = StreamRun.begun(definition.root, resources, settings)
        run.load(batch)
        run.finish()
