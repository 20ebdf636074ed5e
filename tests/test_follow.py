"""A run that goes on: what is committed is found without another run, and others get their turn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import RefusedDocumentsError, WriterBusyError
from movies_etl.es.bulk import Sender
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item, Outcome
from movies_etl.follow import hints, others
from movies_etl.follow import run as runs
from movies_etl.follow import spell as spells
from movies_etl.follow.cursors import CursorChangedError, HeldCursors
from movies_etl.follow.gone import Gone
from movies_etl.follow.hints import Hints
from movies_etl.follow.spell import Spell
from movies_etl.postgres import horizon, lock
from movies_etl.postgres.horizon import Measured, measure
from movies_etl.postgres.server import Server
from movies_etl.reconcile import each_run, repair
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.each_run import Search, checked, searched
from movies_etl.reconcile.presence import presence
from movies_etl.state.comparison import TableStatistics
from movies_etl.state.cursors import Cursor
from movies_etl.steps import Steps
from movies_etl.sync.batches import Batch
from movies_etl.sync.resources import Resources
from movies_etl.sync.stream_run import StreamRun

from local.processes import wait_until
from tests.support.following import PATIENCE, expect, following
from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.rebuild import Rebuild, behind, documents
from tests.support.site import MemoryCursors, Site
from tests.support.storm import storm


def settled(site: Site) -> None:
    """Wait until the follower has nothing left to do but to look."""

    def is_quiet() -> bool:
        before = site.queries["clock.sql"]
        time.sleep(1.0)  # longer than what is read once more takes to pass the horizon
        return site.queries["clock.sql"] == before

    wait_until(is_quiet, seconds=PATIENCE, what="a follower that only looks")


def confirmed(site: Site) -> str | None:
    """Return the last film that the kept cursor has passed."""
    cursor = site.cursors.load("film_work")
    return cursor.rows.id if cursor and cursor.rows else None


@pytest.fixture
def loaded(site: Site) -> Site:
    """A site with some films, loaded."""
    site.fill(60)
    site.run()
    return site


@each_index
def test_a_change_is_found_without_another_run(site: Site) -> None:
    site.add_small_catalogue()
    root = site.add_root("Before")
    site.run()
    with following(site):
        site.change("After", "text = 'Before'")
        expect(site, "After", of=root)
        later = site.add_root("New", modified="now")
        expect(site, "New", of=later)
    site.assert_equal()


def test_what_was_loaded_above_the_horizon_is_not_built_again_when_that_has_passed_it(
    loaded: Site,
) -> None:
    with following(loaded, horizon_margin=0.5):
        settled(loaded)
        before = Counter(loaded.queries)
        film = loaded.add_root("New", modified="now")
        expect(loaded, "New", of=film)
        settled(loaded)
        asked = loaded.queries - before
        assert asked["movies/documents.sql"] == 1


def test_films_of_what_is_linked_to_them_follow(loaded: Site) -> None:
    with following(loaded):
        loaded.execute("UPDATE content.person SET full_name = full_name || '!', modified = now()")
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        wait_until(
            lambda: loaded.documents() == loaded.expected(), seconds=PATIENCE, what="the names"
        )


def test_while_nothing_changes_only_the_snapshot_is_looked_at(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []

    def snapshot(_: Server) -> str:
        looks.append(None)
        return "the server's own processes commit nothing"

    # Rows are counted once more after the last change, some time later.
    monkeypatch.setattr(Hints, "_of_numbers", lambda *_: None)
    with following(loaded):
        monkeypatch.setattr(Server, "snapshot", snapshot)
        settled(loaded)
        before, first = loaded.queries.copy(), len(looks)
        wait_until(lambda: len(looks) > first + 20, seconds=PATIENCE, what="looks")
        asked = loaded.queries - before
    assert asked.keys() <= {"awaited.sql", "trace/statistics.sql"}
    assert asked["awaited.sql"] < 20


def test_on_a_server_that_commits_other_things_no_stream_is_read(loaded: Site) -> None:
    loaded.execute("UPDATE content.genre_film_work SET created = NULL")
    loaded.run()
    loaded.reconnect()
    with following(loaded):
        settled(loaded)
        before = loaded.queries.copy()
        loaded.execute("SELECT txid_current()")
        wait_until(
            lambda: loaded.queries["feed/above.sql person"] > before["feed/above.sql person"],
            seconds=PATIENCE,
            what="a cycle",
        )
        settled(loaded)
        asked = loaded.queries - before
        assert not [query for query in asked if query.startswith(("feed/page", "feed/undated"))]
        assert asked["feed/above.sql film_work"]
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        wait_until(lambda: loaded.documents() == loaded.expected(), seconds=PATIENCE, what="names")


def test_a_row_that_loses_its_time_is_news(loaded: Site) -> None:
    film = loaded.add_film("Before", modified="now")
    with following(loaded):
        expect(loaded, "Before", of=film)
        settled(loaded)
        loaded.execute(
            "UPDATE content.film_work SET title = 'After', modified = NULL WHERE id = %s", film
        )
        expect(loaded, "After", of=film)


def test_what_is_committed_while_a_cycle_reads_is_found_by_the_next(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = loaded.add_film("Before", modified="now")
    cycle = Spell._cycle
    late: list[str] = []

    def and_a_commit_behind_it(self: Spell, *, settles: bool) -> None:
        cycle(self, settles=settles)
        if late:
            loaded.change(late.pop(), "text = 'Before'")

    monkeypatch.setattr(Spell, "_cycle", and_a_commit_behind_it)
    with following(loaded):
        expect(loaded, "Before", of=film)
        settled(loaded)
        late.append("After")
        loaded.execute("SELECT txid_current()")  # a transaction that leads to a cycle of no film
        expect(loaded, "After", of=film)


@notices("18", "18-rows")
def test_what_is_committed_behind_the_reading_is_found_by_the_next_look(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = StreamRun.pause
    late = ["After"]

    def and_a_commit(self: StreamRun) -> None:
        pause(self)
        if late:
            loaded.change(late.pop(), f"id = '{film}'")

    film = loaded.add_film("Before", modified="now")
    monkeypatch.setattr(StreamRun, "pause", and_a_commit)
    monkeypatch.setattr(spells, "LOOK_SECONDS", PATIENCE)  # what was read is not read once more
    with loaded.beside() as resources:
        cursors = HeldCursors(loaded.cursors, MOVIES.streams)
        spell = Spell(resources, loaded.settings, loaded.horizons, cursors)
        spell.look()
        assert loaded.documents()[film]["title"] == "Before"
        spell.look()
        assert loaded.documents()[film]["title"] == "After"


@pytest.mark.long
@pytest.mark.parametrize("end", ["COMMIT", "PREPARE TRANSACTION 'one'"])
def test_a_transaction_that_ends_late_is_seen_with_its_subtransactions(
    loaded: Site, end: str
) -> None:
    film = loaded.add_film("Before", modified="now")
    with following(loaded), psycopg.connect(loaded.dsn, autocommit=True) as writer:
        expect(loaded, "Before", of=film)
        writer.execute("BEGIN")
        writer.execute("SAVEPOINT one")
        writer.execute(
            "UPDATE content.film_work SET title = 'After', modified = now() WHERE id = %s", [film]
        )
        writer.execute("RELEASE one")
        settled(loaded)
        expect(loaded, "Before", of=film)
        writer.execute(end)
        if end != "COMMIT":
            settled(loaded)
            expect(loaded, "Before", of=film)
            writer.execute("COMMIT PREPARED 'one'")
        expect(loaded, "After", of=film)


def delete_when_found(site: Site, film: str) -> None:
    """Delete a film that is called "Soon gone", and wait until its document is gone."""
    expect(site, "Soon gone", of=film)
    site.execute("DELETE FROM content.film_work WHERE id = %s", film)
    wait_until(lambda: film not in site.documents(), seconds=PATIENCE, what="the deletion")


def test_a_deleted_film_leaves_the_index(loaded: Site) -> None:
    film = loaded.add_film("Soon gone", modified="now")
    with following(loaded):
        delete_when_found(loaded, film)
        again = loaded.add_film("Soon gone", id=film, modified="now")
        expect(loaded, "Soon gone", of=again)
    loaded.assert_equal()


@pytest.fixture
def hushed(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose statistics tell of no deletion."""
    same = {"film_work": TableStatistics(deleted=0, files="1", since="1")}
    for module in (hints, each_run):
        monkeypatch.setattr(module, "statistics", lambda *_: same)
    loaded.run_and_check()
    loaded.reconnect()
    return loaded


