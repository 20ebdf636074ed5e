"""Two tasks at once: the second is refused, and nothing that it would have done is done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import SourceUnavailableError, WriterBusyError
from movies_etl.postgres import lock
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.run_context import RunContext
from movies_etl.sync.starting_points import Reload, StartingPoints

from tests.support.indices import INDEXES
from tests.support.protections import notices
from tests.support.site import Site

NAME = "movies_etl film_work scheduled__1"


@pytest.fixture
def context(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """A run's, whose tasks do not wait for a lock."""
    take = lock.take
    monkeypatch.setattr(lock, "take", lambda session, uuid, wait: take(session, uuid, 0 * wait))
    context = loaded.open()
    loaded.reconnect()
    return context


@pytest.fixture
def running(loaded: Site, context: RunContext) -> Iterator[psycopg.Connection]:
    """The session of a task that is at work."""
    with psycopg.connect(loaded.dsn, autocommit=True, application_name=NAME) as session:
        source = Source.opened(session, loaded.definition, Settings())
        lock.take(source.server, context.uuid, wait=0)
        yield session


@pytest.mark.parametrize(
    ("definition", "task"),
    [
        (definition, task)
        for definition in INDEXES
        for task in ("init", *(stream.name for stream in definition.streams))
    ],
    ids=lambda value: getattr(value, "name", value),
)
@notices("12", raises=pytest.fail.Exception)
def test_whoever_comes_second_is_told_who_writes_and_changes_nothing(
    loaded: Site, context: RunContext, running: psycopg.Connection, task: str
) -> None:
    loaded.execute("UPDATE content.film_work SET title = 'New', modified = now()")
    loaded.execute("UPDATE content.person SET full_name = 'New', modified = now()")
    loaded.execute("UPDATE content.genre SET name = 'New', modified = now()")
    before = loaded.documents(), dict(loaded.cursors.texts), loaded.horizons.load()
    tasks = {one.name: partial(loaded.sync, one, context) for one in loaded.definition.streams}
    with pytest.raises(WriterBusyError) as refused:
        tasks.get(task, partial(loaded.open, "all"))()
    assert f"{NAME} (pid {running.info.backend_pid}, role postgres" in str(refused.value)
    assert "This attempt changed nothing" in str(refused.value)
    assert (loaded.documents(), loaded.cursors.texts, loaded.horizons.load()) == before


def test_a_task_that_is_cleared_goes_on_from_the_present_cursor(
    loaded: Site, context: RunContext
) -> None:
    loaded.add_film("New", modified="now()")
    loaded.run()
    present = loaded.cursors.load("film_work")
    assert loaded.sync(FILM_WORK, context).indexed == 0  # the older run's context
    after = loaded.cursors.load("film_work")
    assert present is not None
    assert after is not None
    assert after.rows == present.rows
    loaded.run()
    loaded.assert_equal()


@pytest.mark.parametrize("reload", ["all", "film_work", "genre"])
def test_an_init_that_has_lost_its_session_puts_no_cursor_back(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, reload: Reload
) -> None:
    def lose_session(_self: StartingPoints, _held: object) -> Cursor:
        loaded.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return beginning

    beginning = Cursor.from_json(loaded.cursors.texts["film_work"], where="test").moved(rows=None)
    before = dict(loaded.cursors.texts)
    monkeypatch.setattr(StartingPoints, "_beginning", lose_session)
    with pytest.raises(SourceUnavailableError):
        loaded.open(reload)
    assert loaded.cursors.texts == before
    loaded.reconnect()
