"""Which rows have no document, and which documents have no row.

Where there are many, both sides count by ranges of ids, which costs little and shows a film that is
gone even when another one is missing elsewhere. Only of ranges that differ the ids are compared;
all of them where rows may share an id, as counts of rows say nothing of documents then.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from movies_etl.definitions.ranges import Range, number_of, ranges
from movies_etl.es.index import MAX_IDS_PER_LOOKUP
from movies_etl.es.inventory import DocumentInventory, Listed
from movies_etl.postgres.inventory import RowInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.strays import MAX_STRAYS, strays
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.reconcile import Presence
from movies_etl.steps import Steps, result_of
from movies_etl.sync.counts import arrived, never_indexed
from movies_etl.sync.ids import Ids, in_pages
from movies_etl.sync.resources import Resources

FEW_DOCUMENTS = 10_000
"""At most so many ids are compared without counting anything first."""

DOCUMENTS_PER_RANGE = 1000
MAX_RANGES = 1000
"""Ranges that are counted; each is a filter of one search."""

MAX_ARRIVED = 100_000
"""New rows that are looked at: a few seconds."""


def presence(resources: Resources) -> Candidates:
    """Compare which documents there are with which rows there are, all at once.

    Rows that the next run is going to read, and those that were always refused, are not missing.
    """
    return result_of(presence_in_steps(resources))


def presence_in_steps(resources: Resources) -> Steps[Candidates]:
    """Do the same step by step; what is loaded between two steps is not missing either."""
    found = Candidates(documents=resources.index.documents())
    yield from _compared(resources, found, Presence())
    _leave_awaited(resources, found)
    return found


def compare_presence(task: ReconcileTask) -> None:
    """Do the same from where the last run came to, as far as there is time."""
    first = (None if task.asked.full else task.state.presence) or Presence()
    found = Candidates(documents=task.documents, deleted=first.deleted)
    look = _compared(task.resources, found, first)
    while (after := next(look)) and (after is first or task.has_time()):  # or nothing was compared
        continue
    _leave_awaited(task.resources, found)
    if after:  # of the documents so far: a few ranges must not be emptied as if all were right
        found.documents = after.looked_at
    found.looked_at = max(found.documents - first.looked_at, 0)
    done = task.repair(found)
    stands = after if done.is_done else first
    deleted = first.deleted + done.counters.deleted
    task.remember(presence=stands and stands.model_copy(update={"deleted": deleted}))


def _compared(
    resources: Resources, found: Candidates, now: Presence
) -> Generator[Presence | None, None, None]:
    """Compare ids from where a look has come to.

    :param found: takes what differs; has the number of documents.
    :returns: where the look stands after each step; None at its end.
    """
    rows, documents = RowInventory(resources.source), DocumentInventory(resources.index)
    parts, looked_at = _ALL, now.looked_at
    if found.documents > FEW_DOCUMENTS and not rows.share_ids:
        parts = yield from _counted(resources, rows, documents, found.documents, now)
    for whole, number, differs in parts:
        part = _from(whole, now.first)
        if part is None:
            continue
        if not differs:
            looked_at += number
            continue
        for piece, compared in compare_range(part, rows, documents, found):
            looked_at += compared
            if piece.before is not None:
                yield now.model_copy(update={"first": piece.before, "looked_at": looked_at})
    found.surplus.update(documents.without_id(MAX_STRAYS))
    _look_for_letters(resources, found)
    yield None


_ALL = [(Range(), 0, True)]


def _from(part: Range, first: str | None) -> Range | None:
    """Return what is left of a range from an id on; None where it lies before that."""
    if first is None or (part.first is not None and part.first >= first):
        return part
    return Range(first, part.before) if part.before is None or part.before > first else None


def _leave_awaited(resources: Resources, found: Candidates) -> None:
    """Leave out what needs no document yet, and what has one by now."""
    if found.missing:
        found.missing.difference_update(_awaited(resources))
        for page in in_pages(found.missing, MAX_IDS_PER_LOOKUP):
            found.missing.difference_update(resources.index.stored(page))


def _look_for_letters(resources: Resources, found: Candidates) -> None:
    """Add the letters that have no row; a document that lies beside one is surplus like others."""
    letters = sorted(resources.letters.ids())
    gone = sorted(set(letters) - resources.source.existing(letters))
    there = resources.index.stored(gone).keys()
    found.surplus.update(there)
    found.letters.update(one for one in gone if one not in there)


def _counted(
    resources: Resources,
    rows: RowInventory,
    documents: DocumentInventory,
    number: int,
    now: Presence,
) -> Generator[Presence, None, list[tuple[Range, int, bool]]]:
    """Count both sides by ranges of ids, in steps: rows first.

    What is loaded between two steps then makes the documents more, and never hides that one is
    without a row.

    :param number: of documents.
    :param now: yielded after each step.
    :returns: ranges, how many documents are in each, and whether the rows are not as many.
    """
    awaited = _awaited(resources)
    yield now
    bounds = rows.bounds(min(number // DOCUMENTS_PER_RANGE, MAX_RANGES))
    parts = ranges(bounds)
    yield now
    wanted = rows.counts(bounds)
    yield now
    resources.index.refresh()
    there = documents.counts(parts)
    for one in awaited:
        wanted[number_of(one, bounds)] -= 1
    both = zip(parts, wanted, there, strict=True)
    return [(part, has, has != should) for part, should, has in both]


def _awaited(resources: Resources) -> Ids:
    """Return the rows that need no document yet: they are new, or were always refused.

    Of very many new ones only some: the others are loaded as missing ones.
    """
    awaited = arrived(resources, looks_at=MAX_ARRIVED)
    awaited.update(never_indexed(resources.source, resources.index, resources.letters))
    return awaited


def _within(part: Range, listed: dict[str, Listed]) -> dict[str, Listed]:
    """Return those documents whose ids lie in a range."""
    return {
        id_: one
        for id_, one in listed.items()
        if (part.first is None or part.first <= id_) and (part.before is None or id_ < part.before)
    }


def compare_range(
    part: Range, rows: RowInventory, documents: DocumentInventory, found: Candidates
) -> Iterator[tuple[Range, int]]:
    """Compare the ids of a range piece by piece, however many either side has.

    The index is asked first: of a document that it has, the row is there unless it is gone.

    :param found: takes what differs.
    :returns: each piece, and how many documents are in it.
    """
    for whole, listed in documents.listed(part):
        for piece, ids in rows.pages(whole):
            there = _within(piece, listed)
            gone = there.keys() - ids
            found.missing.update(one for one in ids if one not in there)
            found.surplus.update(gone)
            found.surplus.update(strays(documents, there, gone))
            yield piece, len(there)
