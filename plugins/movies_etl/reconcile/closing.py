"""When a fuse list is of no use any more: what it was about is as it should be.

A refusal holds until then, and for no later change of the same documents.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.fuses import lists_of
from movies_etl.state.fuse_list import FuseList
from movies_etl.sync.ids import Ids, in_pages
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)


def close_returned(resources: Resources, surplus: Ids) -> None:
    """Close refused lists of which no document is surplus: they hold for no later deletion.

    :param surplus: every document without a row.
    """
    lists = lists_of(resources)
    for one, _ in lists.open(resources.context.uuid):
        is_refused = one.kind == "deletions" and one.state == "refused"
        if is_refused and all(surplus.isdisjoint(ids) for ids in lists.pieces(one)):
            log.info("The rows of list %s, which was refused, are back", one.digest[:12])
            close(resources, one, one.answered_by)


def close_corrected(resources: Resources) -> None:
    """Close refused lists of which no document differs any more: they hold for no later change."""
    for one, _ in lists_of(resources).open(resources.context.uuid):
        if (one.kind, one.state) == ("rewrites", "refused") and is_moot(resources, one):
            log.info("What list %s had, which was refused, is as it should be", one.digest[:12])
            close(resources, one, one.answered_by)


def close(resources: Resources, one: FuseList, by: str | None = None) -> None:
    """Note that a list is done, and drop its ids.

    :param by: who answered.
    """
    now = resources.source.server.now()
    lists = lists_of(resources)
    lists.change(one.model_copy(update={"state": "done", "answered_at": now, "answered_by": by}))
    lists.drop_ids(one)


def is_moot(resources: Resources, one: FuseList) -> bool:
    """Whether nothing is left to be done: each row is back, or no document differs from its row."""
    pieces = lists_of(resources).pieces(one)
    if one.kind == "deletions":
        return all(len(resources.source.existing(ids)) == len(ids) for ids in pieces)
    comparer = Comparer(resources)
    return not any(_differ(comparer, ids) for ids in pieces)


def _differ(comparer: Comparer, ids: Sequence[str]) -> bool:
    """Whether one of some documents differs from its row; the first ones that do end the look."""
    for page in in_pages(ids, COMPARED_TOGETHER):
        found = Candidates()
        comparer.compare_texts(page, found)
        if found.rewrites:
            return True
    return False
