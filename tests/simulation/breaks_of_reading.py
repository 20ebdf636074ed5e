"""Breaks of rules 1 to 8: which rows are read, what is compared, from where a stream goes on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from movies_etl.definitions.movies import FILM_WORK, GENRE, PERSON
from movies_etl.postgres import horizon
from movies_etl.state.cursors import FanOut, LinkPosition, RowPosition
from movies_etl.sync import batches
from movies_etl.sync import prepare as init
from movies_etl.sync.batches import Batch, _Reader
from movies_etl.sync.loader import Loader
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.stream_run import StreamRun

from tests.simulation.client import SimulatedClient
from tests.simulation.source import SimulatedSource
from tests.simulation.switches import Switches, patched

READING = Switches()
LAST = "\N{DELETE}"
"""An id above every other."""


@READING.rule("1")
def bare_comparison_of_the_stamp() -> AbstractContextManager[object]:
    """``modified > :m`` in place of the row comparison: ties at a page's border are lost."""
    page = SimulatedSource._page

    def broken(self: Any, table: str, *, after_id: str, **parameters: Any) -> Any:
        del after_id
        return page(self, table, after_id=LAST, **parameters)

    return patched((SimulatedSource, "_page", broken))


@READING.rule("2")
def horizon_is_now() -> AbstractContextManager[object]:
    """The cursor follows to the clock, whatever is open."""
    measure = horizon.measure

    def broken(*arguments: Any) -> Any:
        measured = measure(*arguments)
        return measured._replace(horizon=measured.now)

    return patched((horizon, "measure", broken))


@READING.rule("2-margin")
def horizon_without_margin() -> AbstractContextManager[object]:
    """Stamps are taken to be never older than the start that the list of sessions shows."""
    measure = horizon.measure

    def broken(source: Any, margin: Any, known: Any) -> Any:
        return measure(source, margin * 0, known)

    return patched((horizon, "measure", broken))


@READING.rule("2-prepared")
def prepared_transactions_are_not_waited_for() -> AbstractContextManager[object]:
    """The horizon goes on beside a prepared transaction."""
    return patched((SimulatedSource, "_prepared", lambda _self: []))


@READING.rule("3")
def no_fence_after_an_unclean_end() -> AbstractContextManager[object]:
    """An equal document is believed although a dead task's request may be under way."""
    return patched((StreamRun, "_trusted_from_version", lambda _self, _cursors: 0))


@READING.rule("3-search")
def compared_with_what_a_search_sees() -> AbstractContextManager[object]:
    """Whether a document is there is asked from the last refresh, and no fence makes up for it."""
    mget = SimulatedClient.mget

    def broken(self: SimulatedClient, **parameters: Any) -> Any:
        return mget(self, **(parameters | {"realtime": "realtime" not in parameters}))

    return patched(
        (SimulatedClient, "mget", broken),
        (StreamRun, "_trusted_from_version", lambda _self, _cursors: 0),
    )


@READING.rule("3-deleted")
def no_fence_for_a_cursor_that_was_deleted() -> AbstractContextManager[object]:
    """A genre or person cursor that is missing is taken for one that had ended cleanly."""
    beginning = StartingPoints._beginning

    def broken(self: Any, held: dict[str, Any]) -> Any:
        known = {name: cursor for name, cursor in held.items() if cursor or name == FILM_WORK.name}
        return beginning(self, known)

    return patched((StartingPoints, "_beginning", broken))


@READING.rule("3-pending")
def no_look_at_what_is_on_its_way() -> AbstractContextManager[object]:
    """An equal document is believed although this very task is about to send another."""
    return patched((Loader, "is_pending", lambda _self, _film: False))


@READING.rule("4")
def no_pass_over_undated_rows() -> AbstractContextManager[object]:
    """Rows whose ``modified`` is NULL or infinite are not looked at."""
    return patched((_Reader, "undated", lambda _self, _feed: iter(())))


