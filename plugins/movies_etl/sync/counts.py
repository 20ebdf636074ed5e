"""Whether the index has as many documents as the database has rows: the cheapest sign of drift.

A row that arrived after the run's reading is in the database only, so as many as arrived are left
out of a difference. Differences of the same sign in two comparisons are drift, which ``modified``
cannot show: rows were deleted, or changed behind the cursors.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.state.cursors import Stamp, all_cursors
from movies_etl.state.run_context import RunContext
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

COMPARE_EVERY = timedelta(minutes=4, seconds=30)
"""Time after which a run that loaded nothing compares: each fifth one of a run a minute, though
they do not begin at the same second."""

ARRIVED_PAGE_SIZE = 1000
"""Rows that are looked at together."""


class Comparison(BaseModel):
    """What a comparison found.

    :param difference: rows - documents - rows never indexed because of a letter.
    :param at: the database's time when its run began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: int
    at: Stamp


class DifferenceStore(Protocol):
    """Keeps the last comparison between runs."""

    def load(self) -> Comparison | None:
        """Return it, None when nothing was compared yet."""

    def save(self, comparison: Comparison) -> None:
        """Keep it."""


def compared(resources: Resources, store: DifferenceStore) -> dict[str, int]:
    """Compare the counts, at the end of a run that loaded something or when it is time.

    :returns: ``difference`` = rows - documents - rows never indexed because of a letter, less those
        that arrived since the run began; empty when nothing was compared.
    """
    context, nouns = resources.context, resources.definition.nouns
    last = store.load()
    if not (_loaded_something(resources) or _is_due(context, last)):
        return {}
    difference = difference_of(resources.source, resources.index, resources.letters)
    if difference > 0:
        difference -= _arrived(resources, at_most=difference)
    if last and difference * last.difference > 0:
        log.warning(
            "The index has %d %s %s than the database, after %d in the last comparison. %s",
            abs(difference),
            nouns,
            "more" if difference < 0 else "fewer",
            abs(last.difference),
            _next_step(difference, resources),
        )
    store.save(Comparison(difference=difference, at=context.m2m_start))
    return {"difference": difference}


def _next_step(difference: int, resources: Resources) -> str:
    """Say what helps. Loading again brings what is missing and takes nothing away."""
    definition = resources.definition
    if difference > 0:
        return (
            "Rows were changed behind the cursors, or their documents were deleted: trigger "
            f"{definition.sync_dag} with reload=all"
        )
    return (
        f"{definition.nouns.capitalize()} were deleted from the database, which is not followed "
        f"yet, and reload=all leaves them in the index. A new index has none of them: take alias "
        f"{definition.alias} away from {resources.index.name}, and the next run creates one and "
        "loads everything (until then a search finds little)"
    )


def difference_of(source: Source, index: Index, letters: DeadLetters) -> int:
    """Return rows - documents - rows never indexed because of a letter."""
    documents = index.documents()
    refused = letters.ids()
    never_indexed = refused - index.stored(sorted(refused)).keys()
    return source.count() - documents - len(source.existing(sorted(never_indexed)))


def _arrived(resources: Resources, at_most: int) -> int:
    """Count the rows at or above the horizon that have neither document nor letter.

    The next run reads them.
    """
    feed, source = resources.definition.root.rows, resources.source
    refused = resources.letters.ids()
    arrived = 0
    after = source.below(feed, resources.context.horizon)
    while arrived < at_most and (rows := source.changed(feed, after, None, ARRIVED_PAGE_SIZE)):
        ids = {row.id for row in rows} - refused
        arrived += len(ids - resources.index.stored(sorted(ids)).keys())
        after = source.position(feed, rows[-1])
    return min(arrived, at_most)


def _loaded_something(resources: Resources) -> bool:
    cursors = all_cursors(resources.cursors, resources.definition.streams).values()
    return any(cursor and cursor.version >= resources.context.version for cursor in cursors)


def _is_due(context: RunContext, last: Comparison | None) -> bool:
    if last is None:
        return True
    since = parse(context.m2m_start) - parse(last.at)
    return not timedelta(0) <= since < COMPARE_EVERY  # a clock may have been set back
