"""Whether the index has as many documents as the database has rows: the cheapest sign of drift.

A row that arrived after the run's reading is in the database only: such rows count as no
difference.
"""

from __future__ import annotations

from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources

ARRIVED_PAGE_SIZE = 1000
"""Rows that are looked at together."""


def difference_of(source: Source, index: Index, letters: DeadLetters) -> int:
    """Return rows - documents - rows never indexed because of a letter."""
    documents = index.documents()
    return source.count() - documents - len(never_indexed(source, index, letters))


def never_indexed(source: Source, index: Index, letters: DeadLetters) -> set[str]:
    """Return the rows that have no document because they were always refused."""
    refused = letters.ids()
    return source.existing(sorted(refused - index.stored(sorted(refused)).keys()))


def arrived(resources: Resources, at_most: int | None = None, looks_at: int | None = None) -> Ids:
    """Return rows at or above the horizon that have neither document nor letter.

    The next run reads them.

    :param at_most: rows are looked for until so many are found.
    :param looks_at: rows that are looked at, no more: behind a transaction that is open for hours
        there may be millions.
    """
    feed, source = resources.definition.root.rows, resources.source
    refused = resources.letters.ids()
    found, seen = Ids(), 0
    after = source.below(feed, resources.context.horizon)
    while rows := source.changed(feed, after, None, ARRIVED_PAGE_SIZE):
        ids = {row.id for row in rows} - refused
        found.update(ids - resources.index.stored(sorted(ids)).keys())
        after = source.position(feed, rows[-1])
        seen += len(rows)
        if at_most is not None and len(found) >= at_most:
            break
        if looks_at is not None and seen >= looks_at:
            break
    return found