@READING.rule("5")
def start_of_genres_and_persons_after_the_film_load() -> AbstractContextManager[object]:
    """What was renamed while films were loaded lies below the starts."""
    begin, finish = StreamRun.__init__, StreamRun.finish

    def begun(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self.is_first = self._stream is FILM_WORK and self.cursor.horizon is None

    def broken(self: Any) -> None:
        finish(self)
        if not self.is_first:
            return
        source, cursors = self._resources.source, self._resources.cursors
        for stream in (GENRE, PERSON):
            cursor = cursors.load(stream.name)
            if cursor is None or stream.links is None:
                continue
            rows = source.last(stream.rows, source.below(stream.rows, source.now()))
            links = source.last(stream.links, source.below(stream.links, source.now()))
            cursors.texts[stream.name] = cursor.moved(
                rows=rows and RowPosition.at(rows), links=links and LinkPosition.at(links)
            ).to_json()

    return patched((StreamRun, "__init__", begun), (StreamRun, "finish", broken))


@READING.rule("5-reload")
def starts_of_a_reload_before_the_film_cursor() -> AbstractContextManager[object]:
    """A film cursor that counts is put back last: who dies before has skipped what changed."""
    start_over = StartingPoints._start_over

    def broken(self: Any, beginning: Any, *, films_count: bool) -> None:
        del films_count
        start_over(self, beginning, films_count=False)

    return patched((StartingPoints, "_start_over", broken))


@READING.rule("6")
def names_from_a_cache() -> AbstractContextManager[object]:
    """Documents are built with names that were read when the run began."""
    opened = init._check_source
    names = SimulatedSource.names
    cache: dict[int, Any] = {}

    def remember(source: Any, settings: Any) -> None:
        cache.clear()
        cache[id(source.postgres)] = names(source)
        opened(source, settings)

    def remembered(self: SimulatedSource) -> Any:
        known = cache.get(id(self.postgres))
        genres, persons = names(self)
        return (genres | known[0], persons | known[1]) if known else (genres, persons)

    return patched((init, "_check_source", remember), (SimulatedSource, "names", remembered))


@READING.rule("7")
def once_a_run_judged_by_an_earlier_moment() -> AbstractContextManager[object]:
    """A film that was read a while before the horizon is taken for read in this run."""
    read = StreamRun._is_read_since

    def broken(self: Any, version: int, film: str, stored: Any) -> bool:
        return read(self, version - 600_000_000, film, stored)

    return patched((StreamRun, "_is_read_since", broken))


@READING.rule("7-cleared")
def once_a_run_judged_by_the_window_of_a_cleared_task() -> AbstractContextManager[object]:
    """A task of an older run takes a newer run's page for its own."""

    def broken(**fields: Any) -> FanOut:
        return FanOut(**(fields | {"since": 0}))

    return patched((batches, "FanOut", broken))


@READING.rule("8")
def page_read_by_its_size_again_on_resume() -> AbstractContextManager[object]:
    """A page of genres is resumed with LIMIT: who takes a leaver's place is half loaded."""

    def broken(self: Any, feed: Any, cursor: Any) -> Any:
        upto = self._source.below(feed, self._horizon)
        while rows := self._source.changed(feed, cursor.rows, upto, self._page_size):
            after = cursor.fan_out.after_film if cursor.fan_out else None
            end = RowPosition.at(self._source.position(feed, rows[-1]))
            page = FanOut(start=cursor.rows, end=end, after_film=after)
            rows = [row for row in rows if (row.id, row.xmin) not in self.remembered]
            for films in self._fan_out(rows, page.after_film):
                page = page.model_copy(update={"after_film": films[-1]})
                yield Batch(
                    films,
                    cursor.moved(fan_out=page),
                    skip_unchanged=self._skip_unchanged,
                    unless_read_since=self._since,
                )
            cursor = cursor.moved(rows=page.end, fan_out=None)
            yield Batch([], cursor)
        return cursor

    return patched((_Reader, "_stable_fan_out", broken))
