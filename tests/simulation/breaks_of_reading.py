"""Breaks of rules 1 to 8, and 19: what is read and compared, from where a stream goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from elasticsearch import Elasticsearch
from movies_etl.postgres import horizon, inspection
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import FanOutProgress, LinkPosition, RowPosition
from movies_etl.sync import batches, prepare
from movies_etl.sync.batches import Batch, _Reader
from movies_etl.sync.loader import Loader
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.stream_run import StreamRun
from movies_etl.sync.versions import Versions

from tests.simulation.client import SimulatedClient
from tests.simulation.queries import SimulatedQueries
from tests.simulation.switches import Switches, always, patched

READING = Switches()
LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
"""An id above every other uuid."""
LAST_TEXT = "~"
"""An id above every other one of the model."""


@READING.rule("1")
def bare_comparison_of_the_stamp() -> AbstractContextManager[object]:
    """``modified > :m`` in place of the row comparison: ties at a page's border are lost."""
    between = Source.between

    def broken(self: Any, feed: Any, after: Any, upto: Any) -> Any:
        is_text = self.layout.lowest_ids[feed.table] == ""
        return between(self, feed, after, upto) | {"after_id": LAST_TEXT if is_text else LAST}

    return patched((Source, "between", broken))


@READING.rule("2")
def horizon_is_now() -> AbstractContextManager[object]:
    """The cursor follows to the clock, whatever is open."""
    measure = horizon.measure

    def broken(*arguments: Any, **named: Any) -> Any:
        measured = measure(*arguments, **named)
        return measured._replace(horizon=measured.now)

    return patched((horizon, "measure", broken))


@READING.rule("2-margin")
def horizon_without_margin() -> AbstractContextManager[object]:
    """Stamps are taken to be never older than the start that the list of sessions shows."""
    measure = horizon.measure

    def broken(source: Any, margin: Any, known: Any, wait: Any = timedelta(seconds=1)) -> Any:
        return measure(source, margin * 0, known, wait)

    return patched((horizon, "measure", broken))


@READING.rule("2-prepared")
def prepared_transactions_are_not_waited_for() -> AbstractContextManager[object]:
    """The horizon goes on beside a prepared transaction."""
    return patched((Server, "prepared_transactions", always([])))


def _trusting() -> tuple[object, str, object]:
    """Return the change that lets a task trust every document of the index, and every letter."""
    begin = Versions.__init__

    def broken(self: Any, reading: int, trusted_from: int) -> None:
        del trusted_from
        begin(self, reading, 0)

    return Versions, "__init__", broken


@READING.rule("3")
def everything_is_trusted_after_an_unclean_end() -> AbstractContextManager[object]:
    """An equal document is believed although a dead task's request may be under way."""
    return patched(_trusting())


@READING.rule("3-search")
def compared_with_what_a_search_sees() -> AbstractContextManager[object]:
    """Whether a document is there is asked from the last refresh, and everything is trusted."""

    def as_searched(mget: Callable[..., Any]) -> Callable[..., Any]:
        def broken(self: Any, **parameters: Any) -> Any:
            return mget(self, **(parameters | {"realtime": "realtime" not in parameters}))

        return broken

    return patched(
        (SimulatedClient, "mget", as_searched(SimulatedClient.mget)),
        (Elasticsearch, "mget", as_searched(Elasticsearch.mget)),
        _trusting(),
    )


@READING.rule("3-deleted")
def everything_is_trusted_after_a_cursor_was_deleted() -> AbstractContextManager[object]:
    """A genre or person cursor that is missing is taken for one that had ended cleanly."""
    beginning = StartingPoints._beginning

    def broken(self: Any, cursors: dict[str, Any]) -> Any:
        known = {
            name: cursor for name, cursor in cursors.items() if cursor or name == self._root.name
        }
        return beginning(self, known)

    return patched((StartingPoints, "_beginning", broken))


@READING.rule("3-pending")
def no_look_at_what_is_on_its_way() -> AbstractContextManager[object]:
    """An equal document is believed although this very task is about to send another."""
    return patched((Loader, "is_pending", always(False)))


@READING.rule("4")
def no_pass_over_undated_rows() -> AbstractContextManager[object]:
    """Rows whose ``modified`` is NULL or infinite are not looked at."""
    return patched((_Reader, "undated", always(())))


