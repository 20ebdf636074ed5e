"""What was written since the last look, on either side.

Rows: those of a transaction at or above the ceiling of the last sweep, whatever their time says.
Documents: those that a shard wrote since they were last compared. A link that came and went between
two looks at the links leaves no trace in PostgreSQL, but a document that was built meanwhile shows
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.es.inventory import DocumentInventory, Written
from movies_etl.postgres.traces import Snapshot, Traces
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import Comparer, followed
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.reconcile import Mark, Sweep, WrittenDocuments
from movies_etl.sync.resources import Resources


def sweep_rows(task: ReconcileTask) -> None:
    """Compare the documents of rows that were written since the last sweep."""
    resources = task.resources
    snapshot = Traces(resources.source).snapshot()
    if task.state.sweep and not snapshot.reaches(task.state.sweep.since):
        task.forget("sweep", None)
    first = sweep = begun(task.state.sweep, snapshot)
    comparer = Comparer(resources)
    found = Candidates(documents=task.documents, rewritten=sweep.rewritten)
    for ids, after in swept(resources, sweep):
        comparer.compare(ids, found)
        sweep = after
        if not task.has_time():
            break
    done = task.load(found)
    task.remember(sweep=done.stands(first, sweep, goes_on=sweep.table is not None))


def compare_written(task: ReconcileTask) -> None:
    """Compare the documents that were written before the last look at the links."""
    first = task.state.written
    if first is None:
        return
    comparer, known = Comparer(task.resources), first
    found = Candidates(documents=task.documents, rewritten=known.rewritten)
    for page, after in written(DocumentInventory(task.resources.index), known):
        there = {one.key: one.source for one in page}
        comparer.judge_texts(there, comparer.texts([*there]), found)
        found.looked_at += len(there)
        known = after
        if not task.has_time():
            break
    else:
        known = compared(known)
    done = task.load(found)
    task.remember(written=done.stands(first, known, goes_on=bool(known.reached)))


def begun(last: Sweep | None, snapshot: Snapshot) -> Sweep:
    """Return the sweep to go on with: the unfinished one, or one that begins at the last end."""
    if last is None:
        return Sweep(since=snapshot.ceiling)
    if last.upto is not None:
        return last
    return Sweep(since=last.since, upto=snapshot.ceiling)


def swept(resources: Resources, sweep: Sweep) -> Iterator[tuple[list[str], Sweep]]:
    """Follow the rows of a sweep to their documents.

    :returns: pages of documents, each with the sweep once they are done; the last page is empty.
    """
    if sweep.upto is None:
        yield [], sweep
        return
    traces = Traces(resources.source)
    feeds = _feeds(resources.definition)
    names = [feed.table for _, feed in feeds]
    first = names.index(sweep.table) if sweep.table in names else 0
    after = sweep.after if sweep.table in names else None
    for stream, feed in feeds[first:]:
        look = partial(traces.touched, stream, feed, sweep.since)
        for ids in followed(look, after):
            yield ids, sweep.model_copy(update={"table": feed.table, "after": ids[-1]})
        after = None
    yield [], Sweep(since=sweep.upto)


def _feeds(definition: IndexDefinition) -> list[tuple[Stream, Feed]]:
    """Return each table once, with a stream that says how its rows lead to documents."""
    found: dict[str, tuple[Stream, Feed]] = {}
    for stream in definition.streams:
        for feed in stream.feeds:
            found.setdefault(feed.table, (stream, feed))
    return [*found.values()]


def marked(
    places: tuple[int, ...], snapshot: Snapshot, last: WrittenDocuments | None
) -> WrittenDocuments:
    """Note the moment of a look at the links, before the look.

    A comparison that is under way goes on to the moment that it began with: every later look has
    seen the links of then, too.

    :param places: of the newest document of each shard.
    :param snapshot: taken after them.
    """
    if last and last.reached:
        return last
    mark = Mark(places=places, ceiling=snapshot.ceiling, next=snapshot.next)
    if last is None or len(last.places) != len(places):
        return WrittenDocuments(places=places, newest=mark)
    return last.model_copy(update={"newest": mark})


def written(
    documents: DocumentInventory, known: WrittenDocuments
) -> Iterator[tuple[list[Written], WrittenDocuments]]:
    """Yield the documents that were written before the last look and not compared since.

    :returns: pages of them, each with what is known once it is compared.
    """
    if known.newest is None:
        return
    reached = [*(known.reached or known.places)]
    for shard, upto in enumerate(known.newest.places):
        while page := documents.written(shard, reached[shard], upto):
            reached[shard] = page[-1].sequence
            yield page, known.model_copy(update={"reached": tuple(reached)})


def compared(known: WrittenDocuments) -> WrittenDocuments:
    """Return what is known when everything before the last look was compared.

    The look may not have counted a link of a transaction that was running: what was written before
    is compared again until that transaction is over.
    """
    newest, waiting = known.newest, known.waiting
    if newest is None or newest.ceiling >= newest.next:
        done = newest.places if newest else known.places
        return WrittenDocuments(places=done)
    if waiting is None:
        return WrittenDocuments(places=known.places, waiting=newest)
    if newest.ceiling >= waiting.next:
        return WrittenDocuments(places=waiting.places, waiting=newest)
    return WrittenDocuments(places=known.places, waiting=waiting)
