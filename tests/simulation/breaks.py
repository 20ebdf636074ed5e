"""Proof of the proof: each switches the protection of one rule of the design off, from outside.

A break is a context manager; the program has no such switch. A rule that no history can break is
either not needed or not tested, so each must be found within ``LIMIT`` histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

from movies_etl import batches, horizon, init, lock, stream_run, sync
from movies_etl.batches import Batch, _Reader
from movies_etl.bulk import Item
from movies_etl.cursors import FanOut, LinkPosition, RowPosition
from movies_etl.dead_letters import DeadLetters
from movies_etl.errors import ConfigurationError
from movies_etl.index import Index
from movies_etl.settlement import Settlement
from movies_etl.starts import Starts
from movies_etl.stream_run import StreamRun
from movies_etl.streams import FILM_WORK, GENRE, PERSON

from tests.simulation.client import SimulatedClient
from tests.simulation.source import SimulatedSource

LIMIT = 300
"""Histories within which a broken rule must be found."""

Break = Callable[[], AbstractContextManager[object]]
BREAKS: dict[str, Break] = {}
LAST = "\N{DELETE}"
"""An id above every other."""


def _rule(name: str) -> Callable[[Break], Break]:
    def kept(broken: Break) -> Break:
        BREAKS[name] = broken
        return broken

    return kept


@contextmanager
def _patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(mock.patch.object(owner, name, value))
        yield


@_rule("1")
def bare_comparison_of_the_stamp() -> AbstractContextManager[object]:
    """``modified > :m`` in place of the row comparison: ties at a page's border are lost."""
    page = SimulatedSource._page

    def broken(self: Any, table: str, *, after_id: str, **parameters: Any) -> Any:
        del after_id
        return page(self, table, after_id=LAST, **parameters)

    return _patched((SimulatedSource, "_page", broken))


@_rule("2")
def horizon_is_now() -> AbstractContextManager[object]:
    """The cursor follows to the clock, whatever is open."""
    measure = horizon.measure

    def broken(*arguments: Any) -> Any:
        measured = measure(*arguments)
        return measured._replace(horizon=measured.now)

    return _patched((horizon, "measure", broken))


@_rule("2-margin")
def horizon_without_margin() -> AbstractContextManager[object]:
    """Stamps are taken to be never older than the start that the list of sessions shows."""
    measure = horizon.measure

    def broken(source: Any, margin: Any, known: Any) -> Any:
        return measure(source, margin * 0, known)

    return _patched((horizon, "measure", broken))


@_rule("2-prepared")
def prepared_transactions_are_not_waited_for() -> AbstractContextManager[object]:
    """The horizon goes on beside a prepared transaction."""
    return _patched((SimulatedSource, "_prepared", lambda _self: []))


@_rule("3")
def no_fence_after_an_unclean_end() -> AbstractContextManager[object]:
    """An equal document is believed although a dead task's request may be under way."""
    return _patched((StreamRun, "_raised_fence", lambda _self, _cursors: 0))


@_rule("3-search")
def compared_with_what_a_search_sees() -> AbstractContextManager[object]:
    """Whether a document is there is asked from the last refresh, and no fence makes up for it."""
    mget = SimulatedClient.mget

    def broken(self: SimulatedClient, **parameters: Any) -> Any:
        return mget(self, **(parameters | {"realtime": "realtime" not in parameters}))

    return _patched(
        (SimulatedClient, "mget", broken),
        (StreamRun, "_raised_fence", lambda _self, _cursors: 0),
    )


@_rule("3-deleted")
def no_fence_for_a_cursor_that_was_deleted() -> AbstractContextManager[object]:
    """A genre or person cursor that is missing is taken for one that had ended cleanly."""
    beginning = Starts._beginning

    def broken(self: Any, held: dict[str, Any]) -> Any:
        known = {name: cursor for name, cursor in held.items() if cursor or name == FILM_WORK.name}
        return beginning(self, known)

    return _patched((Starts, "_beginning", broken))


@_rule("4")
def no_pass_over_undated_rows() -> AbstractContextManager[object]:
    """Rows whose ``modified`` is NULL or infinite are not looked at."""
    return _patched((_Reader, "undated", lambda _self, _feed: iter(())))


@_rule("5")
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
        source, cursors = self._parts.source, self._parts.cursors
        for stream in (GENRE, PERSON):
            cursor = cursors.load(stream.name)
            if cursor is None or stream.links is None:
                continue
            rows = source.last(stream.rows, source.below(stream.rows, source.now()))
            links = source.last(stream.links, source.below(stream.links, source.now()))
            cursors.texts[stream.name] = cursor.moved(
                rows=rows and RowPosition.at(rows), links=links and LinkPosition.at(links)
            ).to_json()

    return _patched((StreamRun, "__init__", begun), (StreamRun, "finish", broken))


@_rule("6")
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

    return _patched((init, "_check_source", remember), (SimulatedSource, "names", remembered))


@_rule("7")
def once_a_run_judged_by_an_earlier_moment() -> AbstractContextManager[object]:
    """A film that was read a while before the horizon is taken for read in this run."""
    read = StreamRun._is_read_since

    def broken(self: Any, version: int, film: str, stored: Any) -> bool:
        return read(self, version - 600_000_000, film, stored)

    return _patched((StreamRun, "_is_read_since", broken))


