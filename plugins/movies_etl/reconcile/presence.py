"""Which rows have no document, and which documents have no row.

Where there are many, both sides count by ranges of ids, which costs little and shows a film that is
gone even when another one is missing elsewhere. Only of ranges that differ the ids are compared;
all of them where rows may share an id, as counts of rows say nothing of documents then.
"""

from __future__ import annotations

from movies_etl.definitions.ranges import Range, number_of, ranges
from movies_etl.es.inventory import DocumentInventory
from movies_etl.postgres.inventory import RowInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.strays import MAX_STRAYS, strays
from movies_etl.sync.counts import arrived, never_indexed
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources

FEW_DOCUMENTS = 10_000
"""So many ids are compared without counting anything before."""

ALL = [Range()]

DOCUMENTS_PER_RANGE = 1000
MAX_RANGES = 1000
"""Ranges that are counted; each is a filter of one search."""


def presence(resources: Resources) -> Candidates:
    """Compare which documents there are with which rows there are.

    Rows that the next run is going to read, and those that were always refused, are not missing.
    """
    rows = RowInventory(resources.source)
    documents = DocumentInventory(resources.index)
    found = Candidates(documents=resources.index.documents())
    is_told_by_counts = found.documents > FEW_DOCUMENTS and not rows.share_ids
    parts = _different(resources, rows, documents, found.documents) if is_told_by_counts else ALL
    for part in parts:
        _compare(part, rows, documents, found)
    if found.missing:
        found.missing.difference_update(_awaited(resources))
    found.surplus.update(documents.without_id(MAX_STRAYS))
    _look_for_letters(resources, found)
    return found


def _look_for_letters(resources: Resources, found: Candidates) -> None:
    """Add the letters that have no row; a document that lies beside one is surplus like others."""
    letters = sorted(resources.letters.ids())
    gone = sorted(set(letters) - resources.source.existing(letters))
    there = resources.index.stored(gone).keys()
    found.surplus.update(there)
    found.letters.update(one for one in gone if one not in there)


def _different(
    resources: Resources, rows: RowInventory, documents: DocumentInventory, number: int
) -> list[Range]:
    """Return the ranges of ids in which both sides have not as many.

    :param number: of documents.
    """
    awaited = _awaited(resources)
    bounds = rows.bounds(min(number // DOCUMENTS_PER_RANGE, MAX_RANGES))
    parts = ranges(bounds)
    there = documents.counts(parts)
    wanted = rows.counts(bounds)
    for one in awaited:
        wanted[number_of(one, bounds)] -= 1
    return [part for part, *both in zip(parts, wanted, there, strict=True) if both[0] != both[1]]


def _awaited(resources: Resources) -> Ids:
    """Return the rows that have no document for now: they are new, or were always refused."""
    awaited = arrived(resources)
    awaited.update(never_indexed(resources.source, resources.index, resources.letters))
    return awaited


def _compare(
    part: Range, rows: RowInventory, documents: DocumentInventory, found: Candidates
) -> None:
    """Compare the ids of a range, however many either side has.

    The index is asked first: of a document that it has, the row is there unless it is gone.
    """
    for piece, there in documents.listed(part):
        gone = set(there)
        for ids in rows.pages(piece):
            found.missing.update(one for one in ids if one not in there)
            gone.difference_update(ids)
        found.surplus.update(gone)
        found.surplus.update(strays(documents, there, gone))
