"""What left no trace in ``modified`` since an index was compared: a swap may come a day later.

A person may take that long to approve, and an index that is taken back was compared when it had the
alias. Rows that are gone are found by their ids. The looks of the reconcile find the rest: links
that are gone, rows by the transaction that wrote them, documents that were written since.

A look counts the links below the oldest transaction that runs. A younger link that goes away before
the next look is found by its document: those that may have one are compared again, see
:func:`movies_etl.reconcile.touched.compared`.
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
from movies_etl.state.reconcile import Nowhere, ReconcileState, Sweep, WrittenDocuments
from movies_etl.sync.resources import Resources


def compare_again(candidate: Candidate) -> None:
    """Compare what may have changed since the last look, correct it, and keep the new look."""
    resources = at_this_moment(candidate)
    before = noted_before(resources)
    found = presence(resources)
    look = compare_since(candidate, resources, found, before)
    correct(candidate, resources, found)
    keep(candidate, look)


def noted_before(resources: Resources) -> WrittenDocuments:
    """Note a moment some time before a first look.

    The links of documents of that moment are counted by the look, unless a transaction runs from
    here to there.
    """
    nothing = WrittenDocuments(places=(-1,) * resources.index.shards())
    return touched.compared(_noted(resources, nothing)[0])


def first_look(resources: Resources, before: WrittenDocuments) -> ReconcileState:
    """Return the first look at links and transactions, before everything is compared.

    :param before: noted some time before, see :func:`noted_before`.
    """
    context = resources.context
    fresh = ReconcileState(index=context.uuid, history=context.history, database=context.database)
    return _looked(resources, fresh, before)


def _looked(
    resources: Resources, last: ReconcileState, written: WrittenDocuments
) -> ReconcileState:
    """Return the look after another one; in it, parts that lost links are due."""
    links = Links(resources)
    known, snapshot = _noted(resources, written)
    return links.look(last, snapshot).model_copy(
        update={
            "relinked": 0,
            "keys": links.keys(),
            "nowhere": None,
            "sweep": Sweep(since=snapshot.ceiling),
            "written": known,
        }
    )


def _noted(resources: Resources, written: WrittenDocuments) -> tuple[WrittenDocuments, Snapshot]:
    """Note what shards have written up to now, and then which transactions are over."""
    inventory, index = DocumentInventory(resources.index), resources.index
    places = tuple(inventory.newest(shard) for shard in range(index.shards()))
    snapshot = Traces(resources.source).snapshot()
    anew = written.model_copy(update={"reached": None, "rewritten": 0})
    return touched.marked(places, snapshot, anew), snapshot


def compare_since(
    candidate: Candidate, resources: Resources, found: Candidates, before: WrittenDocuments
) -> ReconcileState:
    """Add what differs since the kept look; without a usable one everything is compared.

    :param before: noted some time before, see :func:`noted_before`; of use without such a look.
    :returns: the look of this moment, to be kept when what was found is corrected.
    """
    last, snapshot = _kept(candidate, resources), Traces(resources.source).snapshot()
    if last is None or last.written is None or not _reaches(snapshot, last):
        look, everything = first_look(resources, before), compare_completely(resources)
        found.missing.update(everything.missing)
        found.different.update(everything.different)
        found.damaged.update(everything.damaged)
        return look
    look = _looked(resources, last, last.written)
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
    if look.written:
        for page, _ in touched.written(DocumentInventory(resources.index), look.written):
            comparer.compare([one.key for one in page], found)


def _reaches(snapshot: Snapshot, last: ReconcileState) -> bool:
    """Whether a look is complete, and ``xmin`` still tells which rows came after it."""
    if last.sweep is None:
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
    """Keep a look of which everything is compared, for the swap and for the reconcile after it."""
    written = look.written and touched.compared(look.written)
    done = look.model_copy(update={"written": written})
    candidate.state.reconciled.beside(candidate.resources.index.name).save(done)
