"""Everything, range by range: checksums of both sides, and the whole text of a few documents.

A pass over all ids takes eleven hours, in steps of one run each, so that every document is compared
twice a day. Each range has a snapshot of its own. While PostgreSQL builds the documents of a range,
Elasticsearch lists its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from movies_etl.definitions.ranges import Range
from movies_etl.es.inventory import DocumentInventory, Listed
from movies_etl.postgres.inventory import READ_TOGETHER, SCANNED_TOGETHER, Built, RowInventory
from movies_etl.postgres.timestamps import parse
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.closing import begin_to_close_corrected, close_corrected
from movies_etl.reconcile.compare import Comparer
from movies_etl.reconcile.strays import strays
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.reconcile import Pass
from movies_etl.sync.resources import Resources

PASS_TAKES = timedelta(hours=11)
"""Time in which a pass comes to its end, where its runs are as regular as by default."""

SAMPLED_ONE_OF = 100
"""One document in so many is compared as whole text; in each pass it is another one."""


def go_on_with_everything(task: ReconcileTask) -> None:
    """Go on with the pass that is under way, or begin one, once the first looks were taken.

    The looks find what is deleted or written after a range was compared.
    """
    has_looked = task.state.written is not None and task.state.sweep is not None
    if not (has_looked or task.asked.dry_run):
        return
    making, is_full = task.making, task.asked.full
    now = task.resources.source.server.now()
    current = None if is_full else task.state.current
    if current is None or not making.goes_on(current):
        current = making.begun(now)
    documents, contents = task.documents, Contents(task.resources)
    is_hurried = is_full or task.state.verified_at is None
    found = Candidates(rewritten=current.rewritten)
    after = contents.compare_next(current, found)
    while after and task.has_time() and (is_hurried or is_due(after, documents, now)):
        after = contents.compare_next(after, found)
    # Of the documents so far: a few ranges must not be rewritten as if all others were right.
    found.documents = current.looked_at + found.looked_at
    found.surplus.clear()
    done = task.repair(found, is_left=making.is_outdated)
    if not (done.is_done or making.is_outdated):
        task.remember(current=current.model_copy(update={"rewritten": done.rewritten}))
        return
    if after:
        task.remember(current=after.model_copy(update={"rewritten": done.rewritten}))
        return
    if not task.asked.dry_run:
        making.passed(done.rewritten, found.documents)
    task.remember(current=None, verified_at=current.began)
    begin_to_close_corrected(task)
    close_corrected(task)


class Contents:
    """Compares ranges of ids one after another.

    :param resources: the servers.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._rows = RowInventory(resources.source)
        self._documents = DocumentInventory(resources.index)
        self._comparer = Comparer(resources)
        self._ids: list[str] = []
        self._end: str | None = None

    def compare_next(self, now: Pass, found: Candidates) -> Pass | None:
        """Compare the next range; return the pass after it, None when it was the last one."""
        part, ids = self._next(now.first)
        listing = self._resources.executor.submit(next, self._documents.listed(part))
        texts = [one for one in ids if is_sampled(one, now.began)]
        built = self._rows.built(ids, texts)
        reached, listed = listing.result()
        if reached != part:  # many documents have no row; what is beyond is compared with the next
            part, self._ids = reached, []
            built = {id_: one for id_, one in built.items() if id_ < str(reached.before)}
        there = {id_: _checksum(one) for id_, one in listed.items()}
        self._comparer.judge(there, built, found)
        found.surplus.update(strays(self._documents, listed, listed.keys() - built.keys()))
        self._compare_texts(texts, built, found)
        looked_at = len(there.keys() | built.keys())
        found.looked_at += looked_at
        if part.before is None:
            return None
        return now.model_copy(update={"first": part.before, "looked_at": now.looked_at + looked_at})

    def _next(self, first: str | None) -> tuple[Range, Sequence[str]]:
        """Return the range that begins at an id, and the ids of its rows."""
        if not self._ids or self._ids[0] != first:
            size = READ_TOGETHER if self._rows.is_read_by_id else SCANNED_TOGETHER
            ids = self._rows.ids(Range(first, None), size + 1)
            self._ids, self._end = ids[:size], ids[size] if len(ids) > size else None
        ids, self._ids = self._ids[:READ_TOGETHER], self._ids[READ_TOGETHER:]
        return Range(first, self._ids[0] if self._ids else self._end), ids

    def _compare_texts(
        self, ids: Sequence[str], built: Mapping[str, Built], found: Candidates
    ) -> None:
        """Compare whole documents of which the checksums agree; others are found already."""
        told = (found.different, found.missing)
        left = [one for one in ids if one in built and not any(one in of for of in told)]
        wanted = {one: built[one] for one in left}
        self._comparer.judge_texts(self._documents.texts(left), wanted, found)


def is_due(now: Pass, documents: int, at: str) -> bool:
    """Whether a pass has to go on to come to its end in time."""
    share = (parse(at) - parse(now.began)) / PASS_TAKES
    return now.looked_at < share * documents


def is_sampled(id_: str, began: str) -> bool:
    """Whether a document is compared as whole text in the pass that began at a time."""
    number = int(datetime.fromisoformat(began).timestamp() // PASS_TAKES.total_seconds())
    return (zlib.crc32(id_.encode()) + number) % SAMPLED_ONE_OF == 0


def _checksum(one: Listed) -> int | None:
    return one.checksum if one.copies == 1 else None
