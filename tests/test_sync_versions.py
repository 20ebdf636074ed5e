"""An older reading never overwrites a newer one, whenever and from wherever it arrives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from movies_etl.definitions.definition import Stream
from movies_etl.definitions.movies import FILM_WORK, GENRE, MOVIES
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es.bulk import Sender
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.throttle import Throttle
from movies_etl.postgres.server import Server
from movies_etl.state.cursors import Cursor
from movies_etl.sync import stream_run
from movies_etl.sync import versions as protocol
from movies_etl.sync.versions import RESERVED_MICROSECONDS

from tests.support.protections import notices
from tests.support.site import Site, sent

HOUR = int(timedelta(hours=1).total_seconds() * 1e6)


def sender(site: Site) -> Sender:
    return Sender(live_index(site), 0, Throttle(5_000_000, 1))


class LateRequest:
    """A request that was on its way when its task died."""

    def __init__(self, site: Site) -> None:
        self.items: list[Item] = []
        self._site = site

    def run_and_die(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a run die with its first request on the way."""

        def send(items: Sequence[Item]) -> Outcome:
            self.items = list(items)
            raise IndexUnavailableError("killed")

        with monkeypatch.context() as dying:
            dying.setattr(stream_run, "Sender", lambda *_: send)
            with pytest.raises(IndexUnavailableError, match="killed"):
                self._site.run()
        assert self.items

    def arrive(self) -> Outcome:
        """Let the request arrive."""
        return sender(self._site)(self.items)


def live_index(site: Site) -> Index:
    (name,) = site.client.indices.get_alias(name="movies")
    return Index(site.client, MOVIES, name)


def cursor_of(site: Site, stream: str) -> Cursor:
    cursor = site.cursors.load(stream)
    assert cursor is not None
    return cursor


