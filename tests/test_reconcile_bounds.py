"""A task of the reconcile ends within a bound, however much there is, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from movies_etl.errors import ConfigurationError, WriterBusyError
from movies_etl.es.fuse_lists import FuseLists
from movies_etl.postgres.traces import Snapshot, StandingRows, Stood, Traces
from movies_etl.reconcile import fuses, named
from movies_etl.reconcile import task as reconcile_task
from movies_etl.reconcile.asked_for import ReconcileParams
from movies_etl.reconcile.compare import Comparer
from movies_etl.reconcile.links import Links, next_due, without_due
from movies_etl.reconcile.purge import next_list, refused
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.state.database import Database
from movies_etl.state.reconcile import ReconcileState, Standing
from movies_etl.sync import counts

from tests.support.indices import each_index
from tests.support.site import Site

AT_ONCE = 10
"""Ids of either side that are read together."""


@pytest.fixture
def filled(site: Site) -> Site:
    """A site of forty films after a run of both DAGs."""
    site.fill(40)
    site.run()
    site.reconcile()
    return site


@pytest.fixture
def impatient(filled: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The same, where each question has time for one step."""
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 0)
    monkeypatch.setattr("movies_etl.es.inventory.LISTED_PER_REQUEST", AT_ONCE)
    monkeypatch.setattr("movies_etl.postgres.inventory.READ_TOGETHER", AT_ONCE)
    return filled


def standing_at(site: Site) -> str | None:
    """Return the id from which the comparison of ids goes on."""
    state = site.reconciled.load()
    assert state
    return state.presence.first if state.presence else None


def presences(site: Site) -> Iterator[dict[str, Any]]:
    """Run the task until it has come to its end; yield each result."""
    places = [""]
    while True:
        yield site.reconcile("presence")["presence"]
        if (place := standing_at(site)) is None:
            return
        assert place >= places[-1]  # once more where somebody is asked
        places.append(place)
        assert len(places) < AT_ONCE


def delete(site: Site, films: list[str]) -> None:
    site.execute("DELETE FROM content.film_work WHERE id = ANY(%s::uuid[])", films)


# -- presence -------------------------------------------------------------------------------------


def test_ids_are_compared_in_several_runs_where_there_are_many(impatient: Site) -> None:
    films = sorted(impatient.documents())
    gone, lost = [films[0], films[17], films[-1]], [films[1], films[25]]
    delete(impatient, gone)
    for film in lost:
        impatient.client.delete(index="movies", id=film, refresh=True)
    results = [*presences(impatient)]
    assert len(results) >= 4
    assert all(one["looked_at"] <= AT_ONCE for one in results)
    assert sum(one["looked_at"] for one in results) == 38
    assert sum(one["deleted"] for one in results) == 3
    impatient.assert_equal()


def test_rows_are_compared_in_several_runs_where_the_index_has_nothing(impatient: Site) -> None:
    for film in impatient.documents():
        impatient.client.delete(index="movies", id=film)
    results = [*presences(impatient)]
    assert [one["missing"] for one in results] == [10, 10, 10, 10]
    impatient.assert_equal()


