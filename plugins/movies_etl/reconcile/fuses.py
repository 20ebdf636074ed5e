"""Fuses: a person decides about very many deletions or rewrites, by a list that is kept.

What is on a list that waits or was refused is set aside: it is neither done nor asked again;
anything else that is found is done as usual. Adding a missing document needs no fuse.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from movies_etl.es.fuse_lists import FuseLists
from movies_etl.es.inventory import DocumentInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.state.fuse_list import FuseList, Kind, digest_of
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

FEW_DELETIONS = 100
FEW_REWRITES = 1000
LARGEST_SHARE = 0.05
"""For more than a few, and more than this share of the documents, a person is asked."""

MAX_EXAMPLES = 10
"""Documents that a question names."""


def lists_of(resources: Resources) -> FuseLists:
    """Return the lists of an index."""
    return FuseLists(resources.client, resources.definition, resources.patience)


def allowed(resources: Resources, found: Candidates) -> tuple[Candidates, int, int]:
    """Take away what only a person may decide.

    :returns: what may be done at once; how many candidates were put on a list; how many were on one
        before.
    """
    left = _without_set_aside(lists_of(resources), resources.context.uuid, found)
    before = _to_be_asked(found) - _to_be_asked(left)
    listed = 0
    if over := too_many_deletions(left):
        listed += _listed(resources, left, "deletions", left.surplus, over)
        left = replace(left, surplus=Ids())
    if over := too_many_rewrites(left):
        rewrites = Ids(chain(left.different, left.damaged))
        listed += _listed(resources, left, "rewrites", rewrites, over)
        left = replace(left, different=Ids(), damaged=Ids())
    return left, listed, before


def to_be_listed(found: Candidates) -> int:
    """Return how many candidates a person would have to decide about, whatever the lists say."""
    deletions = len(found.surplus) if too_many_deletions(found) else 0
    rewrites = found.rewrites if too_many_rewrites(found) else 0
    return deletions + rewrites


def too_many_deletions(found: Candidates) -> str | None:
    """Say about how many deletions a person must decide; None when they may be done."""
    if not found.surplus:
        return None
    surplus = found.deleted + len(found.surplus)
    documents = found.deleted + found.documents
    if surplus >= documents:
        return f"all of {documents} documents have no row any more"
    if surplus > max(FEW_DELETIONS, LARGEST_SHARE * documents):
        return f"{surplus} of {documents} documents have no row any more"
    return None


def too_many_rewrites(found: Candidates) -> str | None:
    """Say about how many rewrites a person must decide; None when they may be done."""
    now = found.rewrites
    return over_for_rewrites(found.rewritten + now, found.documents) if now else None


def over_for_rewrites(rewrites: int, documents: int) -> str | None:
    """Say that so many documents are too many to be rewritten at once, None when they are not."""
    if rewrites > max(FEW_REWRITES, LARGEST_SHARE * documents):
        return f"{rewrites} of {documents} documents are not what they should be"
    return None


def _without_set_aside(lists: FuseLists, index: str, found: Candidates) -> Candidates:
    """Take away what is on a list already."""
    left = found
    if found.surplus:
        aside = lists.set_aside(index, "deletions")
        left = replace(left, surplus=_without(found.surplus, aside))
    if found.rewrites:
        different, damaged = (
            _without(ids, lists.set_aside(index, "rewrites"))
            for ids in (found.different, found.damaged)
        )
        left = replace(left, different=different, damaged=damaged)
    return left


def _without(found: Ids, aside: Iterator[list[str]]) -> Ids:
    left = found
    for ids in aside:
        left = Ids(found) if left is found else left  # what was found is reported, too
        left.difference_update(ids)
    return left


def _to_be_asked(found: Candidates) -> int:
    return len(found.surplus) + found.rewrites


def _listed(resources: Resources, found: Candidates, kind: Kind, ids: Ids, over: str) -> int:
    """Keep a list of documents; return how many there are on it."""
    new = FuseList(
        digest=digest_of(kind, resources.context.uuid, ids),
        kind=kind,
        index=resources.context.uuid,
        count=len(ids),
        documents=found.documents,
        examples=tuple(_known_by(resources, [*islice(ids, MAX_EXAMPLES)])),
        found_at=resources.source.server.now(),
    )
    lists_of(resources).keep(new, ids)
    log.warning(
        "Nothing of this is done: %s. %s asks a person%s (list %s)",
        over,
        resources.definition.purge_dag,
        "" if kind == "deletions" else ", if the sync does not load it first",
        new.digest[:12],
    )
    return new.count


def _known_by(resources: Resources, ids: Sequence[str]) -> list[str]:
    """Return the documents' titles or names, as the index has them; else their ids."""
    field = resources.definition.text_column or "id"
    texts = DocumentInventory(resources.index).texts(ids)
    return [str(texts.get(one, {}).get(field) or one) for one in ids]