@pytest.mark.long
def test_a_deletion_is_told_by_the_statistics(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "difference_of", lambda *_: 0)
    loaded.run_and_check()
    loaded.reconnect()
    film = loaded.add_film("Soon gone", modified="now")
    with following(loaded):
        delete_when_found(loaded, film)
    loaded.assert_equal()


COUNTS = "root/uuid/counts.sql film_work"


def count_deletions(site: Site, patch: pytest.MonkeyPatch, late: int = 0) -> None:
    """Let the statistics tell of each row that goes from now on, and the counts of none.

    :param late: rows that went before, and that the statistics tell of, too.
    """
    rows = len(site.expected()) + late

    def counted(*_: object) -> dict[str, TableStatistics]:
        with psycopg.connect(site.dsn) as reader:
            ((number,),) = reader.execute("SELECT count(*) FROM content.film_work").fetchall()
        return {"film_work": TableStatistics(deleted=rows - number, files="1", since="1")}

    patch.setattr(hints, "difference_of", lambda *_: 0)
    for module in (hints, each_run):
        patch.setattr(module, "statistics", counted)


def wait_until_noted(site: Site, before: int) -> None:
    """Wait until the follower has noted how many rows each range of ids has."""
    wait_until(lambda: site.queries[COUNTS] > before, seconds=PATIENCE, what="the counts")


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Resources]:
    """The searches of everything for deleted rows."""
    found: list[Resources] = []

    def watched(resources: Resources) -> Steps[Search]:
        found.append(resources)
        return searched(resources)

    monkeypatch.setattr(runs, "searched", watched)
    return found


