"""``init`` beside a task that follows: it writes nothing, and takes the lock where it has to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError
from movies_etl.postgres import lock
from movies_etl.postgres.horizon import Known, Measured
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.notices import Notices
from movies_etl.state.run_context import RunContext
from movies_etl.sync import prepare
from movies_etl.sync.measuring import measure
from movies_etl.sync.prepare import State, prepare_beside
from movies_etl.sync.versions import MAX_READINGS_AHEAD, RESERVED_MICROSECONDS

from tests.support.indices import each_index
from tests.support.site import Site


def beside(site: Site) -> RunContext | None:
    state = State(site.cursors, site.horizons, site.reconciled, Notices(site.notices))
    return prepare_beside(site.source(), site.client, state, site.settings)


@pytest.fixture
def followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A loaded site of which a task follows."""
    site.fill(3)
    site.run()
    monkeypatch.setattr(lock, "is_followed", lambda *_: True)
    return site


def kept(site: Site) -> tuple[object, ...]:
    """Return everything that a run may write before its tasks."""
    return (
        dict(site.cursors.texts),
        site.horizons.load(),
        site.client.indices.get(index="*", expand_wildcards="all").body,
        site.client.indices.get_index_template().body,
    )


@each_index
def test_it_decides_what_it_decides_with_the_lock_and_writes_nothing(followed: Site) -> None:
    before, context = kept(followed), beside(followed)
    assert context is not None
    assert kept(followed) == before
    locked = followed.open()
    assert locked.m2m_start > context.m2m_start
    assert locked.horizon >= context.horizon
    times: dict[str, Any] = {"m2m_start": "", "horizon": "", "version": 0, "layout": None}
    assert context.model_copy(update=times) == locked.model_copy(update=times)


def test_its_version_lies_above_all_that_was_read_before_its_horizon(
    followed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def measured(source: Source, settings: Settings, known: Known) -> Measured:
        sent.append(_after_a_task_died(followed))
        return measure(source, settings, known)

    monkeypatch.setattr(prepare, "measure", measured)
    context = beside(followed)
    assert context
    # What is read is kept when it is sent.
    assert context.version > sent.pop() + MAX_READINGS_AHEAD


def test_what_was_read_ahead_of_the_clock_is_read_again_by_what_it_begins(loaded: Site) -> None:
    """Else it would count as read by this run, and the cursor would pass it for ever."""
    ahead = _after_a_task_died(loaded)
    loaded.change("After")
    loaded.run()
    assert min(loaded.versions().values()) > ahead
    loaded.execute("UPDATE content.genre SET name = name || ' after', modified = now()")
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(lock, "is_followed", lambda *_: True)
        context = beside(loaded)
    assert context
    for stream in loaded.definition.streams:
        loaded.sync(stream, context)
    loaded.assert_equal()


def _after_a_task_died(site: Site) -> int:
    """Leave cursors as a task does that dies; return the highest version that it may have sent."""
    ahead = site.source().server.clock() + RESERVED_MICROSECONDS
    for stream in site.definition.streams:
        _moved(site, stream.name, version=ahead, open=True)
    return ahead


def nobody_follows(_: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "is_followed", lambda *_: False)


def a_cursor_is_missing(site: Site, _: pytest.MonkeyPatch) -> None:
    del site.cursors.texts["genre"]


def a_cursor_is_of_another_index(site: Site, _: pytest.MonkeyPatch) -> None:
    _moved(site, "person", index="another")


def the_server_was_promoted(site: Site, _: pytest.MonkeyPatch) -> None:
    cursor = site.cursors.load("film_work")
    assert cursor
    timeline = (cursor.database.timeline or 1) + 1
    _moved(site, "film_work", database=cursor.database.model_copy(update={"timeline": timeline}))


def the_index_was_restored(site: Site, _: pytest.MonkeyPatch) -> None:
    _moved(site, "film_work", history="another")


def the_index_was_emptied(site: Site, _: pytest.MonkeyPatch) -> None:
    deletes = [{"delete": {"_index": "movies", "_id": id_}} for id_ in site.versions()]
    site.client.bulk(operations=deletes, refresh=True)


def the_clock_was_set_back(site: Site, _: pytest.MonkeyPatch) -> None:
    known = site.horizons.load()
    site.horizons.save(f"2999{str(known.horizon)[4:]}", known.epochs)


def the_dead_letters_are_gone(site: Site, _: pytest.MonkeyPatch) -> None:
    site.client.indices.delete(index=MOVIES.dead_letters)


def the_template_is_gone(site: Site, _: pytest.MonkeyPatch) -> None:
    site.client.indices.delete_index_template(name="movies")


def the_alias_is_gone(site: Site, _: pytest.MonkeyPatch) -> None:
    site.client.indices.delete_alias(index="*", name="movies")


def _moved(site: Site, stream: str, **changes: object) -> None:
    cursor = site.cursors.load(stream)
    assert cursor
    site.cursors.save(stream, cursor.moved(**changes))


@pytest.mark.parametrize(
    "happened",
    [
        nobody_follows,
        a_cursor_is_missing,
        a_cursor_is_of_another_index,
        the_server_was_promoted,
        the_index_was_restored,
        the_index_was_emptied,
        the_clock_was_set_back,
        the_dead_letters_are_gone,
        the_template_is_gone,
        the_alias_is_gone,
    ],
    ids=lambda happened: happened.__name__,
)
def test_it_leaves_to_the_lock_what_is_to_be_written(
    followed: Site,
    monkeypatch: pytest.MonkeyPatch,
    happened: Callable[[Site, pytest.MonkeyPatch], None],
) -> None:
    happened(followed, monkeypatch)
    before = kept(followed)
    assert beside(followed) is None
    assert kept(followed) == before


def test_a_cursor_in_the_future_is_refused_without_the_lock_too(followed: Site) -> None:
    text = followed.cursors.texts["film_work"]
    cursor = followed.cursors.load("film_work")
    assert cursor
    assert cursor.rows
    followed.cursors.texts["film_work"] = text.replace(cursor.rows.stamp[:4], "2999")
    with pytest.raises(ConfigurationError, match=r"stands at 2999-.*, in the future"):
        beside(followed)
