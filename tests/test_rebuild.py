"""A rebuild: another index is loaded, compared and given the alias; the one before goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.ranges import Range
from movies_etl.errors import ConfigurationError, IndexUnavailableError, WriterBusyError
from movies_etl.follow.run import Stores, follow
from movies_etl.postgres import lock
from movies_etl.rebuild import begin as rebuild_begin
from movies_etl.rebuild import beside as rebuild_beside
from movies_etl.rebuild import gate as rebuild_gate
from movies_etl.rebuild import load as rebuild_load
from movies_etl.rebuild import split as rebuild_split
from movies_etl.rebuild import swap as rebuild_swap
from movies_etl.reconcile import contents
from movies_etl.reconcile.completely import compare_completely
from movies_etl.reconcile.each_run import run_stream
from movies_etl.sync.stream_run import StreamRun

from tests.support.dag_run import no_others
from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.rebuild import Asked, Rebuild, behind, documents, run, searching
from tests.support.site import Site


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail early where somebody holds a lock."""
    monkeypatch.setattr(rebuild_swap, "LOCK_WAIT_SECONDS", 5)


@each_index
def test_a_rebuilt_index_takes_the_alias_and_the_sync_goes_on_with_it(loaded: Site) -> None:
    before = behind(loaded)
    result = Rebuild(loaded).run()
    assert result == {"index": behind(loaded), "before": before, "removed": []}
    assert result["index"] != before
    assert sum(run(loaded).values()) == 0  # nothing is loaded again
    loaded.change("Changed")
    assert run(loaded)[loaded.definition.root.name] == len(loaded.expected())
    loaded.assert_equal()


@pytest.mark.long
@each_index
def test_the_old_index_is_fed_and_takes_the_alias_back(loaded: Site) -> None:
    before = behind(loaded)
    new = Rebuild(loaded).run()["index"]
    run(loaded)
    loaded.add_root("Added")
    loaded.change("Changed", "text <> 'Added'")
    run(loaded)
    assert documents(loaded, before) == documents(loaded, new)
    gone, *_ = sorted(loaded.expected())
    loaded.execute(f"DELETE FROM content.{loaded.table} WHERE id = %s", gone)
    loaded.add_root("Added before the rollback")
    back = Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert (back["index"], behind(loaded)) == (before, before)
    loaded.assert_equal()
    assert sum(run(loaded).values()) <= 1  # the one that may be above the horizon
    loaded.change("After the rollback")
    run(loaded)
    loaded.assert_equal()
    kept = documents(loaded, new)
    assert documents(loaded, before) == {one: kept[one] for one in loaded.expected()}


