"""A crash between any two steps repeats work and loses nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from movies_etl.definitions.movies import GENRE, MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import IndexUnavailableError, SourceUnavailableError
from movies_etl.es.bulk import Sender
from movies_etl.es.outcome import Item, Outcome
from movies_etl.state.cursors import Cursor
from movies_etl.sync import stream_run
from movies_etl.sync.outgoing import Outgoing
from movies_etl.sync.stream_run import StreamRun

from tests.support.indices import each_index, over
from tests.support.protections import notices
from tests.support.site import MemoryCursors, Site, sent
from tests.support.truthful import KilledError, TruthfulCursors

MOST_DOCUMENTS = 25
"""Beyond them nothing is added: a run's saves would grow as fast as the runs are counted."""


def die_at(call: int) -> Callable[[], bool]:
    """Return a function that says True at this call, counted from 1."""
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) == call


def change_everything(site: Site) -> None:
    site.execute("UPDATE content.genre SET name = name || '!', modified = now()")
    site.execute("UPDATE content.person SET full_name = full_name || '!', modified = now()")
    site.execute("UPDATE content.film_work SET rating = 1, modified = now() WHERE title > 'Film 3'")
    if len(site.expected()) > MOST_DOCUMENTS:
        return
    film = site.add_film("Fresh", modified="now()")
    site.label(film, site.add_genre("Fresh", modified="now()"), created="now()")
    site.cast(film, site.add_person("Fresh", modified="now()"), created="now()")


def empty(site: Site) -> None:
    """Take every document and cursor away, as before the first load."""
    (index,) = site.client.indices.get_alias(name=site.definition.alias)
    deletes = [{"delete": {"_index": index, "_id": one}} for one in site.versions()]
    if deletes:
        site.client.bulk(operations=deletes)
    site.cursors = MemoryCursors()


def crash_everywhere(site: Site, prepare: Callable[[], None]) -> int:
    """Kill a run before its first save, the next before its second; return how many it has.

    What a kill just after a save would leave is checked at every save.
    """
    for number in range(1, 100):
        prepare()
        site.cursors = TruthfulCursors(site, die_at(number))
        try:
            site.run()
        except KilledError:
            site.cursors = TruthfulCursors(site, die_at(0))
            site.run()
            site.assert_equal()
        else:
            site.cursors = TruthfulCursors(site, die_at(0))
            assert sent(site.run()) == 0
            return number - 1
    pytest.fail("the run saves its cursors without end")


@each_index
def test_a_first_load_that_is_killed_at_any_save_is_completed_by_the_next_run(
    small: Site,
) -> None:
    small.configure(page_size=4, bulk_bytes=1000, senders=1)
    small.open()
    saves = crash_everywhere(small, lambda: empty(small))
    streams = len(small.definition.streams)
    assert saves >= 2 * streams + 1  # a start and an end for each, and the root's cursor opened


@pytest.mark.long
@each_index
@notices("10")
def test_a_run_that_is_killed_at_any_save_is_completed_by_the_next_run(
    loaded: Site,
) -> None:
    loaded.configure(page_size=5, bulk_bytes=3000, senders=1)
    saves = crash_everywhere(loaded, lambda: change_everything(loaded))
    assert saves >= 2 * len(loaded.definition.streams)  # each stream's cursor opened and closed


