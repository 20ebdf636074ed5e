"""Breaks of rules 9 to 13: versions, cursors, dead letters, who may write, and where to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from movies_etl.errors import ConfigurationError
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item
from movies_etl.postgres import lock
from movies_etl.sync import outgoing, prepare
from movies_etl.sync import run as sync_run
from movies_etl.sync.batches import Batch
from movies_etl.sync.settlement import Settlement
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.stream_run import StreamRun
from movies_etl.sync.target import Target
from movies_etl.sync.versions import Reservation, Versions

from tests.simulation.switches import Switches, always, patched

WRITING = Switches()


@WRITING.rule("9")
def one_version_for_all() -> AbstractContextManager[object]:
    """An older reading overwrites a newer one."""

    def constant(id: str, version: int, source: bytes) -> Item:  # noqa: A002 - as Item names it
        del version
        return Item(id, 1, source)

    return patched((outgoing, "Item", constant))


@WRITING.rule("9-clock")
def versions_follow_a_clock_that_was_set_back() -> AbstractContextManager[object]:
    """Nothing raises the versions above those of the cursors."""

    def first_version(clock: int, cursors: Any, *, is_fresh: bool) -> int:
        del cursors, is_fresh
        return clock

    def next_reading(self: Versions, clock: int) -> int:
        self.reading = clock
        return clock

    return patched(
        (prepare, "first_version", first_version), (Versions, "next_reading", next_reading)
    )


@WRITING.rule("9-reserved")
def cursors_without_a_bound_of_versions() -> AbstractContextManager[object]:
    """A cursor says what was sent when it was saved, not what its task may have sent since."""
    reserve = Versions.reserve

    def broken(self: Versions, clock: int) -> Reservation:
        return reserve(self, clock)._replace(version=self.reading)

    return patched((Versions, "reserve", broken))


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
    return patched((DeadLetters, "park", always(None)))


@WRITING.rule("11-stop")
def one_bad_row_stops() -> AbstractContextManager[object]:
    """A refused document fails the task."""

    def broken(self: object, letters: Any, now: str, version: int) -> None:
        del self, now, version
        if letters:
            raise ConfigurationError(f"a refused document: {letters[0].id}")

    return patched((DeadLetters, "park", broken))


@WRITING.rule("11-late")
def letters_that_arrive_late_stay() -> AbstractContextManager[object]:
    """Nobody looks whether a letter's film was indexed later."""

    def broken(resources: Any, versions: Versions, *, ahead: int) -> Settlement:
        return Settlement(resources, versions, resources.letters.versions(), ahead)

    return patched((Settlement, "opened", staticmethod(broken)))


@WRITING.rule("11-again")
def refused_texts_are_believed_after_an_unclean_end() -> AbstractContextManager[object]:
    """A letter counts although a dead task's request may be about to make it void."""
    refused = Settlement.refused_before

    def broken(self: Any, ids: Any, since: int) -> dict[str, bytes]:
        del since
        return refused(self, ids, 0)

    return patched((Settlement, "refused_before", broken))


@WRITING.rule("12")
def no_lock() -> AbstractContextManager[object]:
    """Two writers work side by side."""
    return patched((lock, "take", always(None)))


@WRITING.rule("13")
def no_look_at_the_index_identity() -> AbstractContextManager[object]:
    """A cursor counts for whatever index the alias leads to."""

    def void(self: object, stream: object, cursor: object) -> str | None:
        del self, stream
        return None if cursor else "there is no cursor"

    settings = Index.settings

    def anonymous(self: Any) -> dict[str, Any]:
        return settings(self) | {"index.uuid": "any"}

    return patched(
        (StartingPoints, "_void", void),
        (sync_run, "check_context", always(None)),
        (Target, "lost", always(None)),
        (Index, "uuid", always("any")),
        (Index, "settings", anonymous),
    )


@WRITING.rule("13-emptied")
def no_look_at_an_emptied_index() -> AbstractContextManager[object]:
    """An index whose documents were deleted is taken for loaded."""
    return patched((Target, "_emptied", always(None)))


@WRITING.rule("13-restored")
def no_look_at_the_index_history() -> AbstractContextManager[object]:
    """An index that was put back to an older state is taken for loaded."""
    return patched((Target, "_restored", always(None)))
