"""Whether the index has as many documents as the database has rows: the cheapest sign of drift.

A row that arrived after the run's reading is in the database only, so as many as arrived are left
out of a difference.
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


def arrived(resources: Resources, at_most: int | None = None) -> Ids:
    """Return rows at or above the horizon that have neither document nor letter.

    The next run reads them.

    :param at_most: rows are looked for until so many are found.
    """
    feed, source = resources.definition.root.rows, resources.source
    refused = resources.letters.ids()
    found = Ids()
    after = source.below(feed, resources.context.horizon)
    while rows := source.changed(feed, after, None, ARRIVED_PAGE_SIZE):
        ids = {row.id for row in rows} - refused
        found.update(ids - resources.index.stored(sorted(ids)).keys())
        after = source.position(feed, rows[-1])
        if at_most is not None and len(found) >= at_most:
            break
    return found