def test_ranges_that_agree_are_no_step(impatient: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movies_etl.reconcile.presence.FEW_DOCUMENTS", 2)
    monkeypatch.setattr("movies_etl.reconcile.presence.DOCUMENTS_PER_RANGE", 5)
    films = sorted(impatient.documents())
    for film in (films[3], films[22]):
        impatient.client.delete(index="movies", id=film, refresh=True)
    results = [*presences(impatient)]
    assert [one["missing"] for one in results if one["missing"]] == [1, 1]
    assert len(results) <= 3
    impatient.assert_equal()


def test_deletions_that_several_runs_find_are_counted_together(
    impatient: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 3)
    films = sorted(impatient.documents())
    delete(impatient, [film for number, film in enumerate(films) if number % AT_ONCE < 2])
    results = [*presences(impatient)]
    assert sum(one["deleted"] for one in results) == 2
    assert len(impatient.documents()) == 38
    assert next(one["asked"] for one in results if one["asked"]) == 2


def test_everything_is_compared_at_once_if_asked_for(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = sorted(filled.documents())
    filled.client.delete(index="movies", id=films[0], refresh=True)
    filled.client.delete(index="movies", id=films[-1], refresh=True)
    with monkeypatch.context() as hurry:
        hurry.setattr(reconcile_task, "PATIENT_SECONDS", 0)
        hurry.setattr("movies_etl.es.inventory.LISTED_PER_REQUEST", AT_ONCE)
        assert filled.reconcile("presence")["presence"]["missing"] == 1
        assert standing_at(filled)
        assert filled.reconcile("presence", full=True)["presence"]["missing"] == 1
    assert standing_at(filled) is None
    filled.assert_equal()


def test_of_very_many_new_rows_some_are_looked_at(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are loaded as missing ones; a transaction that is open for hours holds them."""
    monkeypatch.setattr(counts, "ARRIVED_PAGE_SIZE", 2)
    monkeypatch.setattr("movies_etl.reconcile.presence.MAX_ARRIVED", 4)
    context = filled.open()
    for number in range(9):
        filled.add_film(f"New {number}", modified="now()")
    with filled.resources(context) as resources:
        assert len(counts.arrived(resources)) == 9
        assert len(counts.arrived(resources, looks_at=4)) == 4
    assert filled.reconcile("presence")["presence"]["repaired"] >= 5


# -- turns ----------------------------------------------------------------------------------------


class PageClock:
    """A clock that goes on by a second with each page that is compared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pages: list[str] = []
        stand_in = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(reconcile_task, "time", stand_in)
        for name in ("compare", "judge_texts"):
            monkeypatch.setattr(Comparer, name, self._timed(name, getattr(Comparer, name)))

    def _timed(self, name: str, compare: Any) -> Any:
        def timed(*given: Any) -> None:
            compare(*given)
            _, page, *_ = given
            if page:
                self.pages.append(name)
                self.now += 1.0

        return timed


def test_a_question_that_never_ends_leaves_the_next_one_its_share_of_the_time(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are written all the time, more than a run compares."""
    monkeypatch.setattr("movies_etl.reconcile.compare.COMPARED_TOGETHER", 1)
    monkeypatch.setattr("movies_etl.es.inventory.WRITTEN_PER_REQUEST", 1)
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 10)
    filled.run(reload="all")
    filled.execute("UPDATE content.film_work SET title = title")
    filled.reconcile("presence")
    clock = PageClock(monkeypatch)
    filled.reconcile("touched")
    assert clock.pages == ["compare"] * 5 + ["judge_texts"] * 5


def test_what_a_question_leaves_of_its_time_is_for_the_next_ones(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.es.inventory.WRITTEN_PER_REQUEST", 1)
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 10)
    filled.run(reload="all")
    filled.reconcile("presence")
    clock = PageClock(monkeypatch)
    filled.reconcile("touched")
    assert clock.pages == ["judge_texts"] * 10


def test_a_question_has_its_share_though_one_before_took_more_than_all(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 10)
    clock = PageClock(monkeypatch)
    with filled.beside() as resources:
        task = ReconcileTask(resources, filled.settings, filled.reconciled, ReconcileParams())
        task.begin(questions=2)
        clock.now += 100
        assert not task.has_time()
        task.begin(questions=1)
        clock.now += 4.9
        assert task.has_time()
        clock.now += 0.2
        assert not task.has_time()


def test_parts_that_lost_links_have_their_turn_though_others_lose_some_all_the_time() -> None:
    """Each run compares two parts; in each look four of one table are due again."""
    few = Standing(ceiling=1, counts=(), due=(7, 8, 9))
    state = ReconcileState(
        index="i", database=Database(name="d"), standing={"first": few, "second": few}
    )
    done = []
    for _ in range(6):
        found = next_due(state, 2)
        assert found
        done.append(found)
        state = without_due(state, *found)
        again = state.standing["first"]
        due = tuple(dict.fromkeys([*again.due, 0, 1, 2, 3]))
        state.standing["first"] = again.model_copy(update={"due": due})
    assert ("second", (7, 8)) in done
    assert ("second", (9,)) in done
    assert ("first", (9, 0)) in done


def test_parts_that_are_due_wait_in_the_order_in_which_they_were_found(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = StandingRows(before=[4, 5, 5, 4], now=[4, 5, 5, 4])
    monkeypatch.setattr(Traces, "stood", lambda *_: Stood(rows=18, standing=18))
    monkeypatch.setattr(Traces, "standing", lambda *_: looked)
    last = Standing(ceiling=1, counts=(5, 5, 5, 5), due=(3, 2))
    with filled.beside() as resources:
        both = {"genre_film_work": last, "person_film_work": last}
        state = ReconcileState(index="i", database=Database(name="d"), standing=both)
        found = Links(resources).look(state, Snapshot(2, 2)).standing["genre_film_work"]
    assert found.due == (3, 2, 0)


# -- named ids ------------------------------------------------------------------------------------


def test_more_ids_than_one_run_compares_are_refused(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "MAX_NAMED", 3)
    films = sorted(filled.documents())
    assert filled.reconcile(ids=[*films[:3], films[0]])["presence"]["looked_at"] == 3
    with pytest.raises(ConfigurationError, match="names 4 films; one run compares 3"):
        filled.reconcile(ids=films[:4])


def test_named_documents_that_are_left_are_for_the_next_attempt(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later run knows their names."""
    monkeypatch.setattr("movies_etl.reconcile.repair.BATCH_SIZE", 1)
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 0)
    films = sorted(filled.documents())[:3]
    filled.execute(
        "UPDATE content.film_work SET title = 'Changed' WHERE id = ANY(%s::uuid[])", films
    )
    for left in (2, 1):
        with pytest.raises(WriterBusyError, match=f"{left} of the films that were named"):
            filled.reconcile(ids=films)
    assert filled.reconcile(ids=films)["presence"]["repaired"] == 1
    filled.assert_equal()


# -- refused lists --------------------------------------------------------------------------------


def refuse(site: Site) -> None:
    with site.beside() as resources:
        one = next_list(resources, site.settings, "a run")
        assert one
        refused(resources, one.digest, None)


def open_lists(site: Site) -> list[str]:
    """Return the kinds of the lists that are open."""
    with site.beside() as resources:
        found = FuseLists(site.client, site.definition).open(resources.context.uuid)
        return [one.kind for one, _ in found]


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 3)
    monkeypatch.setattr(fuses, "FEW_REWRITES", 3)
    monkeypatch.setattr("movies_etl.es.fuse_lists.IDS_PER_PIECE", 2)


@pytest.mark.usefixtures("few_are_many")
def test_a_long_list_of_rows_that_are_back_is_looked_through_in_several_runs(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = sorted(filled.documents())[:6]
    rows = filled.execute(
        "SELECT * FROM content.film_work WHERE id = ANY(%s::uuid[]) ORDER BY id", films
    ).fetchall()
    filled.drop_constraints("f")
    delete(filled, films)
    filled.run_and_check()
    refuse(filled)
    slots = ", ".join(["%s"] * len(rows[0]))
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 0)
    for row in rows[:-1]:
        filled.execute(f"INSERT INTO content.film_work VALUES ({slots})", *row)
    for _ in range(4):  # the last piece has one that is not back
        filled.reconcile("presence")
    assert open_lists(filled) == ["deletions"]
    filled.execute(f"INSERT INTO content.film_work VALUES ({slots})", *rows[-1])
    steps = 0
    while open_lists(filled):
        filled.reconcile("presence")
        steps += 1
    assert 2 <= steps <= 4
    state = filled.reconciled.load()
    assert state
    assert state.closing == {}


@pytest.mark.usefixtures("few_are_many")
def test_a_long_list_of_documents_that_are_right_is_looked_through_in_several_runs(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = sorted(filled.documents())[:6]
    filled.execute(
        "UPDATE content.film_work SET title = 'Untraced' WHERE id = ANY(%s::uuid[])", films
    )
    filled.reconcile("touched")
    filled.run()
    refuse(filled)
    filled.execute("UPDATE content.film_work SET modified = now()")
    filled.run()
    monkeypatch.setattr(reconcile_task, "PATIENT_SECONDS", 0)
    steps = 0
    state = filled.reconciled.load()
    assert state
    filled.reconciled.save(state.model_copy(update={"verified_at": None, "current": None}))
    while open_lists(filled):
        filled.reconcile("contents")
        steps += 1
    assert 3 <= steps <= 5


@each_index
def test_a_list_whose_documents_are_gone_as_well_is_closed(site: Site) -> None:
    site.add_small_catalogue()
    site.run_and_check()
    site.drop_constraints("f")
    site.execute(f"DELETE FROM content.{site.table}")
    site.run_and_check()
    refuse(site)
    assert open_lists(site) == ["deletions"]
    for key in site.documents():
        site.client.delete(index=site.definition.alias, id=key, refresh=True)
    site.reconcile("presence")
    assert open_lists(site) == []
