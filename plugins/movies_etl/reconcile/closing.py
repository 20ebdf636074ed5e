"""When a fuse list has no use any more: its documents are as they should be.

A refusal holds until then, and for no later change of the same documents.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.fuses import lists_of
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.fuse_list import FuseList, Kind
from movies_etl.state.reconcile import Closing
from movies_etl.sync.ids import in_pages
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)


def close_returned(task: ReconcileTask) -> None:
    """Close refused lists without a surplus document: they hold for no later deletion."""
    _close(task, "deletions")


def begin_to_close_corrected(task: ReconcileTask) -> None:
    """Note that everything was compared: lists of rewrites may have no use any more."""
    task.remember(closing={"rewrites": Closing()} | task.state.closing)


def close_corrected(task: ReconcileTask) -> None:
    """Close refused lists without a document that differs, once everything was compared."""
    if "rewrites" in task.state.closing:
        _close(task, "rewrites")


def _close(task: ReconcileTask, kind: Kind) -> None:
    """Look through the refused lists of a kind, from where the last run came to."""
    if task.asked.dry_run:
        return
    others = {of: at for of, at in task.state.closing.items() if of != kind}
    for one, at in _right(task.resources, kind, task.state.closing.get(kind, Closing())):
        if at is None:
            log.info("What list %s had, which was refused, is as it should be", one.digest[:12])
            close(task.resources, one, one.answered_by)
        elif not task.has_time():
            task.remember(closing=others | {kind: at})
            return
    task.remember(closing=others)


def _right(
    resources: Resources, kind: Kind, since: Closing
) -> Iterator[tuple[FuseList, Closing | None]]:
    """Yield each refused list after each of its pieces, as long as all of them are right.

    :returns: where the look stands; None when all of the list is as it should be.
    """
    lists = lists_of(resources)
    found = [one for one, _ in lists.open(resources.context.uuid)]
    refused = [one for one in found if (one.kind, one.state) == (kind, "refused")]
    for one in sorted(refused, key=lambda one: one.digest):
        if one.digest < since.digest:
            continue
        number = since.pieces if one.digest == since.digest else 0
        for ids in lists.pieces(one, number):
            if not _is_right(resources, kind, ids):
                break
            number += 1
            yield one, Closing(digest=one.digest, pieces=number)
        else:
            yield one, None


def close(resources: Resources, one: FuseList, by: str | None = None) -> None:
    """Note that a list is done, and drop its ids.

    :param by: the user who answered.
    """
    now = resources.source.server.now()
    lists = lists_of(resources)
    lists.change(one.model_copy(update={"state": "done", "answered_at": now, "answered_by": by}))
    lists.drop_ids(one)


def is_moot(resources: Resources, one: FuseList) -> bool:
    """Whether nothing is left to be done about a list."""
    return all(_is_right(resources, one.kind, ids) for ids in lists_of(resources).pieces(one))


def _is_right(resources: Resources, kind: Kind, ids: Sequence[str]) -> bool:
    """Whether none of these documents is surplus, or none differs from its row."""
    if kind == "rewrites":
        return not _differ(resources, ids)
    gone = sorted(set(ids) - resources.source.existing(ids))
    return not any(resources.index.stored(page) for page in in_pages(gone, COMPARED_TOGETHER))


def _differ(resources: Resources, ids: Sequence[str]) -> bool:
    """Whether any of these documents differs from its row; the first that does ends the look."""
    comparer = Comparer(resources)
    for page in in_pages(ids, COMPARED_TOGETHER):
        found = Candidates()
        comparer.compare_texts(page, found)
        if found.rewrites:
            return True
    return False