@pytest.mark.parametrize("by", ["number", "statistics"])
def test_a_few_deletions_are_found_without_a_search_of_everything(
    hushed: Site, monkeypatch: pytest.MonkeyPatch, searches: list[Resources], by: str
) -> None:
    monkeypatch.setattr(hints, "REST_TIMES", 0)
    films = [hushed.add_film("Soon gone", modified="now") for _ in range(3)]
    if by == "statistics":
        count_deletions(hushed, monkeypatch)
    with following(hushed):
        wait_until_noted(hushed, 0)
        for film in films:
            delete_when_found(hushed, film)
        again = hushed.add_film("Soon gone", id=films[0], modified="now")
        expect(hushed, "Soon gone", of=again)
    assert not searches
    hushed.assert_equal()


def test_the_next_task_does_not_search_for_what_was_found(
    hushed: Site, monkeypatch: pytest.MonkeyPatch, searches: list[Resources]
) -> None:
    films = [hushed.add_film("Soon gone", modified="now") for _ in range(2)]
    count_deletions(hushed, monkeypatch)
    for film in films:
        before = hushed.queries[COUNTS]
        with following(hushed, follow_seconds=5.0) as task:
            wait_until_noted(hushed, before)
            delete_when_found(hushed, film)
            task.result.result(timeout=PATIENCE)
    assert not searches
    hushed.assert_equal()
    last = hushed.difference.load()
    assert last
    assert last.found == len(films)

    def watched(resources: Resources) -> Candidates:
        searches.append(resources)
        return presence(resources)

    monkeypatch.setattr(each_run, "presence", watched)
    hushed.run_and_check()  # nor does an ordinary run search for them
    assert not searches


def test_what_goes_as_the_time_ends_is_found_and_statistics_may_tell_of_it_late(
    hushed: Site, monkeypatch: pytest.MonkeyPatch, searches: list[Resources]
) -> None:
    film = hushed.add_film("Soon gone", modified="now")
    monkeypatch.setattr(hints, "difference_of", lambda *_: 0)
    find = Gone.find

    def late(self: Gone) -> Steps[list[str]]:
        hushed.execute("DELETE FROM content.film_work WHERE id = %s", film)
        return find(self)

    monkeypatch.setattr(Gone, "find", late)
    with following(hushed, follow_seconds=3.0) as task:
        assert task.result.result(timeout=PATIENCE)["deleted"] == 1
    count_deletions(hushed, monkeypatch, late=1)
    with following(hushed, follow_seconds=3.0) as task:
        assert task.result.result(timeout=PATIENCE)["deleted"] == 0
    assert not searches
    hushed.assert_equal()


