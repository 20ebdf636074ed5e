"""Links that are gone: deleted, or changed without a trace in their time.

A look counts the links that stand, those written below the oldest transaction that runs, by parts
of the documents. They can only become fewer. So the documents of a part that has fewer at the next
look are compared. What a look found is kept together with its counts, until it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from movies_etl.postgres.traces import Snapshot, Traces, statistics
from movies_etl.reconcile.compare import COMPARED_TOGETHER
from movies_etl.state.comparison import TableStatistics
from movies_etl.state.reconcile import ReconcileState, Standing
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

PARTS_TOGETHER = 8
"""Parts whose documents are read by one query."""


class Links:
    """The links of one index's documents.

    :param resources: the servers.
    """

    def __init__(self, resources: Resources) -> None:
        self._traces = Traces(resources.source)
        self._queries = resources.source.queries
        self._tables = resources.definition.links
        self._linked = [stream for stream in resources.definition.streams if stream.fan_out]

    def look(self, state: ReconcileState, snapshot: Snapshot) -> ReconcileState:
        """Count the links that stand; return the state with the parts that are due.

        :param snapshot: taken before.
        """
        standing = {
            table: self._look(table, root, state.standing.get(table), snapshot)
            for table, root in self._tables.items()
        }
        return state.model_copy(update={"standing": standing})

    def _look(self, table: str, root: str, last: Standing | None, now: Snapshot) -> Standing:
        if last is None:
            counts = self._traces.standing(table, root, now.ceiling, now.ceiling).now
            return Standing(ceiling=now.ceiling, counts=tuple(counts))
        stood = self._traces.stood(table, root, last.ceiling)
        if stood.rows == stood.standing == sum(last.counts):
            return last  # none is gone, and none has come
        found = self._traces.standing(table, root, last.ceiling, now.ceiling)
        fewer = [part for part, rows in enumerate(found.before) if rows < last.counts[part]]
        if fewer:
            log.info("Links are gone from %s, of documents in %d parts", table, len(fewer))
        due = tuple(sorted({*last.due, *fewer}))
        return Standing(ceiling=now.ceiling, counts=tuple(found.now), due=due)

    def documents_of(self, parts: tuple[int, ...]) -> Iterator[list[str]]:
        """Yield the documents of parts, a page at a time."""
        after = None
        while ids := self._traces.documents_of(parts, after, COMPARED_TOGETHER):
            yield ids
            after = ids[-1]

    def keys(self) -> dict[str, TableStatistics]:
        """Return what PostgreSQL counts of the tables whose rows documents are linked to."""
        return statistics(self._queries, [stream.rows.table for stream in self._linked])

    def leading_nowhere(
        self, before: dict[str, TableStatistics], now: dict[str, TableStatistics]
    ) -> Iterator[list[str]]:
        """Yield the documents with links to rows that are gone, of tables that seem to lack some.

        Foreign keys leave none.
        """
        for stream in self._linked:
            table, after = stream.rows.table, None
            while before.get(table) != now.get(table) and (
                ids := self._traces.dangling(stream, after, COMPARED_TOGETHER)
            ):
                yield ids
                after = ids[-1]


def next_due(state: ReconcileState) -> tuple[str, tuple[int, ...]] | None:
    """Return a link table and some of its parts that are due; None when none is."""
    for table, standing in state.standing.items():
        if standing.due:
            return table, standing.due[:PARTS_TOGETHER]
    return None


def without_due(state: ReconcileState, table: str, parts: tuple[int, ...]) -> ReconcileState:
    """Return the state when parts of a link table are done."""
    standing = state.standing[table]
    left = tuple(part for part in standing.due if part not in parts)
    done = standing.model_copy(update={"due": left})
    return state.model_copy(update={"standing": state.standing | {table: done}})
