"""Loading a range of ids: pages one after another, and how far it came, kept with each page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from movies_etl.definitions.ranges import Range
from movies_etl.errors import ConfigurationError
from movies_etl.es.family import build_of
from movies_etl.postgres import lock
from movies_etl.postgres.inventory import RowInventory
from movies_etl.rebuild.plan import Plan
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.sync.batches import Batch
from movies_etl.sync.ids import in_pages
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context
from movies_etl.sync.stream_run import StreamRun

PAGE_SIZE = 20_000
"""Documents that are built by one statement; a worker that dies repeats as many.

Of a million films, PostgreSQL builds each in 28 µs in such pages, and in 50 µs in pages of 5,000.
"""

SCANNED_TOGETHER = 100_000
"""Ids that are read by one query where each query reads the whole table."""


class PositionStore(Protocol):
    """Keeps how far a range is loaded, for the next attempt of the same task."""

    def load(self) -> str | None:
        """Return what was kept, None at the first attempt."""

    def save(self, position: str) -> None:
        """Keep it."""


class RangeCursors:
    """The cursor of a range in place of the cursors of streams.

    :param beginning: the cursor of the first attempt.
    """

    def __init__(self, positions: PositionStore, beginning: Cursor) -> None:
        self._positions = positions
        self._beginning = beginning

    def load(self, stream: str) -> Cursor:  # noqa: ARG002 - all streams have one
        """Return the range's cursor."""
        kept = self._positions.load()
        return Cursor.from_json(kept, where="of the task's state") if kept else self._beginning

    def save(self, stream: str, cursor: Cursor) -> None:  # noqa: ARG002
        """Keep the range's cursor."""
        self._positions.save(cursor.to_json())


def load_range(
    part: Range, plan: Plan, run_id: str, resources: Resources, settings: Settings
) -> dict[str, Any]:
    """Load the documents of a range of ids.

    :param run_id: of the run that makes the index.
    :param resources: of the index; its ``cursors`` are replaced.
    :returns: the counters, and the highest ``version`` that was sent.
    :raises ConfigurationError: another run goes on with the index, or it is gone.
    """
    definition, context = resources.definition, resources.context
    # Two attempts of one task may run at once; the lost one ends with its session.
    lock.take(resources.source.server, f"{context.uuid} {part.first or ''}", resources.lock_wait)
    check_context(resources)
    _check_build(resources, run_id)
    run = StreamRun.begun(definition.root, resources, settings)
    source = resources.caught_up()
    run.read_on(source)
    for ids in _pages(RowInventory(source), part, run.cursor.loaded_to):
        reached = run.cursor.moved(loaded_to=ids[-1])
        run.load(Batch(ids, reached, skip_unchanged=plan.resumes))
    run.finish()
    run.progress.done()
    ended = resources.cursors.load(definition.root.name)
    return resources.counters.as_result() | {"version": ended.version if ended else 0}


def of_range(resources: Resources, positions: PositionStore) -> Resources:
    """Return resources whose cursor is that of a range."""
    context = resources.context
    beginning = Cursor(index=context.uuid, database=context.database, version=context.version - 1)
    return replace(resources, cursors=RangeCursors(positions, beginning))


def _check_build(resources: Resources, run_id: str) -> None:
    build = build_of(resources.index)
    if build is None or build.run != run_id or build.state != "loading":
        by = f"run {build.run} ({build.state})" if build else "nobody"
        raise ConfigurationError(
            f"Index {resources.index.name} is not being loaded by this run any more, but by {by}. "
            "This attempt wrote nothing."
        )


def _pages(rows: RowInventory, part: Range, after: str | None) -> Iterator[list[str]]:
    """Yield the ids of a range in their order.

    :param after: the last one that is loaded.
    """
    size = PAGE_SIZE if rows.is_read_by_id else SCANNED_TOGETHER
    while True:
        found = rows.ids(Range(after or part.first, part.before), size + 1)
        ids = [one for one in found if one != after][:size]
        yield from in_pages(ids, PAGE_SIZE)
        if len(found) <= size:
            return
        after = ids[-1]