def test_what_a_person_decides_about_is_not_deleted_as_the_time_ends(
    hushed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some were refused before: no look at a range deletes them because another film came there."""
    listed = hushed.add_film("Listed", modified="now")
    hushed.run()
    hushed.reconnect()
    last = hushed.difference.load()
    assert last
    hushed.difference.save(last.model_copy(update={"surplus": 1}))
    monkeypatch.setattr(hints, "difference_of", lambda *_: 0)
    hushed.execute("DELETE FROM content.film_work WHERE id = %s", listed)
    with following(hushed, follow_seconds=5.0) as task:
        wait_until_noted(hushed, 0)
        expect(hushed, "New", of=hushed.add_film("New", modified="now"))
        assert task.result.result(timeout=PATIENCE)["deleted"] == 0
    assert listed in hushed.documents()


def search_until(may_end: Event, patch: pytest.MonkeyPatch) -> list[Resources]:
    """Let each deletion lead to a search of everything that goes on until it may end.

    :returns: the searches that began.
    """
    begun: list[Resources] = []

    def slow(resources: Resources) -> Steps[Search]:
        begun.append(resources)
        while not may_end.wait(0.01):
            yield None
        return (yield from searched(resources))

    patch.setattr(runs, "searched", slow)
    patch.setattr(hints, "FEW_DELETIONS", 0)
    return begun


def test_changes_are_loaded_while_everything_is_searched(
    hushed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search takes a second and more; of very many films, minutes."""
    film, gone = (hushed.add_film("Soon gone", modified="now") for _ in range(2))
    is_loaded = Event()
    search_until(is_loaded, monkeypatch)
    with following(hushed):
        expect(hushed, "Soon gone", of=gone)
        hushed.execute("DELETE FROM content.film_work WHERE id = %s", gone)
        settled(hushed)
        hushed.change("After", f"id = '{film}'")
        try:
            expect(hushed, "After", of=film)
        finally:
            is_loaded.set()
        wait_until(lambda: gone not in hushed.documents(), seconds=PATIENCE, what="the deletion")
    hushed.assert_equal()


def test_a_search_that_another_task_interrupts_goes_on_afterwards(
    hushed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a large index it takes longer than others wait, and would never come to its end."""
    gone = hushed.add_film("Soon gone", modified="now")
    may_end = Event()
    begun = search_until(may_end, monkeypatch)
    with following(hushed):
        expect(hushed, "Soon gone", of=gone)
        hushed.execute("DELETE FROM content.film_work WHERE id = %s", gone)
        wait_until(lambda: bool(begun), seconds=PATIENCE, what="a search")
        hushed.run()
        hushed.reconnect()
        may_end.set()
        wait_until(lambda: gone not in hushed.documents(), seconds=PATIENCE, what="the deletion")
        assert len(begun) == 1


def test_a_change_is_found_though_the_index_is_refreshed_for_nobody(
    hushed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hints, "_of_numbers", lambda *_: None)  # a count refreshes, too
    hushed.client.indices.put_settings(
        index=hushed.definition.alias, settings={"refresh_interval": -1}
    )
    film = hushed.add_film("Before", modified="now")
    with following(hushed):
        for title in ("Before", "After"):
            hushed.change(title, f"id = '{film}'")
            expect(hushed, title, of=film)


def test_a_change_is_loaded_during_the_refresh_of_the_one_before(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [loaded.add_film("Before", modified="now") for _ in range(2)]
    refresh, is_loaded, refreshing = Index.refresh, Event(), Event()

    def slow(self: Index) -> None:
        refreshing.set()
        is_loaded.wait(PATIENCE)
        refresh(self)

    def is_there(film: str) -> bool:
        answer = loaded.client.get(index=loaded.definition.alias, id=film)
        return bool(answer["_source"]["title"] == "After")

    with following(loaded):
        for film in films:
            expect(loaded, "Before", of=film)
        settled(loaded)
        monkeypatch.setattr(Hints, "_of_numbers", lambda *_: None)  # a count refreshes, too
        monkeypatch.setattr(Index, "refresh", slow)
        loaded.change("After", f"id = '{films[0]}'")
        assert refreshing.wait(PATIENCE)
        loaded.change("After", f"id = '{films[1]}'")
        try:
            wait_until(lambda: is_there(films[1]), seconds=20, what="the change")
        finally:
            is_loaded.set()
        expect(loaded, "After", of=films[1])
    loaded.assert_equal()


def test_others_get_their_turn_while_documents_are_deleted(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = lock.key_of(loaded.open().uuid)
    loaded.reconnect()
    free: list[bool] = []

    def watched(*arguments: Any, **how: Any) -> dict[str, int]:
        with psycopg.connect(loaded.dsn, autocommit=True) as other:
            ((is_free,),) = other.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchall()
            free.append(is_free)
        return checked(*arguments, **how)

    monkeypatch.setattr(runs, "checked", watched)
    monkeypatch.setattr(hints, "FEW_DELETIONS", 0)
    film = loaded.add_film("Soon gone", modified="now()")
    with following(loaded):
        delete_when_found(loaded, film)
    assert free
    assert all(free)


@pytest.mark.long
def test_a_deleted_film_leaves_the_index_though_another_task_was_writing(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_again, tries = repair._read_again, []

    def busy(*given: Any) -> None:
        tries.append(given)
        if len(tries) == 1:
            raise WriterBusyError("somebody writes")
        read_again(*given)

    monkeypatch.setattr(repair, "_read_again", busy)
    monkeypatch.setattr(hints, "FEW_DELETIONS", 0)  # found by a search of everything
    loaded.run_and_check()
    loaded.reconnect()
    film = loaded.add_film("Soon gone", modified="now")
    with following(loaded):
        delete_when_found(loaded, film)
    assert len(tries) > 1


def test_the_time_is_kept_and_the_cursors_are_closed(loaded: Site) -> None:
    with following(loaded, follow_seconds=1.0) as task:
        loaded.change("After")
        result = task.result.result(timeout=PATIENCE)
    assert result["indexed"] == 60
    assert result["cycles"] >= 1
    assert result["spells"] >= 1
    assert all(not Cursor.model_validate_json(text).open for text in loaded.cursors.texts.values())
    assert loaded.run()["film_work"].indexed == 0
    loaded.assert_equal()


def test_a_clock_that_is_set_back_ends_it_with_closed_cursors(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def behind(*arguments: Any) -> Measured:
        return measure(*arguments)._replace(now="2001-01-01T00:00:00.000000+00:00")

    with following(loaded) as task:
        settled(loaded)
        monkeypatch.setattr(horizon, "measure", behind)
        loaded.change("After")
        assert task.result.result(timeout=PATIENCE)["spells"] >= 1
    assert "clock was set back" in caplog.text
    assert all(not Cursor.model_validate_json(text).open for text in loaded.cursors.texts.values())
    monkeypatch.undo()
    loaded.run()
    loaded.assert_equal()


def test_runs_and_loads_of_everything_get_their_turn(loaded: Site) -> None:
    with following(loaded) as task:
        film = loaded.add_film("Before", modified="now")
        expect(loaded, "Before", of=film)
        loaded.run()
        assert loaded.run(reload="all")["film_work"].read >= 61
        loaded.reconnect()
        loaded.change("After", "text = 'Before'")
        expect(loaded, "After", of=film)
        assert not task.result.done()
    loaded.assert_equal()


def test_a_fan_out_stops_for_a_task_that_waits(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finishes the batch at hand, and goes on from there afterwards."""
    monkeypatch.setattr(spells, "LOOK_SECONDS", 0.0)
    key = lock.key_of(loaded.open().uuid)
    loaded.reconnect()
    load = StreamRun.load
    batches: list[Batch] = []

    def watched(self: StreamRun, batch: Batch) -> None:
        load(self, batch)
        if self._stream.name == "genre" and batch.ids:
            batches.append(batch)
            if len(batches) == 2:
                waiting.append(executor.submit(taken))
                wait_until(
                    lambda: loaded.source().server.is_awaited(key), seconds=PATIENCE, what="a task"
                )

    def taken() -> int:
        with psycopg.connect(loaded.dsn, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", [key])
            return len(batches)

    waiting: list[Future[int]] = []
    with ThreadPoolExecutor(1) as executor, following(loaded, page_size=1):
        settled(loaded)
        monkeypatch.setattr(StreamRun, "load", watched)
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        wait_until(lambda: loaded.documents() == loaded.expected(), seconds=PATIENCE, what="names")
    assert waiting[0].result() == 2
    assert len(batches) > 2


def test_what_was_above_the_horizon_is_confirmed_when_nothing_else_happens(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spells, "KEEP_SECONDS", 0.1)
    with following(loaded, horizon_margin=1.0):
        settled(loaded)
        film = loaded.add_film("New", modified="now")
        expect(loaded, "New", of=film)
        monkeypatch.setattr(Server, "snapshot", lambda _: "no other transaction ends")
        wait_until(lambda: confirmed(loaded) == film, seconds=PATIENCE, what="the cursor at it")


@pytest.mark.long
def test_of_two_changes_the_later_one_is_confirmed_too(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the horizon has passed the first one it has not yet passed the second one."""
    monkeypatch.setattr(spells, "KEEP_SECONDS", 0.1)
    with following(loaded, horizon_margin=1.0):
        settled(loaded)
        expect(loaded, "One", of=loaded.add_film("One", modified="now"))
        until = time.monotonic() + 0.8
        wait_until(lambda: time.monotonic() > until, seconds=PATIENCE, what="another moment")
        film = loaded.add_film("Two", modified="now")
        expect(loaded, "Two", of=film)
        monkeypatch.setattr(Server, "snapshot", lambda _: "no other transaction ends")
        wait_until(lambda: confirmed(loaded) == film, seconds=PATIENCE, what="the cursor at it")


def test_no_other_change_waits_for_the_rest_of_a_fan_out(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spells, "OTHERS_FIRST_SECONDS", 0.0)
    film = loaded.add_film("Before", modified="now")
    load = StreamRun.load
    done: list[tuple[str, list[str]]] = []

    def watched(self: StreamRun, batch: Batch) -> None:
        load(self, batch)
        done.append((self._stream.name, batch.ids))
        if self._stream.name == "genre" and batch.ids and not changed:
            changed.append(True)
            loaded.change("After", "text = 'Before'")
            loaded.execute("UPDATE content.person SET full_name = 'New', modified = now()")

    changed: list[bool] = []
    with following(loaded, page_size=5):
        expect(loaded, "Before", of=film)
        settled(loaded)
        monkeypatch.setattr(StreamRun, "load", watched)
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        wait_until(lambda: loaded.documents() == loaded.expected(), seconds=PATIENCE, what="all")
    genres = [at for at, (stream, ids) in enumerate(done) if stream == "genre" and ids]
    first_person = next(at for at, (stream, ids) in enumerate(done) if stream == "person" and ids)
    assert genres[0] < done.index(("film_work", [film])) < first_person < genres[-1]


def test_what_a_changed_root_waits_for_is_little(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spells, "PAGE_SIZE", 5)
    monkeypatch.setattr(spells, "BODY_BYTES", 2000)
    load, send = StreamRun.load, Sender.__call__
    pages: list[int] = []
    bodies: list[int] = []

    def loaded_page(self: StreamRun, batch: Batch) -> None:
        pages.append(len(batch.ids))
        load(self, batch)

    def sent(self: Sender, items: Sequence[Item]) -> Outcome:
        bodies.append(sum(item.size for item in items[:-1]))
        return send(self, items)

    monkeypatch.setattr(StreamRun, "load", loaded_page)
    monkeypatch.setattr(Sender, "__call__", sent)
    with following(loaded):
        settled(loaded)
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        wait_until(lambda: loaded.documents() == loaded.expected(), seconds=PATIENCE, what="all")
    assert max(pages) == 5
    assert len(bodies) > 5
    assert max(bodies) < 2000


def test_one_follows_one_stands_by_and_a_third_ends(loaded: Site) -> None:
    key = lock.key_of(f"follow {loaded.open().uuid}")
    film = loaded.add_film("Before", modified="now")
    with following(loaded) as first:
        expect(loaded, "Before", of=film)
        with following(loaded) as second:
            wait_until(
                lambda: loaded.source().server.is_awaited(key), seconds=PATIENCE, what="a stand-by"
            )
            with following(loaded) as third:
                assert third.result.result(timeout=PATIENCE)["spells"] == 0
            first.kill()
            loaded.change("After", "text = 'Before'")
            expect(loaded, "After", of=film)
            assert not second.result.done()


def test_many_refused_at_once_fail_the_task_though_a_film_was_accepted_before(
    loaded: Site,
) -> None:
    def spoil() -> None:
        with following(loaded) as task:
            film = loaded.add_film("Good", modified="now()")
            expect(loaded, "Good", of=film)
            settled(loaded)
            loaded.execute("UPDATE content.film_work SET rating = 'NaN', modified = now()")
            task.result.exception(timeout=PATIENCE)

    with pytest.raises(RefusedDocumentsError, match="none accepted"):
        spoil()
    assert loaded.letters() == {}


def test_a_kept_index_is_fed_while_a_run_follows(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "OTHERS_SECONDS", 0)
    before = behind(loaded)
    Rebuild(loaded).run()
    loaded.reconnect()
    with following(loaded):
        loaded.change("Changed while it follows", "text = 'Film 1'")

        def is_there() -> bool:
            found = documents(loaded, before).values()
            return "Changed while it follows" in {one["title"] for one in found}

        wait_until(is_there, seconds=PATIENCE, what="the kept index has it")


def test_a_rebuild_ends_who_follows_and_who_stands_by_without_an_error(loaded: Site) -> None:
    stand_by = lock.key_of(f"follow {loaded.open().uuid}")
    with following(loaded) as first:
        settled(loaded)
        with following(loaded) as second:
            wait_until(
                lambda: loaded.source().server.is_awaited(stand_by),
                seconds=PATIENCE,
                what="a stand-by",
            )
            Rebuild(loaded).run()
            assert first.result.result(timeout=PATIENCE)["spells"] >= 1
            assert second.result.result(timeout=PATIENCE)["spells"] == 0
    loaded.reconnect()
    loaded.change("After")
    loaded.run()
    loaded.assert_equal()


def test_what_a_killed_task_sent_is_sent_again_by_the_next(loaded: Site) -> None:
    film = loaded.add_film("Before", modified="now")
    with following(loaded) as task:
        settled(loaded)
        loaded.change("After", "text = 'Before'")
        expect(loaded, "After", of=film)
        task.kill()
    assert any(Cursor.model_validate_json(text).open for text in loaded.cursors.texts.values())
    assert loaded.run()["film_work"].indexed >= 1
    loaded.assert_equal()


@pytest.mark.long
def test_a_storm_leaves_nothing_stale(site: Site) -> None:
    site.fill(600)
    site.run()
    with following(site, follow_seconds=600):
        until = time.monotonic() + 4
        with storm(site) as commits:
            wait_until(lambda: time.monotonic() > until, seconds=PATIENCE, what="the storm")
        assert min(commits) > 0
        wait_until(lambda: site.documents() == site.expected(), seconds=PATIENCE, what="calm")


def test_a_load_of_everything_is_left_to_its_run(loaded: Site) -> None:
    """Its init has put the cursors back; the follower waits until its tasks have come."""
    with following(loaded) as task:
        film = loaded.add_film("Before", modified="now")
        expect(loaded, "Before", of=film)
        context = loaded.open("all")
        loaded.reconnect()
        waits = loaded.queries["unlock.sql"] + 2
        wait_until(
            lambda: loaded.queries["unlock.sql"] >= waits, seconds=PATIENCE, what="a second look"
        )
        root = loaded.cursors.load("film_work")
        assert root
        assert root.horizon is None
        for stream in MOVIES.streams:
            loaded.sync(stream, context)
        loaded.reconnect()
        loaded.change("After", "text = 'Before'")
        expect(loaded, "After", of=film)
        assert not task.result.done()


@notices("18-versions")
def test_a_cursor_is_written_before_higher_versions_are_sent_and_else_when_it_is_kept(
    loaded: Site,
) -> None:
    first, second, third = (stream.name for stream in MOVIES.streams)
    store = MemoryCursors(dict(loaded.cursors.texts))
    held = HeldCursors(store, MOVIES.streams)
    cursor = held.load(first)
    assert cursor
    held.save(first, cursor.moved(version=100, open=True))
    held.save(second, cursor.moved(version=100, open=True))
    held.save(third, cursor.moved(version=90, open=False))
    assert [stream for stream, _ in store.saves] == [first]
    held.save(second, cursor.moved(version=101, open=True))
    assert [stream for stream, _ in store.saves] == [first, second]
    held.keep()
    held.keep()
    assert [stream for stream, _ in store.saves] == [first, second, third]
    assert held.load(second) == store.load(second)
    del store.texts[first]
    held.save(first, cursor.moved(version=101, open=True))
    with pytest.raises(CursorChangedError):
        held.keep()
    with pytest.raises(CursorChangedError):
        held.save(first, cursor.moved(version=102, open=True))
    assert first not in store.texts


def test_a_cursor_that_a_person_removes_stays_removed_and_everything_is_loaded_again(
    loaded: Site,
) -> None:
    with following(loaded) as task:
        settled(loaded)
        del loaded.cursors.texts["film_work"]
        loaded.change("After")
        assert task.result.result(timeout=PATIENCE)["spells"] >= 1
    assert "film_work" not in loaded.cursors.texts
    assert loaded.run()["film_work"].read == 60
    loaded.assert_equal()
