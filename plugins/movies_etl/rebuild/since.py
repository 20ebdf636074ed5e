"""What left no trace in ``modified`` since an index was compared: a swap may come a day later.

A person may take that long to approve, and an index that is taken back was compared when it had the
alias. Rows that are gone are found by their ids, for the rest the looks of the reconcile are used:
links that are gone, rows by the transaction that wrote them, documents that were written since.
"""

from __future__ import annotations

from movies_etl.es.inventory import DocumentInventory
from movies_etl.postgres.traces import Snapshot, Traces
from movies_etl.rebuild.candidate import Candidate, at_this_moment
from movies_etl.rebuild.correct import correct
from movies_etl.reconcile import touched
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import Comparer
from movies_etl.reconcile.completely import compare_completely
from movies_etl.reconcile.links import Links, next_due, without_due
from movies_etl.reconcile.presence import presence
from movies_etl.state.reconcile import Nowhere, ReconcileState, Sweep
from movies_etl.sync.resources import Resources


def compare_again(candidate: Candidate) -> None:
    """Compare what may have changed since the last look, correct it, and keep the new look."""
    resources = at_this_moment(candidate)
    found = presence(resources)
    look = compare_since(candidate, resources, found)
    correct(candidate, resources, found)
    keep(candidate, look)


def first_look(resources: Resources) -> ReconcileState:
    """Return what there is to see of links and transactions, before everything is compared."""
    context = resources.context
    fresh = ReconcileState(index=context.uuid, history=context.history, database=context.database)
    return _looked(resources, fresh, Traces(resources.source).snapshot())


def _looked(resources: Resources, last: ReconcileState, snapshot: Snapshot) -> ReconcileState:
    """Return the look after another one. Parts of the link tables that lost links are due in it."""
    inventory, links = DocumentInventory(resources.index), Links(resources)
    places = tuple(inventory.newest(shard) for shard in range(resources.index.shards()))
    return links.look(last, snapshot).model_copy(
        update={
            "relinked": 0,
            "keys": links.keys(),
            "nowhere": None,
            "sweep": Sweep(since=snapshot.ceiling),
            "written": touched.marked(places, snapshot, None),
        }
    )


def compare_since(candidate: Candidate, resources: Resources, found: Candidates) -> ReconcileState:
    """Add what differs since the look that is kept; without a usable one everything is compared.

    :returns: the look of this moment, to be kept when what was found is corrected.
    """
    last, snapshot = _kept(candidate, resources), Traces(resources.source).snapshot()
    if last is None or not _reaches(snapshot, last):
        look, everything = first_look(resources), compare_completely(resources)
        found.missing.update(everything.missing)
        found.different.update(everything.different)
        found.damaged.update(everything.damaged)
        return look
    look = _looked(resources, last, snapshot)
    _compare_written(resources, last, look, found)
    return _compare_links(resources, last, look, found)


def _compare_links(
    resources: Resources, last: ReconcileState, look: ReconcileState, found: Candidates
) -> ReconcileState:
    """Compare the documents of links that are gone, or that lead nowhere."""
    comparer, links = Comparer(resources), Links(resources)
    while due := next_due(look):
        for ids in links.documents_of(due[1]):
            comparer.compare(ids, found)
        look = without_due(look, *due)
    for ids, _ in links.leading_nowhere(last.keys, Nowhere(keys=look.keys)):
        comparer.compare(ids, found)
    return look


def _compare_written(
    resources: Resources, last: ReconcileState, look: ReconcileState, found: Candidates
) -> None:
    """Compare what was written between two looks, on either side."""
    comparer = Comparer(resources)
    if last.sweep and look.sweep:
        sweep = Sweep(since=last.sweep.since, upto=look.sweep.since)
        for ids, _ in touched.swept(resources, sweep):
            comparer.compare(ids, found)
    if last.written and look.written:
        known = look.written.model_copy(update={"places": last.written.places})
        for page, _ in touched.written(DocumentInventory(resources.index), known):
            comparer.compare([one.key for one in page], found)


def _reaches(snapshot: Snapshot, last: ReconcileState) -> bool:
    """Whether a look is whole, and the transactions since can be told from those before."""
    if last.sweep is None or last.written is None:
        return False
    ceilings = [last.sweep.since, *(one.ceiling for one in last.standing.values())]
    return all(map(snapshot.reaches, ceilings))


def _kept(candidate: Candidate, resources: Resources) -> ReconcileState | None:
    """Return the last look at this index, None where there is none of it."""
    context = resources.context
    kept = candidate.state.reconciled.beside(context.index).load()
    here = ReconcileState(index=context.uuid, history=context.history, database=context.database)
    return kept if kept and kept.is_about(here) else None


def keep(candidate: Candidate, look: ReconcileState) -> None:
    """Keep a look, for the swap and for the reconcile after it."""
    candidate.state.reconciled.beside(candidate.resources.index.name).save(look)


def hand_over(candidate: Candidate) -> None:
    """Let the reconcile go on from the look at the index that has the alias.

    That at the index before is kept beside: it may be taken back.
    """
    store, name = candidate.state.reconciled, candidate.resources.index.name
    own, former = store.beside(name).load(), store.load()
    if own is None:
        return
    if former and not candidate.plan.takes_over and former.index == candidate.old.uuid():
        store.beside(candidate.old.name).save(former)
        own = own.model_copy(update={"results": former.results})
    store.save(own)
    store.forget(name)
