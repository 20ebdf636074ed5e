"""Breaks of rules 9 to 13: versions, cursors, dead letters, who may write, and where to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from movies_etl.errors import ConfigurationError
from movies_etl.es.bulk import Item
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres import lock
from movies_etl.sync import prepare as init
from movies_etl.sync import run as sync
from movies_etl.sync import stream_run
from movies_etl.sync.batches import Batch
from movies_etl.sync.settlement import Settlement
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.stream_run import StreamRun

from tests.simulation.source import SimulatedSource
from tests.simulation.switches import Switches, patched

WRITING = Switches()


@WRITING.rule("9")
def one_version_for_all() -> AbstractContextManager[object]:
    """An older reading overwrites a newer one."""

    def constant(film: str, version: int, source: bytes) -> Item:
        del version
        return Item(film, 1, source)

    return patched((stream_run, "Item", constant))


@WRITING.rule("9-clock")
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

    return patched(
        (init, "_first_version", lambda clock, _held, **_: clock),
        (stream_run, "Item", by_the_clock),
        (SimulatedSource, "documents", noted),
    )


@WRITING.rule("9-lease")
def cursors_without_a_bound_of_versions() -> AbstractContextManager[object]:
    """A cursor tells what was sent when it was saved, not what its task may have sent since."""
    save = StreamRun._save

    def broken(self: Any, cursor: Any) -> None:
        save(self, cursor)
        name, cursors = self._stream.name, self._resources.cursors
        saved = cursors.load(name)
        cursors.texts[name] = saved.moved(version=self._version).to_json()

    return patched((StreamRun, "_save", broken))


@WRITING.rule("10")
def cursor_saved_before_the_load() -> AbstractContextManager[object]:
    """A page is remembered as done before its documents are sent."""
    load = StreamRun.load

    def broken(self: Any, batch: Batch) -> None:
        if batch.reached:
            self._save(batch.reached)
        load(self, batch)

    return patched((StreamRun, "load", broken))


@WRITING.rule("11")
def dead_letters_are_dropped() -> AbstractContextManager[object]:
    """A refused document is forgotten."""
    return patched((DeadLetters, "park", lambda _self, _letters, _now, _version: None))


@WRITING.rule("11-stop")
def one_bad_row_stops() -> AbstractContextManager[object]:
    """A refused document fails the task."""

    def broken(_self: object, letters: Any, _now: object, _version: int) -> None:
        if letters:
            raise ConfigurationError(f"a refused document: {letters[0].film}")

    return patched((DeadLetters, "park", broken))


@WRITING.rule("11-late")
def letters_that_arrive_late_stay() -> AbstractContextManager[object]:
    """Nobody looks whether a letter's film was indexed later."""
    return patched((Settlement, "_valid_letters", lambda self: self._letters.versions()))


@WRITING.rule("11-again")
def refused_texts_are_believed_without_a_fence() -> AbstractContextManager[object]:
    """A letter counts although a dead task's request may be about to make it void."""
    refused = Settlement.refused_before
    return patched((Settlement, "refused_before", lambda self, films, _: refused(self, films, 0)))


@WRITING.rule("12")
def no_lock() -> AbstractContextManager[object]:
    """Two writers work side by side."""
    return patched((lock, "take", lambda _session, _uuid, wait: wait))


@WRITING.rule("13")
def no_look_at_the_index_identity() -> AbstractContextManager[object]:
    """A cursor counts for whatever index the alias leads to."""
    return patched(
        (
            StartingPoints,
            "_void",
            lambda _self, _stream, cursor: None if cursor else "there is no cursor",
        ),
        (sync, "check_context", lambda _context, _resources: None),
        (StreamRun, "_checked", lambda _self, cursor: cursor),
        (init, "_emptied", lambda _films, _source, _index: None),
        (Index, "uuid", lambda _self: "any"),
    )


@WRITING.rule("13-emptied")
def no_look_at_an_emptied_index() -> AbstractContextManager[object]:
    """An index whose documents were deleted is taken for loaded."""
    return patched((init, "_emptied", lambda _films, _source, _index: None))
