"""Documents that a person refused to delete: they stay, also in an index that is taken back.

One that is loaded anew has only what has a row.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from movies_etl.rebuild.candidate import Candidate
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.fuses import lists_of
from movies_etl.state.fuse_list import digest_of
from movies_etl.sync.ids import Ids


def without_refused_deletions(candidate: Candidate, found: Candidates) -> Candidates:
    """Leave the documents whose deletion a person has refused, or is asked about."""
    if not found.surplus or candidate.plan.takes_over:
        return found
    surplus = Ids(found.surplus)
    for aside in lists_of(candidate.resources).set_aside(candidate.old.uuid(), "deletions"):
        surplus.difference_update(aside)
    return replace(found, surplus=surplus)


def carry_refused_deletions(candidate: Candidate) -> None:
    """Let what was refused count for an index that is taken back, so that nobody is asked again."""
    if candidate.plan.loads:
        return
    lists, uuid = lists_of(candidate.resources), candidate.resources.context.uuid
    for refused, _ in lists.open(candidate.old.uuid()):
        if (refused.kind, refused.state) == ("deletions", "refused"):
            ids = Ids(chain.from_iterable(lists.pieces(refused)))
            digest = digest_of(refused.kind, uuid, ids)
            lists.keep(refused.model_copy(update={"index": uuid, "digest": digest}), ids)
