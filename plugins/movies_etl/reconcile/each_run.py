"""What every run asks when it has loaded what changed: whether rows were deleted.

The questions are cheap, so that deleted films are gone at the end of a run and not only after the
next pass of the reconcile. They are hints: what they miss is found by its passes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from movies_etl.definitions.definition import Stream
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.timestamps import parse
from movies_etl.postgres.traces import statistics
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.presence import presence, presence_in_steps
from movies_etl.reconcile.repair import Repaired, repair
from movies_etl.settings import Settings
from movies_etl.state.comparison import Comparison, DifferenceStore, TableStatistics
from movies_etl.state.cursors import all_cursors
from movies_etl.state.run_context import RunContext
from movies_etl.steps import Steps
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counts import arrived, never_indexed
from movies_etl.sync.exchange import is_replaced
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import sync

log = logging.getLogger(__name__)

CHEAP_ROWS = 1_000_000
"""Rows that are counted in every run, in 50 ms or less."""

COMPARE_EVERY = timedelta(minutes=4, seconds=30)
"""Time after which a run that loaded nothing counts more rows than those. With a run per minute
that is each fifth one, though they do not begin at the same second."""


def run_stream(
    stream: Stream,
    resources: Resources,
    settings: Settings,
    store: DifferenceStore,
    asked: RunParams | None = None,
) -> dict[str, Any]:
    """Sync one stream and, after the last one of a run, look whether rows were deleted.

    A run that began before a rebuild gave the alias to another index ends without an error: that
    one has everything, and the next run goes on with it.

    :returns: the counters, and the ``difference`` where counts were compared.
    :raises MoviesEtlError: see ``sync``.
    """
    try:
        sync(stream, resources, settings, asked)
    except ConfigurationError:
        if not is_replaced(resources):
            raise
        return resources.counters.as_result()
    return without_loading(stream, resources, settings, store)


def without_loading(
    stream: Stream,
    resources: Resources,
    settings: Settings,
    store: DifferenceStore,
    *,
    is_followed: bool = False,
) -> dict[str, Any]:
    """Do what is left of a stream's task when what changed is loaded, by it or by another one.

    :param is_followed: see ``checked``.
    :returns: see ``run_stream``.
    """
    result = resources.counters.as_result()
    if stream is not resources.definition.streams[-1]:
        return result
    return result | checked(resources, settings, store, is_followed=is_followed)


@dataclass(frozen=True)
class Search:
    """A search of everything for deleted rows that has come to its end.

    :param statistics: as they were before it: it found whatever they had counted.
    """

    statistics: TableStatistics | None
    found: Candidates


def searched(resources: Resources) -> Steps[Search]:
    """Search everything for deleted rows, step by step."""
    counted = _statistics(resources)
    return Search(counted, (yield from presence_in_steps(resources)))


def checked(
    resources: Resources,
    settings: Settings,
    store: DifferenceStore,
    *,
    is_followed: bool = False,
    search: Search | None = None,
) -> dict[str, int]:
    """Ask whether rows were deleted; if so, delete their documents.

    The lock is held, or taken for each batch of documents.

    :param search: the search, where a hint has led to one already.
    :param is_followed: a task follows that looks for the statistics' hints itself; only numbers
        that differ are a reason to search.
    :returns: ``difference`` = rows - documents - rows never indexed because of a letter, less those
        that arrived since the run began; ``deleted`` documents where ids were compared. Empty when
        nothing was compared.
    """
    last = _of_this_index(resources, store.load())
    counted = search.statistics if search else _statistics(resources)
    is_hinted = search or last is None or not (is_followed or last.tells_of(counted))
    if not (is_hinted or _is_time_to_count(resources, last)):
        return {}
    now = _compared(resources, last)
    deleted: dict[str, int] = {}
    if is_hinted or now.difference < -now.surplus:
        _tell_of_hint(resources, last, counted)
        found = search.found if search else presence(resources)
        now, done = _without_surplus(resources, settings, now, found)
        # A hint is used up when all that it announced is gone: else the next run is hinted, too.
        counted = None if done.left else counted
        now = now.model_copy(update={"statistics": counted, "found": 0})
        deleted = {"deleted": done.counters.deleted}
    _warn_of_drift(resources, last, now)
    if _is_due(resources.context, last) or _changed(resources.context, last, now):
        store.save(now)
    return {"difference": now.difference, **deleted}


def _of_this_index(resources: Resources, last: Comparison | None) -> Comparison | None:
    """Return the last comparison; None if it was of another index.

    Rows may have been deleted while a rebuild gave it the alias.
    """
    is_of_another = last and last.index and last.index != resources.context.uuid
    return None if is_of_another else last


def _statistics(resources: Resources) -> TableStatistics | None:
    table = resources.definition.root.rows.table
    return statistics(resources.source, [table]).get(table)


def _is_time_to_count(resources: Resources, last: Comparison | None) -> bool:
    cursors = all_cursors(resources.cursors, resources.definition.streams).values()
    loaded = any(cursor and cursor.version >= resources.context.version for cursor in cursors)
    is_cheap = last is not None and last.rows <= CHEAP_ROWS
    return loaded or is_cheap or _is_due(resources.context, last)


def _is_due(context: RunContext, last: Comparison | None) -> bool:
    if last is None:
        return True
    since = parse(context.m2m_start) - parse(last.at)
    return not timedelta(0) <= since < COMPARE_EVERY  # a clock may have been set back


def _compared(resources: Resources, last: Comparison | None) -> Comparison:
    """Count both sides."""
    source, index = resources.source, resources.index
    documents = index.documents()
    visible = source.visible() if source.layout.visible else None
    is_counted = last and visible and visible == last.visible
    rows = last.rows if last and is_counted else source.count()
    difference = rows - documents - len(never_indexed(source, index, resources.letters))
    if difference > 0:
        difference -= min(len(arrived(resources, at_most=difference)), difference)
    return Comparison(
        difference=difference,
        at=resources.context.m2m_start,
        rows=rows,
        surplus=last.surplus if last else 0,
        statistics=last.statistics if last else None,
        index=resources.context.uuid,
        found=last.found if last else 0,
        visible=visible,
    )


def _without_surplus(
    resources: Resources, settings: Settings, now: Comparison, found: Candidates
) -> tuple[Comparison, Repaired]:
    """Delete the documents whose rows are gone.

    What is missing is left to the reconcile, so that no run takes longer.
    """
    done = repair(resources, settings, replace(found, missing=Ids()))
    asked = done.listed + done.set_aside
    undone = max(done.left - len(found.letters), 0)  # letters are read again last
    difference = len(found.missing) - asked - undone
    return now.model_copy(update={"surplus": asked, "difference": difference}), done


def _tell_of_hint(
    resources: Resources, last: Comparison | None, counted: TableStatistics | None
) -> None:
    known = last and last.statistics
    if known and counted and known.since == counted.since and counted.deleted > known.deleted:
        log.info(
            "%d rows of %s were deleted since the last look",
            counted.deleted - known.deleted,
            resources.definition.root.rows.table,
        )


def _changed(context: RunContext, last: Comparison | None, now: Comparison) -> bool:
    """Whether a comparison differs in anything that the next run reads.

    What was visible may be visible then, too, if nothing was committed during this run.
    """
    if last is None:
        return True
    unasked: dict[str, object] = {"at": last.at, "rows": last.rows}
    if context.layout is None or now.visible != context.layout.visible:
        unasked["visible"] = last.visible
    return now.model_copy(update=unasked) != last


def _warn_of_drift(resources: Resources, last: Comparison | None, now: Comparison) -> None:
    """Warn when the difference has the same sign as before: it does not go away by itself."""
    if last is None or now.difference * last.difference <= 0:
        return
    log.warning(
        "The index has %s %s than the database: %d, and %d in the last comparison. %s",
        "more" if now.difference < 0 else "fewer",
        resources.definition.nouns,
        abs(now.difference),
        abs(last.difference),
        _next_step(now.difference, resources),
    )


def _next_step(difference: int, resources: Resources) -> str:
    """Say what helps. Loading again brings what is missing and takes nothing away."""
    definition = resources.definition
    if difference > 0:
        return (
            "Rows were changed behind the cursors, or their documents were deleted: "
            f"{definition.reconcile_dag} loads them, or trigger {definition.sync_dag} with "
            "reload=all"
        )
    return (
        f"So many {definition.nouns} were deleted from the database that a person decides: "
        f"{definition.purge_dag} asks at the end of this run, unless it was refused before"
    )