@READING.rule("5")
def starts_of_linked_rows_after_the_first_load() -> AbstractContextManager[object]:
    """What was renamed while everything was loaded lies below the starts."""
    finish = StreamRun.finish
    begun = StreamRun.begun

    def noted(stream: Any, resources: Any, settings: Any, settlement: Any = None) -> Any:
        run: Any = begun(stream, resources, settings, settlement)
        is_root = stream is resources.definition.root and not resources.context.beside
        run.is_first = is_root and run.cursor.horizon is None
        return run

    def broken(self: Any) -> None:
        finish(self)
        if not self.is_first:
            return
        source, cursors = self._resources.source, self._resources.cursors
        for stream in source.definition.streams[1:]:
            cursor = cursors.load(stream.name)
            if cursor is None:
                continue
            now = source.server.now()
            rows = source.last(stream.rows, source.below(stream.rows, now))
            links = stream.links and source.last(stream.links, source.below(stream.links, now))
            cursors.texts[stream.name] = cursor.moved(
                rows=rows and RowPosition.at(rows), links=links and LinkPosition.at(links)
            ).to_json()

    return patched((StreamRun, "begun", staticmethod(noted)), (StreamRun, "finish", broken))


@READING.rule("5-reload")
def starts_of_a_reload_before_the_film_cursor() -> AbstractContextManager[object]:
    """A film cursor that counts is put back last: a task that dies before skips what changed."""
    start_over = StartingPoints._start_over

    def broken(self: Any, beginning: Any, *, root_cursor_counts: bool) -> None:
        del root_cursor_counts
        start_over(self, beginning, root_cursor_counts=False)

    return patched((StartingPoints, "_start_over", broken))


@READING.rule("6")
def names_from_a_cache() -> AbstractContextManager[object]:
    """Documents are built with names and films that were read when the run began."""
    checked = inspection.checked_database
    shown = SimulatedQueries.shown
    cache: dict[int, Any] = {}

    def remember(source: Any) -> Any:
        cache.clear()
        cache[id(source.queries.postgres)] = shown(source.queries)
        return checked(source)

    def remembered(self: SimulatedQueries) -> Any:
        now = shown(self)
        known = cache.get(id(self.postgres), now)
        return tuple(new | old for new, old in zip(now, known, strict=True))

    return patched((prepare, "checked_database", remember), (SimulatedQueries, "shown", remembered))


@READING.rule("7")
def once_a_run_judged_by_an_earlier_moment() -> AbstractContextManager[object]:
    """A film that was read a while before the horizon is taken for read in this run."""
    read = StreamRun._is_read_since

    def broken(self: Any, version: int, id_: str, stored: Any) -> bool:
        return read(self, version - 600_000_000, id_, stored)

    return patched((StreamRun, "_is_read_since", broken))


@READING.rule("7-cleared")
def once_a_run_judged_by_the_context_of_a_cleared_task() -> AbstractContextManager[object]:
    """A task of an older run takes a newer run's page for its own."""

    def broken(**fields: Any) -> FanOutProgress:
        return FanOutProgress(**(fields | {"since": 0}))

    return patched((batches, "FanOutProgress", broken))


@READING.rule("8")
def page_read_by_its_size_again_on_resume() -> AbstractContextManager[object]:
    """A page of genres is resumed with LIMIT: a row that takes a leaver's place is half loaded."""

    def broken(self: Any, feed: Any, cursor: Any) -> Any:
        upto = self._source.below(feed, self._horizon)
        while rows := self._source.changed(feed, cursor.rows, upto, self._page_size):
            after = cursor.fan_out.after_root if cursor.fan_out else None
            end = RowPosition.at(self._source.position(feed, rows[-1]))
            page = FanOutProgress(start=cursor.rows, end=end, after_root=after)
            rows = [row for row in rows if (row.id, row.xmin) not in self._remembered]
            for ids in self._fan_out(rows, page.after_root):
                page = page.model_copy(update={"after_root": ids[-1]})
                yield self._batch(ids, cursor.moved(fan_out=page), since=self._since)
            cursor = cursor.moved(rows=page.end, fan_out=None)
            yield Batch([], cursor)
        return cursor

    return patched((_Reader, "_stable_fan_out", broken))


@READING.rule("19")
def snapshot_taken_after_the_reading() -> AbstractContextManager[object]:
    """The snapshot is taken when a stream was read: what was committed meanwhile is in it."""
    ended = _Reader.ended

    def broken(self: Any, cursor: Any) -> Any:
        self._visible = self._visible and self._source.visible()
        return ended(self, cursor)

    return patched((_Reader, "ended", broken))