def test_an_old_index_that_cannot_be_fed_fails_no_run(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Rebuild(loaded).run()

    def lost(*_: object) -> None:
        raise IndexUnavailableError("gone for a moment")

    for name in ("family", "in_steps"):
        loaded.change(f"Changed while {name} is lost")
        with monkeypatch.context() as patches:
            patches.setattr(rebuild_beside, name, lost)
            run(loaded)
        assert "gone for a moment" in caplog.text
        caplog.clear()
        loaded.assert_equal()
    run(loaded)


def test_a_rollback_without_a_run_between_finds_the_cursors(loaded: Site) -> None:
    before = behind(loaded)
    Rebuild(loaded).run()
    assert Rebuild(loaded, "manual__2", Asked(rollback=True)).run()["index"] == before
    assert sum(run(loaded).values()) == 0


def test_an_old_index_that_was_restored_is_not_fed_and_not_taken_back(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = behind(loaded)
    Rebuild(loaded).run()
    kept = loaded.cursors.beside(before)
    cursor = kept.load(loaded.definition.root.name)
    assert cursor is not None
    assert cursor.history
    kept.save(loaded.definition.root.name, cursor.moved(history="of another life"))
    run(loaded)
    assert f"{before} is not fed any more: it was restored" in caplog.text
    with pytest.raises(ConfigurationError, match="No index is kept"):
        Rebuild(loaded, "manual__2", Asked(rollback=True)).begin()


def test_there_is_nothing_to_go_back_to(loaded: Site) -> None:
    with pytest.raises(ConfigurationError, match=r"No index is kept .* without rollback"):
        Rebuild(loaded, asked=Asked(rollback=True)).begin()


@pytest.mark.long
@each_index
def test_what_changes_during_a_rebuild_is_in_it(loaded: Site) -> None:
    for number in range(3):
        loaded.add_root(f"Another {number}", modified="now()")
    run(loaded)
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    first, second, third, *_ = sorted(loaded.expected())
    delete = f"DELETE FROM content.{loaded.table} WHERE id = %s"
    loaded.add_root("Added while it is made")
    loaded.execute(delete, first)
    results = rebuild.load_all(plan)
    loaded.add_root("Added while it is loaded")
    loaded.execute(delete, second)
    loaded.change("Changed while it is loaded", "text LIKE 'A%%'")
    run(loaded)
    rebuild.loaded(plan, results)
    rebuild.check(plan)
    with loaded.resources(plan.context) as resources:
        found = compare_completely(resources)
    assert not [*found.missing, *found.different, *found.surplus]
    loaded.add_root("Added after the check")
    loaded.execute(delete, third)
    rebuild.swap(plan)
    loaded.assert_equal()
    run(loaded)
    loaded.assert_equal()


@notices("17")
def test_what_changes_in_a_range_that_is_loaded_comes_by_the_streams(loaded: Site) -> None:
    rebuild = Rebuild(loaded, asked=Asked(checks=0))  # no checksum is compared
    plan = rebuild.begin()
    results = rebuild.load_all(plan)
    loaded.execute("UPDATE content.film_work SET title = 'Late', modified = now() - interval '9 s'")
    rebuild.loaded(plan, results)
    rebuild.check(plan)
    rebuild.swap(plan)
    loaded.assert_equal()


@pytest.mark.parametrize("ids", ["uuid", "text"])
def test_ranges_are_loaded_side_by_side(
    small: Site, monkeypatch: pytest.MonkeyPatch, ids: str
) -> None:
    monkeypatch.setattr(rebuild_split, "SMALL_RANGE", 2)
    monkeypatch.setattr(rebuild_load, "PAGE_SIZE", 2)
    if ids == "text":
        small.use_text_ids()
        small.reconnect()
    small.run()
    rebuild = Rebuild(small)
    plan = rebuild.begin()
    parts = rebuild.split(plan)
    assert len(parts) == 3
    with ThreadPoolExecutor(3) as executor:
        results = [*executor.map(lambda part: rebuild.load(plan, part), parts)]
    assert sum(result["indexed"] for result in results) == 7
    rebuild.loaded(plan, results)
    found = rebuild.check(plan)
    assert (found["missing"], found["different"], found["surplus"]) == (0, 0, 0)
    rebuild.swap(plan)
    small.assert_equal()


@pytest.mark.long
def test_searches_find_everything_all_the_time(loaded: Site) -> None:
    with searching(loaded) as counts:
        Rebuild(loaded).run()
        run(loaded)
        after_swap = len(counts)
        Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
        run(loaded)
    assert set(counts) == {len(loaded.expected())}
    assert 0 < after_swap < len(counts)


def test_a_film_that_was_deleted_before_the_swap_leaves_with_the_first_run_after_it(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts agree, and the statistics say what the run before the swap has seen already."""
    run(loaded)
    gone, *_ = sorted(loaded.expected())
    swapped = rebuild_swap._while_nobody_writes

    def after_a_deletion(candidate: Any, *, looks_again: bool) -> None:  # noqa: ARG001
        loaded.execute(f"DELETE FROM content.{loaded.table} WHERE id = %s", gone)
        loaded.execute("SELECT pg_stat_force_next_flush()")
        run(loaded)
        assert gone not in loaded.documents()
        loaded.add_root("Behind the cursors", modified="1970-01-01")
        swapped(candidate, looks_again=False)  # as where a look takes long

    monkeypatch.setattr(rebuild_swap, "_while_nobody_writes", after_a_deletion)
    Rebuild(loaded).run()
    assert gone in loaded.documents()
    run(loaded)
    assert gone not in loaded.documents()


@pytest.mark.parametrize(
    ("checks", "ranges", "compared"), [(0, 3, {0}), (1, 3, {2, 3}), (60, 3, {4, 5}), (1, 1, {7})]
)
def test_a_share_is_a_share_of_all_however_large_its_ranges_are(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, checks: int, ranges: int, compared: set[int]
) -> None:
    monkeypatch.setattr(rebuild_gate, "COMPARED_TOGETHER", 2)
    monkeypatch.setattr(rebuild_gate, "MAX_RANGES", ranges)
    monkeypatch.setattr(contents, "READ_TOGETHER", 1)
    rebuild = Rebuild(loaded, asked=Asked(checks=checks))
    plan = rebuild.begin()
    rebuild.loaded(plan, rebuild.load_all(plan))
    assert rebuild.check(plan)["compared"] in compared


# -- deaths ---------------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def test_a_range_goes_on_from_the_page_where_its_task_died(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_load, "PAGE_SIZE", 2)
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    (part,) = rebuild.split(plan)
    load = StreamRun.load
    loads = []

    def dying(self: StreamRun, batch: Any) -> None:
        loads.append(batch.ids)
        if len(loads) == 3:
            raise KilledError
        load(self, batch)
        self._loader.ship()
        self._settled(everything=True)
        self._save(batch.reached)

    with monkeypatch.context() as patches:
        patches.setattr(StreamRun, "load", dying)
        with pytest.raises(KilledError):
            rebuild.load(plan, part)
    result = rebuild.load(plan, part)
    assert result["read"] == 3  # of 7, after two pages
    rebuild.loaded(plan, [result])
    rebuild.check(plan)
    rebuild.swap(plan)
    loaded.assert_equal()


def test_another_run_goes_on_with_a_half_made_index(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    (part,) = rebuild.split(plan)
    rebuild.load(plan, part)
    loaded.change("Changed since")
    again = Rebuild(
        loaded, "manual__2", Asked(resume=True, checks=0), states={"manual__1": "failed"}
    )
    resumed = again.begin()
    assert (resumed.context.index, resumed.resumes) == (plan.context.index, True)
    with pytest.raises(ConfigurationError, match="not being loaded by this run any more"):
        rebuild.load(plan, part)
    result = again.load(resumed, part)
    assert result["indexed"] == len(loaded.expected())
    again.loaded(resumed, [result])
    again.check(resumed)
    again.swap(resumed)
    loaded.assert_equal()


def test_documents_that_a_half_made_index_has_are_not_sent_again(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    (part,) = rebuild.split(plan)
    rebuild.load(plan, part)
    again = Rebuild(loaded, "manual__2", Asked(resume=True), states={"manual__1": "failed"})
    result = again.load(again.begin(), part)
    assert (result["indexed"], result["unchanged"]) == (0, len(loaded.expected()))


def test_a_run_that_began_before_the_swap_ends_without_an_error(loaded: Site) -> None:
    for asked in (Asked(), Asked(rollback=True)):
        context = loaded.open()
        loaded.reconnect()
        Rebuild(loaded, asked=asked).run()
        loaded.change("Changed")
        for stream in loaded.definition.streams:
            with loaded.resources(context) as resources:
                result = run_stream(stream, resources, loaded.settings, loaded.difference)
                assert result["read"] == 0
        run(loaded)
        loaded.assert_equal()


def test_a_task_that_is_to_follow_when_the_alias_has_moved_ends_without_an_error(
    loaded: Site,
) -> None:
    context = loaded.open()
    loaded.reconnect()
    Rebuild(loaded).run()
    loaded.configure(follow_seconds=60)
    with loaded.resources(context) as resources:
        stores = Stores(loaded.horizons, loaded.difference, no_others)
        assert follow(resources, loaded.settings, stores)["spells"] == 0


@pytest.mark.long
def test_what_is_done_again_after_the_swap_changes_nothing(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    rebuild.swap(plan)
    for again in (lambda: rebuild.loaded(plan, []), lambda: rebuild.check(plan)):
        with pytest.raises(ConfigurationError):
            again()
    with pytest.raises(ConfigurationError, match=r"not being loaded by this run .*\(live\)"):
        rebuild.load(plan, Range())
    assert Rebuild(loaded, "manual__2", Asked(rollback=True)).run()["before"] == plan.context.index
    assert Rebuild(loaded, "manual__3", Asked(rollback=True)).run()["index"] == plan.context.index


# -- orphans --------------------------------------------------------------------------------------


def test_two_rebuilds_at_once_are_refused(loaded: Site) -> None:
    plan = Rebuild(loaded).begin()
    second = Rebuild(loaded, "manual__2", states={"manual__1": "running"})
    with pytest.raises(ConfigurationError, match=f"manual__1 .* is making {plan.context.index}"):
        second.begin()
    unknown = Rebuild(loaded, "manual__2")
    with pytest.raises(ConfigurationError, match=r"does not know.*DELETE"):
        unknown.begin()
    assert loaded.client.indices.exists(index=plan.context.index)


def test_two_rebuilds_that_begin_at_the_same_time_make_one_index(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_begin, "LOCK_WAIT_SECONDS", 0)
    with psycopg.connect(loaded.dsn, autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(%s)", (lock.key_of("movies rebuild"),))
        with pytest.raises(WriterBusyError):
            Rebuild(loaded).begin()
    assert loaded.cursors.indexes() == []


def test_what_a_run_that_is_over_left_is_removed(loaded: Site) -> None:
    plan = Rebuild(loaded).begin()
    other = Rebuild(loaded, "manual__2", states={"manual__1": "failed"}).begin()
    found = loaded.client.indices.get(index="movies-2*").values()
    uuids = {one["settings"]["index"]["uuid"] for one in found}  # names are of a second
    assert other.context.uuid in uuids
    assert plan.context.uuid not in uuids
    assert loaded.cursors.indexes() == [other.context.index]


def test_a_first_task_that_is_tried_again_makes_no_second_index(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    assert rebuild.begin().context.index == rebuild.begin().context.index


def test_only_so_many_old_indexes_are_kept_as_the_setting_says(loaded: Site) -> None:
    first = behind(loaded)
    second = Rebuild(loaded).run()["index"]
    assert Rebuild(loaded, "manual__2").run()["removed"] == [first]
    assert not loaded.client.indices.get(index=f"{first}*")
    loaded.configure(keep_indices=0)
    third = behind(loaded)
    assert Rebuild(loaded, "manual__3").run()["removed"] == [second, third]
    assert loaded.cursors.indexes() == []
    assert sum(run(loaded).values()) == 0


def test_what_is_kept_of_an_index_that_somebody_deleted_is_forgotten(loaded: Site) -> None:
    before = behind(loaded)
    loaded.reconcile()
    Rebuild(loaded).run()
    assert loaded.reconciled.beside(before).load()
    loaded.client.indices.close(index=before)
    run(loaded)
    assert loaded.cursors.indexes() == [before]
    loaded.client.indices.delete(index=before)
    assert loaded.client.indices.exists(index=f"{before}-dead-letters")
    run(loaded)
    assert loaded.cursors.indexes() == []
    assert not loaded.reconciled.beside(before).load()
    assert not loaded.client.indices.exists(index=f"{before}-dead-letters")


def test_the_index_before_is_kept_and_taken_back_though_a_newer_one_was_rolled_back(
    loaded: Site,
) -> None:
    good = behind(loaded)
    bad = Rebuild(loaded).run()["index"]
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    assert Rebuild(loaded, "manual__3").run()["removed"] == [bad]
    assert Rebuild(loaded, "manual__4", Asked(rollback=True)).run()["index"] == good


def test_a_rollback_goes_to_the_index_before_and_not_to_a_newer_one(loaded: Site) -> None:
    loaded.configure(keep_indices=2)
    good = behind(loaded)
    Rebuild(loaded).run()
    Rebuild(loaded, "manual__2", Asked(rollback=True)).run()
    Rebuild(loaded, "manual__3").run()
    assert Rebuild(loaded, "manual__4", Asked(rollback=True)).run()["index"] == good
