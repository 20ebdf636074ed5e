"""Links that are gone: deleted, or changed without a trace in their time.

A look counts the links that stand, those written below the oldest transaction that runs, by parts
of the documents. Their number can only fall. So the documents of a part that has fewer at the next
look are compared. What a look found is kept together with its counts, until it is done.

Beside an open transaction the first look counts no link that is younger, and documents that show
one may be older than the look. So the parts that have such links are compared at each look, until
one counts them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from movies_etl.es.inventory import DocumentInventory
from movies_etl.postgres.traces import PARTS, Snapshot, Traces, statistics
from movies_etl.reconcile import touched
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import FOUND_TOGETHER, Comparer, followed
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.comparison import TableStatistics
from movies_etl.state.reconcile import Nowhere, ReconcileState, Standing
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

PARTS_TOGETHER = 8
"""Parts whose documents are read by one query, where they are not more than a look finds."""


def look_for_links_that_are_gone(task: ReconcileTask) -> None:
    """Find the links that are gone, and compare the documents that had them."""
    links = Links(task.resources)
    _count_links(task, links)
    _compare_due(task, links)


def _count_links(task: ReconcileTask, links: Links) -> None:
    """Find the parts that have fewer links, and note the moment of the look."""
    index = task.resources.index
    inventory = DocumentInventory(index)
    places = tuple(inventory.newest(shard) for shard in range(index.shards()))
    snapshot = Traces(task.resources.source).snapshot()
    stands = {name: one.ceiling for name, one in task.state.standing.items()}
    if not all(snapshot.reaches(ceiling) for ceiling in stands.values()):
        task.forget("standing", {})
    written = touched.marked(places, snapshot, task.state.written)
    standing = links.look(task.state, snapshot).standing
    task.remember(standing=standing, written=written)


def _compare_due(task: ReconcileTask, links: Links) -> None:
    """Compare the documents of the parts that are due.

    All of them together: one part after the other would pass the fuses, however many there are in
    all.
    """
    state = task.state
    found = Candidates(documents=task.documents, rewritten=state.relinked)
    comparer, together = Comparer(task.resources), _parts_together(task.documents)
    while due := next_due(state, together):
        table, parts = due
        for ids in links.documents_of(parts):
            comparer.compare(ids, found)
        state = without_due(state, table, parts)
        if not task.has_time():
            break
    if (done := task.load(found)).is_done:
        relinked = done.rewritten if next_due(state) else 0
        task.remember(standing=state.standing, relinked=relinked)
    else:
        task.remember(relinked=done.rewritten)


def _parts_together(documents: int) -> int:
    """Return how many parts are compared before there is another look at the time."""
    return min(max(FOUND_TOGETHER * PARTS // max(documents, 1), 1), PARTS_TOGETHER)


def look_for_links_to_nowhere(task: ReconcileTask) -> None:
    """Compare the documents with links to rows that are gone, if a table seems to lack some.

    With foreign keys there are none.
    """
    links = Links(task.resources)
    first = look = task.state.nowhere or Nowhere(keys=links.keys())
    found = Candidates(documents=task.documents, rewritten=look.rewritten)
    comparer, is_whole = Comparer(task.resources), True
    for ids, after in links.leading_nowhere(task.state.keys, look):
        comparer.compare(ids, found)
        look = after
        if not task.has_time():
            is_whole = False
            break
    done = task.load(found)
    if done.is_done and is_whole:
        task.remember(keys=look.keys, nowhere=None)
    else:
        task.remember(nowhere=done.stands(first, look, goes_on=True))


class Links:
    """The links of one index's documents.

    :param resources: the servers.
    """

    def __init__(self, resources: Resources) -> None:
        self._traces = Traces(resources.source)
        self._source = resources.source
        self._tables = resources.definition.links
        self._linked = [stream for stream in resources.definition.streams if stream.fan_out]

    def look(self, state: ReconcileState, snapshot: Snapshot) -> ReconcileState:
        """Count the links that stand; return the state with the parts that are due.

        :param snapshot: taken before.
        """
        tables = dict.fromkeys([*state.standing, *self._tables])  # the next one's turn comes first
        standing = {
            table: self._look(table, self._tables[table], state.standing.get(table), snapshot)
            for table in tables
            if table in self._tables
        }
        return state.model_copy(update={"standing": standing})

    def _look(self, table: str, root: str, last: Standing | None, now: Snapshot) -> Standing:
        if last is None:
            return self._first_look(table, root, now)
        last = _with_young_ones_due(last, now)
        stood = self._traces.stood(table, root, last.ceiling)
        if stood.rows == stood.standing == sum(last.counts):
            return last  # none is gone, and none has come
        found = self._traces.standing(table, root, last.ceiling, now.ceiling)
        fewer = [part for part, rows in enumerate(found.before) if rows < last.counts[part]]
        if fewer:
            log.info("Links are gone from %s, of documents in %d parts", table, len(fewer))
        due = tuple(dict.fromkeys([*last.due, *fewer]))  # those that wait longer come first
        update = {"ceiling": now.ceiling, "counts": tuple(found.now), "due": due}
        return last.model_copy(update=update)

    def _first_look(self, table: str, root: str, now: Snapshot) -> Standing:
        found = self._traces.standing(table, root, now.ceiling, now.next)
        both = zip(found.before, found.now, strict=True)
        young = tuple(part for part, (old, rows) in enumerate(both) if old < rows)
        counts = tuple(found.before)
        return Standing(ceiling=now.ceiling, counts=counts, young=young, counted_from=now.next)

    def documents_of(self, parts: tuple[int, ...]) -> Iterator[list[str]]:
        """Return the documents of parts, a page at a time."""
        return followed(partial(self._traces.documents_of, parts))

    def keys(self) -> dict[str, TableStatistics]:
        """Return what PostgreSQL counts of the tables whose rows documents are linked to."""
        return statistics(self._source, [stream.rows.table for stream in self._linked])

    def leading_nowhere(
        self, before: dict[str, TableStatistics], look: Nowhere
    ) -> Iterator[tuple[list[str], Nowhere]]:
        """Go on with a look for links to rows that are gone.

        :param before: statistics at the last look; if a table has other ones now, rows of it may be
            gone.
        :returns: pages of documents, each with the look once they are compared.
        """
        tables = [stream.rows.table for stream in self._linked]
        first = tables.index(look.table) if look.table in tables else 0
        for stream, table in [*zip(self._linked, tables, strict=True)][first:]:
            if before.get(table) == look.keys.get(table):
                continue
            after = look.after if table == look.table else None
            for ids in followed(partial(self._traces.dangling, stream), after):
                yield ids, look.model_copy(update={"table": table, "after": ids[-1]})


def _with_young_ones_due(last: Standing, now: Snapshot) -> Standing:
    """Make the parts due that have links which the first look did not count.

    Those that are still there are counted by this look, or by a later one.
    """
    if not last.young:
        return last
    due = tuple(dict.fromkeys([*last.due, *last.young]))
    young = last.young if now.ceiling < last.counted_from else ()
    return last.model_copy(update={"due": due, "young": young})


def next_due(
    state: ReconcileState, together: int = PARTS_TOGETHER
) -> tuple[str, tuple[int, ...]] | None:
    """Return a link table and some of its parts that are due; None when none is.

    :param together: the most parts.
    """
    for table, standing in state.standing.items():
        if standing.due:
            return table, standing.due[:together]
    return None


def without_due(state: ReconcileState, table: str, parts: tuple[int, ...]) -> ReconcileState:
    """Return the state when parts of a link table are done: another table's turn comes next."""
    standing = dict(state.standing)
    done = standing.pop(table)
    left = tuple(part for part in done.due if part not in parts)
    standing[table] = done.model_copy(update={"due": left})
    return state.model_copy(update={"standing": standing})
