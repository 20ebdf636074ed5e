"""Whether the index has as many films as the database: the cheapest sign of drift.

A film that arrived after the run's reading is in the database only, so as many as arrived are left
out of a difference. Differences of the same sign in two comparisons are drift, which ``modified``
cannot show: films were deleted, or rows were changed behind the cursors.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.definitions.movies import FILM_WORK, STREAMS
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres import horizon
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import Stamp
from movies_etl.state.run_context import RunContext
from movies_etl.sync.stream_run import Resources

log = logging.getLogger(__name__)

COMPARE_EVERY = timedelta(minutes=4, seconds=30)
"""Time after which a run that loaded nothing compares: each fifth one of a run a minute, though
they do not begin at the same second."""

ARRIVED_PAGE_SIZE = 1000
"""Films that are looked at together."""


class Comparison(BaseModel):
    """What a comparison found.

    :param difference: films - documents - films never indexed because of a letter.
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


def compared(context: RunContext, resources: Resources, store: DifferenceStore) -> dict[str, int]:
    """Compare the counts, at the end of a run that loaded something or when it is time.

    :returns: ``difference`` = films - documents - films never indexed because of a letter, less
        those that arrived since the run began; empty when nothing was compared.
    """
    last = store.load()
    if not (_loaded_something(context, resources) or _is_due(context, last)):
        return {}
    difference = difference_of(resources.source, resources.index, resources.letters)
    if difference > 0:
        difference -= _arrived(context, resources, at_most=difference)
    if last and difference * last.difference > 0:
        log.warning(
            "The index has %d films %s than the database, after %d in the last comparison. Films "
            "were deleted, or rows were changed behind the cursors: trigger movies_sync with "
            "reload=all for the latter",
            abs(difference),
            "more" if difference < 0 else "less",
            abs(last.difference),
        )
    store.save(Comparison(difference=difference, at=context.m2m_start))
    return {"difference": difference}


def difference_of(source: Source, index: Index, letters: DeadLetters) -> int:
    """Return films - documents - films never indexed because of a letter."""
    documents = index.documents()
    refused = letters.films()
    never_indexed = refused - index.stored(sorted(refused)).keys()
    return source.films() - documents - len(source.existing(sorted(never_indexed)))


def _arrived(context: RunContext, resources: Resources, at_most: int) -> int:
    """Count the films at or above the horizon that have neither document nor letter.

    The next run reads them.
    """
    feed, source = FILM_WORK.rows, resources.source
    refused = resources.letters.films()
    arrived = 0
    after = source.below(feed, context.horizon)
    while arrived < at_most and (rows := source.changed(feed, after, None, ARRIVED_PAGE_SIZE)):
        films = {row.id for row in rows} - refused
        arrived += len(films - resources.index.stored(sorted(films)).keys())
        after = source.position(feed, rows[-1])
    return min(arrived, at_most)


def _loaded_something(context: RunContext, resources: Resources) -> bool:
    cursors = (resources.cursors.load(stream.name) for stream in STREAMS)
    return any(cursor and cursor.version >= context.version for cursor in cursors)


def _is_due(context: RunContext, last: Comparison | None) -> bool:
    if last is None:
        return True
    since = horizon.parse(context.m2m_start) - horizon.parse(last.at)
    return not timedelta(0) <= since < COMPARE_EVERY  # a clock may have been set back