@_rule("7-cleared")
def once_a_run_judged_by_the_window_of_a_cleared_task() -> AbstractContextManager[object]:
    """A task of an older run takes a newer run's page for its own."""

    def broken(**fields: Any) -> FanOut:
        return FanOut(**(fields | {"since": 0}))

    return _patched((batches, "FanOut", broken))


@_rule("8")
def page_read_by_its_size_again_on_resume() -> AbstractContextManager[object]:
    """A page of genres is resumed with LIMIT: who takes a leaver's place is half loaded."""

    def broken(self: Any, feed: Any, cursor: Any) -> Any:
        upto = self._source.below(feed, self._horizon)
        while rows := self._source.changed(feed, cursor.rows, upto, self._page_size):
            after = cursor.fan_out.after_film if cursor.fan_out else None
            end = self._row_position(feed, rows[-1])
            page = FanOut(start=cursor.rows, end=end, after_film=after)
            rows = [row for row in rows if (row.id, row.xmin) not in self.remembered]
            for films in self._fan_out(rows, page.after_film):
                page = page.model_copy(update={"after_film": films[-1]})
                yield Batch(
                    films, cursor.moved(fan_out=page), compare=self._compare, once=self._since
                )
            cursor = cursor.moved(rows=page.end, fan_out=None)
            yield Batch([], cursor)
        return cursor

    return _patched((_Reader, "_settled_fan_out", broken))


@_rule("9")
def one_version_for_all() -> AbstractContextManager[object]:
    """An older reading overwrites a newer one."""

    def constant(film: str, version: int, source: bytes) -> Item:
        del version
        return Item(film, 1, source)

    return _patched((stream_run, "Item", constant))


@_rule("9-clock")
def versions_follow_a_clock_that_was_set_back() -> AbstractContextManager[object]:
    """Nothing raises the versions above those of the cursors."""
    item = stream_run.Item
    documents = SimulatedSource.documents
    seen = [0]

    def noted(self: SimulatedSource, films: Any) -> Any:
        seen[0], found = documents(self, films)
        return seen[0], found

    def by_the_clock(film: str, version: int, source: bytes) -> Item:
        del version
        return item(film, seen[0], source)

    return _patched(
        (init, "_first_version", lambda clock, _held, **_: clock),
        (stream_run, "Item", by_the_clock),
        (SimulatedSource, "documents", noted),
    )


@_rule("9-lease")
def cursors_without_a_bound_of_versions() -> AbstractContextManager[object]:
    """A cursor tells what was sent when it was saved, not what its task may have sent since."""
    save = StreamRun._save

    def broken(self: Any, cursor: Any) -> None:
        save(self, cursor)
        name, cursors = self._stream.name, self._parts.cursors
        saved = cursors.load(name)
        cursors.texts[name] = saved.moved(version=self._version).to_json()

    return _patched((StreamRun, "_save", broken))


@_rule("10")
def cursor_saved_before_the_load() -> AbstractContextManager[object]:
    """A page is remembered as done before its documents are sent."""
    load = StreamRun.load

    def broken(self: Any, batch: Batch) -> None:
        if batch.reached:
            self._save(batch.reached)
        load(self, batch)

    return _patched((StreamRun, "load", broken))


@_rule("11")
def dead_letters_are_dropped() -> AbstractContextManager[object]:
    """A refused document is forgotten."""
    return _patched((DeadLetters, "park", lambda _self, _letters, _now, _version: None))


@_rule("11-stop")
def one_bad_row_stops() -> AbstractContextManager[object]:
    """A refused document fails the task."""

    def broken(_self: object, letters: Any, _now: object, _version: int) -> None:
        if letters:
            raise ConfigurationError(f"a refused document: {letters[0].film}")

    return _patched((DeadLetters, "park", broken))


@_rule("11-late")
def letters_that_arrive_late_stay() -> AbstractContextManager[object]:
    """Nobody looks whether a letter's film was indexed later."""
    return _patched((Settlement, "_valid_letters", lambda self: self._letters.versions()))


@_rule("11-again")
def refused_texts_are_believed_without_a_fence() -> AbstractContextManager[object]:
    """A letter counts although a dead task's request may be about to make it void."""
    refused = Settlement.refused_before
    return _patched((Settlement, "refused_before", lambda self, films, _: refused(self, films, 0)))


@_rule("12")
def no_lock() -> AbstractContextManager[object]:
    """Two writers work side by side."""
    return _patched((lock, "take", lambda _session, _uuid, wait: wait))


@_rule("13")
def no_look_at_the_index_identity() -> AbstractContextManager[object]:
    """A cursor counts for whatever index the alias leads to."""
    return _patched(
        (Starts, "_void", lambda _self, cursor: None if cursor else "there is no cursor"),
        (sync, "check_window", lambda _window, _parts: None),
        (StreamRun, "_checked", lambda _self, cursor: cursor),
        (init, "_is_emptied", lambda _films, _source, _index: False),
        (Index, "uuid", lambda _self: "any"),
    )


@_rule("13-emptied")
def no_look_at_an_emptied_index() -> AbstractContextManager[object]:
    """An index whose documents were deleted is taken for loaded."""
    return _patched((init, "_is_emptied", lambda _films, _source, _index: False))
