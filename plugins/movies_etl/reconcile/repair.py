"""The one place where something is corrected: candidates are read again, under the writer's lock.

A document whose row is gone at that reading is deleted with the reading's version. A film that is
inserted meanwhile is read later, and so with a greater version: it is never deleted by an older
reading, nor is a newer document overwritten.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

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


def repair(resources: Resources, settings: Settings, found: Candidates) -> Counters:
    """Load or delete what was found, unless it is so much that a person must be asked.

    :param resources: ``lock_wait`` is how long a task that writes is waited for. Where one goes on
        writing, what is left is for the next time.
    :returns: what was done.
    """
    counters = Counters()
    if over := _over_the_fuses(found):
        log.warning("Nothing of this is done: %s", over)
        return counters
    own = replace(resources, counters=counters)
    ids = found.ids
    for start in range(0, len(ids), BATCH_SIZE):
        try:
            _read_again(own, settings, ids[start : start + BATCH_SIZE])
        except WriterBusyError as error:
            log.info("%d candidates are left for the next time: %s", len(ids) - start, error)
            break
    if ids:
        log.info("Read %d candidates again: %s", counters.read, counters.as_result())
    return counters


def _over_the_fuses(found: Candidates) -> str | None:
    """Say which fuse keeps this from being done, None when none does."""
    share = LARGEST_SHARE * found.documents
    if len(found.surplus) >= found.documents and found.surplus:
        return f"all of {found.documents} documents have no row any more"
    if len(found.surplus) > max(FEW_DELETIONS, share):
        return f"{len(found.surplus)} of {found.documents} documents have no row any more"
    if len(found.different) > max(FEW_REWRITES, share):
        return f"{len(found.different)} of {found.documents} documents are not what they should be"
    return None


def _read_again(resources: Resources, settings: Settings, ids: Sequence[str]) -> None:
    """Read candidates with a version taken under the lock; load them, or delete what is gone."""
    definition, context = resources.definition, resources.context
    with lock.held(resources.source.server, context.uuid, wait=resources.lock_wait):
        check_context(resources)
        run = StreamRun.begun(definition.root, resources, settings)
        run.load(Batch([*ids], delete_absent=True))
        run.finish()