@pytest.mark.long
@pytest.mark.parametrize("arrives", [False, True])
@over(MOVIES, PERSONS)
def test_a_run_that_is_killed_at_any_request_is_completed_by_the_next_run(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    loaded.configure(page_size=5, bulk_bytes=1500, senders=1)
    film = loaded.add_film("Crowded", modified="now()")
    for number in range(12):
        loaded.cast(film, loaded.add_person(f"Person {number}", modified="now()"))
    number = 0
    died = True
    while died:
        number += 1
        died = False
        dies = die_at(number)

        class Dying(Sender):
            def __call__(self, items: Sequence[Item]) -> Outcome:
                nonlocal died
                died = died or dies()  # noqa: B023 - used before the next turn
                if arrives or not died:
                    outcome = super().__call__(items)
                if died:
                    raise KilledError
                return outcome

        change_everything(loaded)
        loaded.cursors = TruthfulCursors(loaded, die_at(0))
        with monkeypatch.context() as dying:
            dying.setattr(stream_run, "Sender", Dying)
            try:
                loaded.run()
            except KilledError:
                assert died
        loaded.run()
        loaded.assert_equal()
    assert number > 4


def test_a_page_that_stays_unsent_holds_the_cursor_though_a_later_one_is_indexed(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.configure(page_size=1, bulk_bytes=1000, senders=2)
    arrived = threading.Event()

    class SecondFirst(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            if b"Film 0" in items[0].source:
                assert arrived.wait(10)
                raise IndexUnavailableError("lost")
            outcome = super().__call__(items)
            arrived.set()
            return outcome

    loaded.execute(
        "UPDATE content.film_work SET description = repeat('x', 1000),"
        " modified = now() + right(title, 1)::int * interval '1 microsecond' WHERE title < 'Film 2'"
    )
    before = loaded.cursors.load("film_work")
    monkeypatch.setattr(stream_run, "Sender", SecondFirst)
    with pytest.raises(IndexUnavailableError, match="lost"):
        loaded.run()
    after = loaded.cursors.load("film_work")
    assert before is not None
    assert after is not None
    assert after.rows == before.rows
    monkeypatch.undo()
    loaded.run()
    loaded.assert_equal()


def test_the_pages_before_a_request_that_fails_are_not_loaded_again(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.configure(page_size=1, bulk_bytes=1000, senders=1)
    loaded.execute(
        "UPDATE content.film_work SET description = repeat('long', 300),"
        " modified = now() + right(title, 1)::int * interval '1 microsecond'"
    )
    fails = die_at(3)

    class ThirdFails(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            if fails():
                raise IndexUnavailableError("the third is lost")
            return super().__call__(items)

    with monkeypatch.context() as failing:
        failing.setattr(stream_run, "Sender", ThirdFails)
        # All is settled at the end: two pages in the very call in which the third fails.
        failing.setattr(StreamRun, "_save_settled", lambda _task: False)
        with pytest.raises(IndexUnavailableError, match="the third is lost"):
            loaded.run()
    assert loaded.run()["film_work"].read == 5
    loaded.assert_equal()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_session_that_is_lost_between_pieces_of_a_page_loses_nothing(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr("movies_etl.postgres.source.FETCHED_ROWS", 2)
    loaded.configure(page_size=20, bulk_bytes=1000, senders=1)
    films = loaded.execute("UPDATE content.film_work SET title = title || '!', modified = now()")
    assert films.rowcount > 2 * pieces
    queue = Outgoing.queue
    comes = die_at(pieces)

    def queue_and_lose(outgoing: Outgoing, *args: Any) -> None:
        queue(outgoing, *args)
        if comes():
            pid = loaded._reader.info.backend_pid
            loaded.execute("SELECT pg_terminate_backend(%s, 10000)", pid)

    with monkeypatch.context() as losing:
        losing.setattr(Outgoing, "queue", queue_and_lose)
        with pytest.raises(SourceUnavailableError):
            loaded.run()
    loaded.reconnect()
    loaded.run()
    loaded.assert_equal()
    assert sent(loaded.run()) == 0


class Linked(NamedTuple):
    """A row that leads to many documents, and how it is renamed.

    :param stream: of the row.
    :param row: its id.
    """

    stream: str
    row: str
    rename: str

    def renamed(self, site: Site, name: str) -> None:
        site.execute(self.rename, name)


def load_forty(site: Site) -> Linked:
    """Load forty documents that one row leads to: films of a genre, or persons of a film."""
    site.configure(page_size=5, bulk_bytes=1300, senders=1)
    if site.definition is MOVIES:
        rename = "UPDATE content.genre SET name = %s, modified = now()"
        linked = Linked("genre", site.add_genre("Drama"), rename)
        for number in range(40):
            site.label(site.add_film(f"Film {number}", description="x" * 60), linked.row)
    else:
        rename = "UPDATE content.film_work SET title = %s, modified = now()"
        linked = Linked("film_work", site.add_film("Drama"), rename)
        for number in range(40):
            site.cast(linked.row, site.add_person(f"Person {number} {'x' * 160}"))
    site.run()
    return linked


def rename_and_be_killed(site: Site, monkeypatch: pytest.MonkeyPatch, linked: Linked) -> str:
    """Rename the row; the run is killed after some bodies. Return the cursor's last document."""
    linked.renamed(site, "Noir")
    saved = threading.Event()
    last: list[Any] = []

    class Noticed(MemoryCursors):
        def save(self, stream: str, cursor: Cursor) -> None:
            super().save(stream, cursor)
            if stream == linked.stream and cursor.fan_out and len(last) >= 4:
                saved.set()

    class Dying(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            last.append(items)
            if len(last) == 6:
                assert saved.wait(10)
                raise KilledError
            return super().__call__(items)

    site.cursors = Noticed(site.cursors.texts)
    with monkeypatch.context() as dying:
        dying.setattr(stream_run, "Sender", Dying)
        with pytest.raises(KilledError):
            site.run()
    cursor = site.cursors.load(linked.stream)
    assert cursor is not None
    assert cursor.fan_out is not None
    assert cursor.fan_out.after_root is not None
    return cursor.fan_out.after_root


@over(MOVIES, PERSONS)
def test_a_fan_out_goes_on_where_the_killed_run_stopped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = load_forty(site)
    first = site.versions()
    after_root = rename_and_be_killed(site, monkeypatch, linked)
    second = site.versions()
    before = {one for one in first if second[one] > first[one]}
    assert len(before) >= 15

    counters = site.run()[linked.stream]
    site.assert_equal()
    third = site.versions()
    again = {one for one in before if third[one] > second[one]}
    assert len(again) <= 17  # a page, and three bodies of four that were not settled yet
    assert counters.read == 40 - sum(one <= after_root for one in first)
    done = json.loads(site.cursors.texts[linked.stream])
    assert done["fan_out"] is None
    assert done["rows"]["id"] == linked.row


class DyingCursors(MemoryCursors):
    """Cursors whose process ends just after a save.

    :param last: whether this save of the genre cursor is the last.
    """

    def __init__(self, site: Site, last: Callable[[Cursor], bool]) -> None:
        super().__init__(site.cursors.texts)
        self._last = last

    def save(self, stream: str, cursor: Cursor) -> None:
        super().save(stream, cursor)
        if stream == "genre" and self._last(cursor):
            raise KilledError


@notices("7-cleared")
def test_a_cleared_task_does_not_take_the_page_of_a_newer_run_for_its_own(site: Site) -> None:
    site.configure(page_size=2, bulk_bytes=1000, senders=1)
    genre = site.add_genre("Drama")
    for number in range(20):
        site.label(site.add_film(f"Film {number}"), genre)
    older = site.open()
    for stream in MOVIES.streams:
        site.sync(stream, older)
    site.execute("UPDATE content.genre SET name = 'Noir', modified = now()")
    newer = site.open()
    site.cursors = DyingCursors(site, lambda cursor: cursor.fan_out is not None)
    with pytest.raises(KilledError):
        site.sync(GENRE, newer)
    # The page is passed; the rows above the older run's horizon were not read yet.
    passed = DyingCursors(site, lambda cursor: cursor.fan_out is None and cursor.rows is not None)
    site.cursors = passed
    with pytest.raises(KilledError):
        site.sync(GENRE, older)
    site.cursors = MemoryCursors(passed.texts)
    site.run()
    site.assert_equal()


@over(MOVIES, PERSONS)
@notices("8")
def test_a_row_that_changes_again_while_its_fan_out_is_interrupted_starts_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = load_forty(site)
    rename_and_be_killed(site, monkeypatch, linked)
    linked.renamed(site, "Film noir")
    site.run()
    site.assert_equal()
    assert sent(site.run()) == 0
