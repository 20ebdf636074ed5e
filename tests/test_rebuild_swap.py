"""The swap: a last look, one request, and what is kept of both indexes; it may die anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import elasticsearch
import psycopg
import pytest
from movies_etl.errors import ConfigurationError, IndexUnavailableError, WriterBusyError
from movies_etl.es import family
from movies_etl.es.index import Index
from movies_etl.postgres import lock
from movies_etl.rebuild import begin as rebuild_begin
from movies_etl.rebuild import swap as rebuild_swap
from movies_etl.rebuild.plan import Plan
from movies_etl.sync import exchange
from movies_etl.sync.target import Target

from tests.support.rebuild import Asked, Rebuild, behind, documents, run
from tests.support.site import MemoryCursors, MemoryReconcile, Site


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail early where somebody holds a lock."""
    monkeypatch.setattr(rebuild_swap, "LOCK_WAIT_SECONDS", 5)


class KilledError(Exception):
    """The task was killed."""


KEEPING = (
    (MemoryCursors, "save"),
    (MemoryCursors, "forget"),
    (MemoryReconcile, "save"),
    (MemoryReconcile, "forget"),
    (exchange, "note"),
    (family, "remove"),
)
"""What writes behind the request that moves the aliases."""


@contextmanager
def dying(site: Site, step: int) -> Iterator[list[str]]:
    """Let a task die behind that request, before it writes for the so many-th time.

    :returns: what it has written since then.
    """
    done: list[str] = []
    has_moved = False
    with pytest.MonkeyPatch.context() as patches:

        def watched(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
            def watching(*arguments: Any, **named: Any) -> Any:
                if has_moved and len(done) == step:
                    raise KilledError
                if has_moved:
                    done.append(name)
                return write(*arguments, **named)

            return watching

        def move(*arguments: Any, **named: Any) -> Any:
            nonlocal has_moved
            answer = update(*arguments, **named)
            has_moved = True
            return answer

        update = site.client.indices.update_aliases
        patches.setattr(site.client.indices, "update_aliases", move)
        for owner, name in KEEPING:
            patches.setattr(owner, name, watched(name, getattr(owner, name)))
        yield done


def swap_and_die(rebuild: Rebuild, plan: Plan, step: int = 0) -> bool:
    """Swap, and die behind the move of the aliases; say whether it did."""
    with dying(rebuild.site, step):
        try:
            rebuild.swap(plan)
        except KilledError:
            return True
    return False


def state_of(site: Site, name: str) -> str | None:
    build = family.build_of(Index(site.client, site.definition, name))
    return build.state if build else None


def assert_everything_followed(site: Site, plan: Plan) -> None:
    """Assert that what is kept of both indexes lies where it belongs, and both are fed."""
    new, old = plan.context, plan.replaces
    assert behind(site) == new.index
    assert state_of(site, new.index) == "live"
    root = site.cursors.load(site.definition.root.name)
    assert root is not None
    assert root.index == new.uuid
    assert {*site.cursors.indexes()} - {new.index} == {old}
    look, former = site.reconciled.load(), site.reconciled.beside(old).load()
    assert look is not None
    assert look.index == new.uuid
    assert look.verified_at
    assert former is not None
    assert former.index != new.uuid
    assert site.reconciled.beside(new.index).load() is None
    assert sum(run(site).values()) == 0  # nothing is loaded again
    site.change(f"Changed behind {new.index}")
    run(site)
    site.assert_equal()
    assert documents(site, old) == documents(site, new.index)


@pytest.mark.long
@pytest.mark.parametrize(
    ("by", "steps"), [("the next run", 1), ("the next attempt", 4), ("the next rebuild", 4)]
)
def test_a_swap_that_dies_at_any_moment_is_brought_to_its_end(
    loaded: Site, by: str, steps: int
) -> None:
    """Each swap of this test takes the index before back.

    All that brings it to its end does the same, so one tries each step and the others some.
    """
    loaded.reconcile()
    step, has_died = 0, True
    while has_died:
        rebuild = Rebuild(loaded, f"manual__{step}", Asked(rollback=step > 0))
        plan = rebuild.until_checked()
        has_died = swap_and_die(rebuild, plan, step)
        if by == "the next attempt":
            assert rebuild.swap(plan)["index"] == plan.context.index
            assert loaded.cursors.indexes() == [plan.replaces]
        elif by == "the next rebuild":
            Rebuild(loaded, "manual__refused", Asked(rollback=True)).begin()
        else:
            run(loaded)
        assert_everything_followed(loaded, plan)
        step += steps
    assert step > len({*KEEPING})


@pytest.mark.long
@pytest.mark.parametrize("step", [-3, -2, -1])
def test_a_swap_that_dies_where_old_indexes_are_removed_removes_them_when_tried_again(
    loaded: Site, step: int
) -> None:
    loaded.configure(keep_indices=0)
    with dying(loaded, 100) as done:
        Rebuild(loaded).run()
    assert done[-3:] == ["remove", "forget", "forget"]
    rebuild = Rebuild(loaded, "manual__2")
    plan = rebuild.until_checked()
    assert swap_and_die(rebuild, plan, len(done) + step)
    rebuild.swap(plan)
    run(loaded)
    assert not loaded.client.indices.exists(index=plan.replaces)
    assert loaded.cursors.indexes() == []
    assert loaded.reconciled.beside(plan.replaces).load() is None


def test_an_index_that_never_had_the_alias_is_not_taken_for_one_that_had_it(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()

    def lost(**_: object) -> None:
        raise elasticsearch.ConnectionError("the connection is gone")

    with monkeypatch.context() as patches:
        patches.setattr(loaded.client.indices, "update_aliases", lost)
        with pytest.raises(IndexUnavailableError):
            rebuild.swap(plan)
    assert state_of(loaded, plan.context.index) == "loaded"
    over = {"manual__1": "failed"}
    with pytest.raises(ConfigurationError, match="No index is kept"):
        Rebuild(loaded, "manual__2", Asked(rollback=True), over).begin()
    again = Rebuild(loaded, "manual__2", Asked(resume=True), over).begin()
    assert again.context.index == plan.context.index


def test_an_answer_that_is_lost_when_the_aliases_have_moved_is_not_needed(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the next attempt, nor where the request of the one before arrives late."""
    update = loaded.client.indices.update_aliases

    def late(**request: Any) -> object:
        update(**request)
        return update(**request)

    def lost(**request: Any) -> None:
        update(**request)
        raise elasticsearch.ConnectionTimeout("no answer")

    loaded.reconcile()
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    with monkeypatch.context() as patches:
        patches.setattr(loaded.client.indices, "update_aliases", late)
        rebuild.swap(plan)
    assert_everything_followed(loaded, plan)
    rebuild = Rebuild(loaded, "manual__2", Asked(rollback=True))
    plan = rebuild.until_checked()
    with monkeypatch.context() as patches:
        patches.setattr(loaded.client.indices, "update_aliases", lost)
        with pytest.raises(IndexUnavailableError):
            rebuild.swap(plan)
    rebuild.swap(plan)
    assert_everything_followed(loaded, plan)


def test_what_is_done_again_when_the_alias_has_moved_changes_nothing(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    assert swap_and_die(rebuild, plan)
    assert state_of(loaded, plan.context.index) == "loaded"
    with pytest.raises(ConfigurationError, match="had the alias already"):
        rebuild.loaded(plan, [])


def test_cursors_are_not_exchanged_by_a_rebuild_while_a_run_writes(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    assert swap_and_die(rebuild, plan)
    monkeypatch.setattr(rebuild_begin, "EXCHANGE_WAIT_SECONDS", 0)
    before = dict(loaded.cursors.texts)
    for busy in (plan.context.uuid, loaded.definition.alias):
        with psycopg.connect(loaded.dsn, autocommit=True) as session:
            session.execute("SELECT pg_advisory_lock(%s)", (lock.key_of(busy),))
            with pytest.raises(WriterBusyError):
                Rebuild(loaded, "manual__2").begin()
    assert loaded.cursors.texts == before
    Rebuild(loaded, "manual__2").begin()
    assert loaded.cursors.texts != before


def test_a_run_that_looked_before_the_alias_moved_leaves_the_cursors_where_they_belong(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Target.found
    loaded.reconnect()  # its session has the locks of its last run
    with loaded.another() as other:
        rebuild = Rebuild(other)
        plan = rebuild.until_checked()

        def found_just_before_the_swap(*arguments: Any) -> Target | None:
            target = found(*arguments)
            monkeypatch.setattr(Target, "found", found)
            rebuild.swap(plan)
            other.reconnect()
            return target

        monkeypatch.setattr(Target, "found", found_just_before_the_swap)
        context = loaded.open()
    assert context.index == plan.context.index
    root = loaded.cursors.load(loaded.definition.root.name)
    assert root is not None
    assert root.index == context.uuid
    assert loaded.cursors.indexes() == [plan.replaces]


# -- the last look --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "looks"),
    [
        ([2.0], 1),
        ([8.0, 3.0], 2),
        ([8.0, 7.0], 2),
        ([100.0, 60.0, 40.0, 4.0], 4),
        ([1000.0, 600.0, 400.0, 200.0, 100.0, 50.0], 5),
    ],
)
def test_looks_are_repeated_until_they_are_short_or_get_no_shorter(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], looks: int
) -> None:
    clock, left = 0.0, iter(seconds)

    def look() -> None:
        nonlocal clock
        clock += next(left)

    monkeypatch.setattr(rebuild_swap, "time", SimpleNamespace(monotonic=lambda: clock))
    assert rebuild_swap.looked_until_short(look) == seconds[looks - 1]
    assert [*left] == seconds[looks:]


def deleting_at_the_end(site: Site, patches: pytest.MonkeyPatch, *, is_short: bool) -> None:
    """Let a row and links go behind the last look before the locks, whatever that takes."""

    def deleting(look: Callable[[], None]) -> float:
        look()
        gone, *_ = sorted(site.expected())
        site.execute(f"DELETE FROM content.{site.table} WHERE id = %s", gone)
        site.execute("DELETE FROM content.person_film_work")
        return 0.0 if is_short else rebuild_swap.LONGEST_LOOK_SECONDS

    patches.setattr(rebuild_swap, "looked_until_short", deleting)


def test_the_last_look_is_under_the_locks(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    deleting_at_the_end(loaded, monkeypatch, is_short=True)
    rebuild.swap(plan)
    loaded.assert_equal()


def test_a_look_that_would_hold_up_the_sync_is_left_to_the_reconcile(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    deleting_at_the_end(loaded, monkeypatch, is_short=False)
    rebuild.swap(plan)
    assert "found by the next run of movies_reconcile" in caplog.text
    assert len(loaded.documents()) == len(loaded.expected()) + 1
    loaded.reconcile("presence", "touched")
    loaded.assert_equal()