@notices("9")
def test_a_late_request_of_a_dead_task_loses(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    late = LateRequest(loaded)
    loaded.execute("UPDATE content.film_work SET title = 'Late', modified = now()")
    late.run_and_die(monkeypatch)
    loaded.execute("UPDATE content.film_work SET title = 'Newest', modified = now()")
    loaded.run()
    outcome = late.arrive()
    assert (len(outcome.conflicts), outcome.indexed) == (7, [])
    loaded.assert_equal()


@pytest.mark.parametrize("stream", [FILM_WORK, GENRE])
@notices("3")
def test_a_document_that_a_dead_task_may_still_change_is_not_believed(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, stream: Stream
) -> None:
    def rename(title: str, genre: str) -> None:
        if stream is FILM_WORK:
            loaded.execute("UPDATE content.film_work SET title = %s, modified = now()", title)
        loaded.execute("UPDATE content.genre SET name = %s, modified = now()", genre)

    rename("A", "A")
    loaded.run()
    versions = loaded.versions()
    rename("B", "B")
    late = LateRequest(loaded)
    late.run_and_die(monkeypatch)
    assert cursor_of(loaded, stream.name).open
    assert loaded.versions() == versions
    rename("A", "A")
    assert sent(loaded.run()) == len(late.items)  # the same text, sent again
    late.arrive()
    loaded.assert_equal()
    cursor = cursor_of(loaded, stream.name)
    assert not cursor.open
    assert cursor.trusted_from > max(item.version for item in late.items)
    versions = loaded.versions()
    assert sent(loaded.run()) == 0
    rename("A", "A")
    assert sent(loaded.run()) == 0  # written since, so trusted again
    assert loaded.versions() == versions


def test_a_reload_does_not_believe_what_a_dead_task_may_still_change(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = "UPDATE content.film_work SET title = %s"
    site.add_film("A", modified="2099-01-01 00:00:00+00")
    site.run()
    site.execute(rename, "B")
    late = LateRequest(site)
    late.run_and_die(monkeypatch)
    site.execute(rename, "A")
    site.run("all")
    late.arrive()
    site.assert_equal()


@notices("3-deleted")
def test_a_deleted_cursor_is_taken_for_one_that_was_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Above the horizon: what is below it is sent again anyway when there is no cursor.
    future = "2099-01-01 00:00:00+00"
    genre = site.add_genre("A", modified=future)
    site.label(site.add_film(), genre, created=future)
    site.run()
    rename = "UPDATE content.genre SET name = %s"
    site.execute(rename, "B")
    late = LateRequest(site)
    late.run_and_die(monkeypatch)
    site.execute(rename, "A")
    assert cursor_of(site, "genre").open
    del site.cursors.texts["genre"]
    site.run()
    late.arrive()
    site.assert_equal()
    versions = site.versions()
    assert sent(site.run()) == 0
    site.execute(rename, "A")
    assert sent(site.run()) == 0  # written since, so trusted
    assert site.versions() == versions


def test_a_clean_end_leaves_no_open_cursor(loaded: Site) -> None:
    opened = [cursor.open for stream, cursor in loaded.cursors.saves if stream == "film_work"]
    assert opened == [False, True, False]  # the start, before the first request, the end
    assert not any(cursor_of(loaded, stream).open for stream in ("film_work", "genre", "person"))
    loaded.cursors.saves.clear()
    loaded.run()
    assert not any(cursor.open for _, cursor in loaded.cursors.saves)


def write_as_another(site: Site, items: Sequence[Item], ahead: int) -> None:
    """Write the documents with a version that lies this far from the database's clock."""
    version = site.source().server.clock() + ahead
    sender(site)([item._replace(version=version) for item in items])


def test_a_conflict_with_something_newer_is_counted_and_is_no_error(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Beaten(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            write_as_another(loaded, items, ahead=0)
            return super().__call__(items)

    monkeypatch.setattr(stream_run, "Sender", Beaten)
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = now()")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.conflicts, counters.refused) == (0, 7, 0)
    loaded.assert_equal()
    assert loaded.run()["film_work"].read == 0


def test_a_conflict_with_something_from_the_future_is_an_error(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Beaten(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            write_as_another(loaded, items, ahead=HOUR)
            return super().__call__(items)

    monkeypatch.setattr(stream_run, "Sender", Beaten)
    before = cursor_of(loaded, "film_work")
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = now()")
    with pytest.raises(ConfigurationError) as caught:
        loaded.run()
    said = str(caught.value)
    assert " ahead of the database's clock. Most likely the clock" in said
    assert said.index("Set the clock right") < said.index("take alias movies away")
    after = cursor_of(loaded, "film_work")
    assert (after.rows, after.horizon) == (before.rows, before.horizon)


def test_a_second_installation_over_the_same_index_is_told_and_waited_for(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.reconnect()  # without the lock
    other = Site(loaded.dsn, loaded.connection, loaded.client)  # with cursors of its own
    try:
        other.run()
    finally:
        other.close()
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = now()")
    with pytest.raises(ConfigurationError) as caught:
        loaded.run()
    said = str(caught.value)
    assert "another installation of this program" in said
    assert "alias" not in said
    seconds = int(re.findall(r"Wait: runs go on by themselves after (\d+) s", said)[0])
    clock = Server.clock
    later = (seconds + 1) * 1_000_000
    monkeypatch.setattr(Server, "clock", lambda server: clock(server) + later)
    loaded.run()
    loaded.assert_equal()


def test_versions_go_on_from_a_cursor_that_is_ahead_of_the_clock(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = loaded.source().server.clock() + HOUR
    person = cursor_of(loaded, "person").moved(version=ahead)
    loaded.cursors.save("person", person)
    write_as_another(
        loaded,
        [Item(film, 0, b'{"id":"","checksum":0}') for film in loaded.versions()],
        ahead=HOUR - 1_000_000,
    )
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = now()")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.conflicts) == (7, 0)
    loaded.assert_equal()
    assert min(loaded.versions().values()) > ahead
    assert cursor_of(loaded, "film_work").version > ahead
    assert "clock is 3600." in caplog.text or "clock is 3599." in caplog.text


def set_back(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Set the database's clock back for as long as the patches last."""
    read = Server.clock
    monkeypatch.setattr(Server, "clock", lambda server: read(server) - seconds * 1_000_000)


@notices("9-reserved")
def test_a_clock_that_is_set_back_while_a_task_is_dead_leaves_no_older_document(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.configure(page_size=2, senders=1)
    loaded.execute("UPDATE content.film_work SET title = 'Sooner', modified = now()")
    late = LateRequest(loaded)
    late.run_and_die(monkeypatch)  # one request with several pages, each of a later version
    assert len({item.version for item in late.items}) == 4
    loaded.execute("UPDATE content.film_work SET title = 'Later', modified = now()")
    with monkeypatch.context() as patches:
        set_back(patches, 10)
        loaded.run()
    assert len(late.arrive().conflicts) == 7
    loaded.run()
    loaded.assert_equal()


def test_versions_do_not_run_away_from_the_clock_when_tasks_die_again_and_again(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for title in "ABCDE":
        loaded.execute("UPDATE content.film_work SET title = %s, modified = now()", title)
        LateRequest(loaded).run_and_die(monkeypatch)
        ahead = cursor_of(loaded, "film_work").version - loaded.source().server.clock()
        assert ahead <= RESERVED_MICROSECONDS + 100_000
    assert "the database's clock is" not in caplog.text.lower()
    loaded.run()
    loaded.assert_equal()


def test_a_cursor_bounds_every_version_before_it_is_sent(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watching(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            cursor = cursor_of(loaded, "film_work")
            assert cursor.open
            assert max(item.version for item in items) <= cursor.version
            return super().__call__(items)

    monkeypatch.setattr(stream_run, "Sender", Watching)
    monkeypatch.setattr(protocol, "RESERVED_MICROSECONDS", 0)
    monkeypatch.setattr(protocol, "MAX_READINGS_AHEAD", 0)
    loaded.configure(page_size=1, senders=1)
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = '2099-01-01'")
    loaded.cursors.saves.clear()
    assert loaded.run()["film_work"].indexed == 7
    saves = [cursor for stream, cursor in loaded.cursors.saves if stream == "film_work"]
    assert len(saves) == 7 + 1  # none of the pages moves the cursor
    assert saves[-1].version == max(loaded.versions().values())  # no longer a bound
    loaded.assert_equal()


def test_a_deleted_cursor_takes_no_bound_of_versions_with_it(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.execute("UPDATE content.film_work SET title = 'Sooner', modified = now()")
    late = LateRequest(loaded)
    late.run_and_die(monkeypatch)
    loaded.run()  # its versions are ahead of the clock
    assert min(loaded.versions().values()) > loaded.source().server.clock()
    loaded.execute("UPDATE content.film_work SET title = 'Later', modified = now()")
    loaded.cursors.texts.clear()
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.conflicts) == (7, 0)
    loaded.assert_equal()


@notices("9-clock")
def test_a_clock_that_steps_back_between_two_tasks_leaves_no_older_document(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found by the simulation: within the margin the conflict was taken for something newer, and
    # the genre, above the horizon, for fanned out.
    loaded.configure(horizon_margin=5)
    loaded.execute("UPDATE content.film_work SET title = 'Newest', modified = now()")
    context = loaded.open()
    loaded.sync(FILM_WORK, context)
    loaded.execute("UPDATE content.genre SET name = name || '!', modified = now()")
    set_back(monkeypatch, 3)
    loaded.sync(GENRE, context)
    loaded.assert_equal()
