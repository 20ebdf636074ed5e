"""Indexes beside the live one while a run goes on: fed batch by batch, and never waited for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import IndexUnavailableError
from movies_etl.follow import others
from movies_etl.follow.others import Feeding, Others
from movies_etl.state.run_context import RunContext
from movies_etl.sync.batches import Batch
from movies_etl.sync.run import in_steps
from movies_etl.sync.stream_run import StreamRun

from local.processes import wait_until
from tests.support.following import PATIENCE, expect, following
from tests.support.rebuild import Rebuild, behind, documents
from tests.support.site import Site


@pytest.fixture
def loaded(site: Site) -> Site:
    """A site with some films, loaded."""
    site.fill(20)
    site.run()
    return site


@pytest.fixture
def kept(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """An index that was live before, and is fed at once."""
    monkeypatch.setattr(others, "OTHERS_SECONDS", 0)
    before = behind(loaded)
    Rebuild(loaded).run()
    loaded.reconnect()
    return before


def test_what_changes_while_a_kept_index_is_fed_is_loaded_between_two_batches(
    loaded: Site, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = loaded.add_film("Before", modified="now")
    load = StreamRun.load
    done: list[tuple[bool, list[str]]] = []

    def watched(self: StreamRun, batch: Batch) -> None:
        load(self, batch)
        is_beside = self._resources.context.beside
        if batch.ids:
            done.append((is_beside, batch.ids))
        if is_beside and batch.ids and changes:
            loaded.change(changes.pop(), f"id = '{film}'")

    changes: list[str] = []
    with following(loaded, page_size=2):
        wait_until(
            lambda: film in documents(loaded, kept), seconds=PATIENCE, what="the film beside"
        )
        monkeypatch.setattr(StreamRun, "load", watched)
        changes.append("After")
        loaded.execute("UPDATE content.genre SET name = name || '?', modified = now()")
        expect(loaded, "After", of=film)
        wait_until(
            lambda: documents(loaded, kept) == documents(loaded, "movies"),
            seconds=PATIENCE,
            what="everything beside",
        )
    loaded.assert_equal()
    at = done.index((False, [film]))
    assert [ids for is_beside, ids in done[:at] if is_beside]
    assert len([ids for is_beside, ids in done[at:] if is_beside]) > 1


def test_a_feeding_that_is_cut_short_leaves_closed_cursors_and_is_gone_on_with(
    loaded: Site,
) -> None:
    loaded.change("Changed")
    loaded.configure(page_size=2)
    with loaded.beside() as resources:
        steps = in_steps(FILM_WORK, resources, loaded.settings)
        next(steps)
        steps.close()
        assert 0 < resources.counters.indexed < 20
        cursor = loaded.cursors.load("film_work")
        assert cursor
        assert not cursor.open
    counters = loaded.run()["film_work"]
    assert counters.indexed == 20 - resources.counters.indexed
    loaded.assert_equal()


class Fed:
    """A feeding of three batches that a test looks at."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, _: RunContext) -> Feeding:
        self.told.append("begun")
        try:
            for number in range(3):
                yield
                self.told.append(f"batch {number}")
                if "fail" in self.told:
                    raise IndexUnavailableError("red")
        finally:
            self.told.append("over")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(others, "time", clock)
    return clock


@pytest.fixture
def step(loaded: Site) -> Callable[[Others], None]:
    context = loaded.open()
    return lambda beside: beside.step(context)


def test_a_change_is_fed_after_a_while_a_batch_at_a_time(
    clock: SimpleNamespace, step: Callable[[Others], None]
) -> None:
    fed = Fed()
    beside = Others(fed.begin)
    clock.now += others.OTHERS_SECONDS
    step(beside)
    assert fed.told == []
    beside.changed()
    for _ in range(3):
        step(beside)
    assert fed.told == ["begun", "batch 0", "batch 1"]
    step(beside)
    assert fed.told[-2:] == ["batch 2", "over"]
    beside.changed()
    step(beside)
    assert fed.told[-1] == "over"
    clock.now += others.OTHERS_SECONDS
    step(beside)
    assert fed.told[-1] == "begun"


def test_a_feeding_ends_for_a_task_that_waits_and_is_begun_again_at_once(
    clock: SimpleNamespace, step: Callable[[Others], None]
) -> None:
    fed = Fed()
    beside = Others(fed.begin)
    beside.pause()
    beside.changed()
    clock.now += others.OTHERS_SECONDS
    step(beside)
    beside.pause()
    assert fed.told == ["begun", "over"]
    step(beside)
    assert fed.told == ["begun", "over", "begun"]


def test_an_index_that_cannot_be_fed_is_tried_again_later(
    clock: SimpleNamespace, step: Callable[[Others], None], caplog: pytest.LogCaptureFixture
) -> None:
    fed = Fed()
    beside = Others(fed.begin)
    beside.changed()
    clock.now += others.OTHERS_SECONDS
    step(beside)
    fed.told.append("fail")
    step(beside)
    assert "were not fed: red" in caplog.text
    step(beside)
    assert fed.told[-1] == "over"
    clock.now += others.OTHERS_SECONDS
    step(beside)
    assert fed.told[-1] == "begun"
