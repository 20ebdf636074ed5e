"""What leaves no trace in ``modified``: each kind is found by a run of the reconcile."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.completely import compare_completely
from movies_etl.reconcile.repair import Repaired, repair
from movies_etl.sync.counters import Counters

from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.site import Site

CHANGED = "UPDATE content.film_work SET title = 'Changed'"


@pytest.fixture
def known(loaded: Site) -> Site:
    """The small site after a run of the reconcile, which found nothing."""
    quiet(loaded.reconcile())
    return loaded


def quiet(results: dict[str, dict[str, Any]]) -> None:
    """Assert that nothing was found."""
    for name, result in results.items():
        found = {key: result[key] for key in ("missing", "different", "surplus", "repaired")}
        assert set(found.values()) == {0}, (name, result)


def repaired(results: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how many documents each task loaded or deleted."""
    return {name: one["repaired"] + one["deleted"] for name, one in results.items()}


@each_index
def test_nothing_is_found_where_nothing_is_wrong(known: Site) -> None:
    quiet(known.reconcile())
    quiet(known.reconcile(full=True))
    known.assert_equal()


# -- links ----------------------------------------------------------------------------------------


def test_a_deleted_link_is_found(known: Site) -> None:
    known.execute("DELETE FROM content.person_film_work WHERE role = 'director'")
    results = known.reconcile("presence")
    assert results["presence"]["repaired"] == 2
    known.assert_equal()
    quiet(known.reconcile())


def test_a_link_of_another_role_is_found(known: Site) -> None:
    known.execute("UPDATE content.person_film_work SET role = 'actor' WHERE role = 'director'")
    assert known.reconcile("presence")["presence"]["repaired"] == 2
    known.assert_equal()


def test_a_link_that_came_and_went_between_two_looks_is_found(known: Site) -> None:
    film, *_ = sorted(known.documents())
    person = known.add_person("Passing")
    known.cast(film, person, "actor", created="now()")
    known.run()
    assert "Passing" in known.documents()[film]["actors_names"]
    known.execute("DELETE FROM content.person_film_work WHERE person_id = %s", person)
    assert repaired(known.reconcile("presence", "touched")) == {"presence": 0, "touched": 1}
    known.assert_equal()
    quiet(known.reconcile())


def test_a_link_that_came_while_another_transaction_ran_and_went_is_found(known: Site) -> None:
    """It is not among those that stand at the look, as that transaction holds the ceiling."""
    film, *_ = sorted(known.documents())
    person = known.add_person("Passing")
    with psycopg.connect(known.dsn, autocommit=True) as other:
        other.execute("BEGIN")
        other.execute("SELECT txid_current()")
        known.cast(film, person, "actor", created="now()")
        known.run()
        quiet(known.reconcile("presence", "touched"))
        other.execute("COMMIT")
    known.execute("DELETE FROM content.person_film_work WHERE person_id = %s", person)
    known.reconcile("presence", "touched")
    known.assert_equal()
    for _ in range(2):
        quiet(known.reconcile())
    state = known.reconciled.load()
    assert state
    assert state.written
    assert state.written.waiting is None


@pytest.mark.parametrize("is_over", [False, True], ids=["goes on", "is over"])
def test_a_link_that_the_first_look_did_not_count_and_that_went_is_found(
    loaded: Site, is_over: bool
) -> None:
    """A transaction held the ceiling, and the document is older than the look."""
    film, *_ = sorted(loaded.documents())
    person = loaded.add_person("Passing")
    with psycopg.connect(loaded.dsn, autocommit=True) as other:
        other.execute("BEGIN")
        other.execute("SELECT txid_current()")
        loaded.cast(film, person, "actor", created="now()")
        loaded.run()
        quiet(loaded.reconcile())
        assert "Passing" in loaded.documents()[film]["actors_names"]
        if is_over:
            other.execute("COMMIT")
        loaded.execute("DELETE FROM content.person_film_work WHERE person_id = %s", person)
        loaded.reconcile("presence", "touched")
        loaded.assert_equal()
    for _ in range(2):
        quiet(loaded.reconcile())
    state = loaded.reconciled.load()
    assert state
    assert {one.young for one in state.standing.values()} == {()}


def test_a_link_table_that_was_truncated_is_found(known: Site) -> None:
    known.execute("TRUNCATE content.genre_film_work")
    assert known.reconcile("presence")["presence"]["repaired"] == 6
    known.assert_equal()


def test_links_of_a_person_who_was_deleted_without_them_are_found(known: Site) -> None:
    known.drop_constraints("f")
    known.execute("DELETE FROM content.person WHERE full_name = 'Ann'")
    known.execute("SELECT pg_stat_force_next_flush()")
    assert known.reconcile("presence")["presence"]["repaired"] == 6
    known.assert_equal()
    quiet(known.reconcile())


@notices("15-early")
def test_what_a_look_found_is_not_forgotten_before_it_is_done(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.execute("DELETE FROM content.person_film_work WHERE role = 'director'")

    class KilledError(Exception):
        pass

    def killed(_resources: object, _settings: object, found: Candidates, _pace: object) -> Repaired:
        if found.different:  # of the look at the links; the one at the films found nothing
            raise KilledError
        return Repaired(Counters())

    with monkeypatch.context() as dying:
        dying.setattr("movies_etl.reconcile.task.repair", killed)
        with pytest.raises(KilledError):
            known.reconcile("presence")
    assert known.reconcile("presence")["presence"]["repaired"] == 2
    known.assert_equal()


# -- rows -----------------------------------------------------------------------------------------


def test_a_refused_row_that_is_fixed_without_a_trace_is_found(known: Site) -> None:
    spoiled = "UPDATE content.film_work SET rating = 'NaN', modified = now() WHERE title = 'Film 1'"
    known.execute(spoiled)
    known.run()
    assert len(known.letters()) == 1
    quiet(known.reconcile())
    known.execute("UPDATE content.film_work SET rating = 5 WHERE title = 'Film 1'")
    assert repaired(known.reconcile("presence", "touched")) == {"presence": 0, "touched": 1}
    assert known.letters() == {}
    known.assert_equal()
    quiet(known.reconcile(full=True))


@pytest.mark.parametrize(
    "change",
    [
        CHANGED + " WHERE title = 'Film 1'",
        CHANGED + ", modified = NULL WHERE title = 'Film 1'",
        CHANGED + ", modified = '1999-01-01' WHERE title = 'Film 1'",
        "UPDATE content.person SET full_name = 'Changed' WHERE full_name = 'Bob'",
        "UPDATE content.genre SET name = 'Changed' WHERE name = 'Drama'",
        "UPDATE content.genre_film_work SET genre_id = (SELECT id FROM content.genre LIMIT 1)",
    ],
)
def test_a_change_without_a_trace_in_its_time_is_found(known: Site, change: str) -> None:
    if "NULL" in change:
        known.execute("ALTER TABLE content.film_work ALTER COLUMN modified DROP NOT NULL")
    if "genre_id" in change:
        known.drop_constraints("u")
    known.execute(change)
    results = known.reconcile("touched")
    assert results["touched"]["repaired"] > 0
    known.assert_equal()
    quiet(known.reconcile())


def test_rows_of_a_transaction_that_ran_at_the_look_are_found_by_the_next(known: Site) -> None:
    with psycopg.connect(known.dsn, autocommit=True) as other:
        other.execute("BEGIN")
        other.execute("UPDATE content.film_work SET title = 'Changed' WHERE title = 'Film 1'")
        quiet(known.reconcile("presence", "touched"))
        other.execute("COMMIT")
    assert known.reconcile("touched")["touched"]["repaired"] == 1
    known.assert_equal()


def test_a_back_dated_film_is_loaded(known: Site) -> None:
    known.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert known.reconcile("presence")["presence"]["repaired"] == 1
    known.assert_equal()


def test_links_without_a_time_are_found(known: Site) -> None:
    film = known.add_film("Without links")
    known.run()
    person = known.add_person("Somebody")
    known.cast(film, person, created="1999-01-01 00:00:00+00")
    known.reconcile("presence", "touched")
    known.assert_equal()


# -- the index's side -----------------------------------------------------------------------------


def test_a_document_that_is_gone_is_loaded(known: Site) -> None:
    film, *_ = sorted(known.documents())
    known.client.delete(index="movies", id=film)
    assert known.reconcile("presence")["presence"]["repaired"] == 1
    known.assert_equal()


def test_a_document_that_was_changed_is_found_though_its_checksum_says_nothing(
    known: Site,
) -> None:
    film, *_ = sorted(known.documents())
    known.client.update(index="movies", id=film, doc={"title": "Vandalised"})
    assert repaired(known.reconcile()) == {"presence": 0, "touched": 1, "contents": 0}
    known.assert_equal()


def test_a_damaged_checksum_is_found_by_a_comparison_of_everything(known: Site) -> None:
    film, *_ = sorted(known.documents())
    known.client.update(index="movies", id=film, doc={"checksum": 7})
    assert known.reconcile("contents", full=True)["contents"]["repaired"] == 1
    known.assert_equal()


def test_one_of_a_hundred_texts_is_compared_whole(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.contents.SAMPLED_ONE_OF", 1)
    film, *_ = sorted(known.documents())
    known.client.update(index="movies", id=film, doc={"title": "Vandalised"})
    assert known.reconcile("contents", full=True)["contents"]["repaired"] == 1
    known.assert_equal()


# -- completely -----------------------------------------------------------------------------------


def test_one_comparison_finds_everything(known: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movies_etl.reconcile.contents.READ_TOGETHER", 2)
    gone, lost, damaged, copied, *_ = sorted(known.documents())
    known.execute("DELETE FROM content.film_work WHERE id = %s", gone)
    known.client.delete(index="movies", id=lost)
    known.client.update(index="movies", id=damaged, doc={"checksum": 7})
    stray = known.client.get(index="movies", id=copied)["_source"]
    known.client.index(index="movies", id="another key", document=stray)
    known.client.index(index="movies", id="no id", document={"checksum": 7})
    context = known.open()
    with known.resources(context) as resources:
        found = compare_completely(resources)
        assert sorted(found.surplus) == sorted([gone, "another key", "no id"])
        assert [*found.missing] == [lost]
        assert sorted(found.different) == sorted([damaged, copied])
        repair(resources, known.settings, found)
        assert compare_completely(resources) == Candidates(found.documents - 2, found.looked_at - 1)
    known.assert_equal()


# -- params ---------------------------------------------------------------------------------------


def test_a_dry_run_tells_and_writes_nothing(known: Site) -> None:
    film, other, *_ = sorted(known.documents())
    known.execute("DELETE FROM content.film_work WHERE id = %s", film)
    known.execute("UPDATE content.film_work SET title = 'Changed' WHERE id = %s", other)
    before, text = known.versions(), known.reconciled.text
    results = known.reconcile(dry_run=True)
    assert results["presence"]["surplus"] == 1
    assert results["touched"]["different"] == 1
    assert repaired(results) == dict.fromkeys(results, 0)
    assert (known.versions(), known.reconciled.text) == (before, text)
    known.reconcile()
    known.assert_equal()


def test_documents_that_are_asked_for_are_compared_and_no_others(known: Site) -> None:
    deleted, changed, vandalised, other, *_ = sorted(known.documents())
    known.execute("DELETE FROM content.film_work WHERE id = %s", deleted)
    known.execute(
        "UPDATE content.film_work SET title = 'Changed' WHERE id = ANY(%s::uuid[])",
        [changed, other],
    )
    known.client.update(index="movies", id=vandalised, doc={"title": "Vandalised"})
    results = known.reconcile(ids=[deleted, changed, vandalised, "no id", changed])
    assert repaired(results) == {"presence": 3, "touched": 0, "contents": 0}
    assert results["presence"]["looked_at"] == 4
    assert deleted not in known.documents()
    assert known.documents()[other]["title"] != "Changed"


# -- from where it goes on ------------------------------------------------------------------------


def test_what_is_missing_is_loaded_in_several_runs_where_there_is_much(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.repair.BATCH_SIZE", 3)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    for film in known.documents():
        known.client.delete(index="movies", id=film)
    results = [known.reconcile("presence")["presence"] for _ in range(4)]
    assert [one["repaired"] for one in results] == [3, 3, 1, 0]
    known.assert_equal()


def test_links_that_lead_nowhere_are_followed_in_several_runs_where_there_are_many(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.compare.COMPARED_TOGETHER", 4)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    known.drop_constraints("f")
    known.execute("DELETE FROM content.person WHERE full_name = 'Ann'")
    known.execute("SELECT pg_stat_force_next_flush()")
    results = [known.reconcile("presence")["presence"] for _ in range(4)]
    assert [one["repaired"] for one in results] == [4, 2, 0, 0]
    known.assert_equal()
    state = known.reconciled.load()
    assert state
    assert state.nowhere is None


def test_a_pass_goes_on_where_the_last_run_ended_and_then_says_when_it_began(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.contents.READ_TOGETHER", 40)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    site.fill(100)
    site.run()
    site.reconcile("presence", "touched")
    looked_at = []
    for _ in range(3):
        result = site.reconcile("contents")["contents"]
        looked_at.append(result["looked_at"])
        state = site.reconciled.load()
        assert state
        assert (state.verified_at is None) == (len(looked_at) < 3)
        current = state.current
    assert looked_at == [40, 40, 20]
    assert result["verified_age_seconds"] is not None
    assert current is None


def test_a_pass_waits_for_the_first_looks(site: Site) -> None:
    """A link that was deleted between the two would be seen by neither."""
    site.fill(10)
    site.run()
    assert site.reconcile("contents")["contents"]["looked_at"] == 0
    site.execute("DELETE FROM content.person_film_work")
    site.reconcile()
    site.assert_equal()


def test_documents_that_were_written_are_compared_in_several_runs_where_there_are_many(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.es.inventory.WRITTEN_PER_REQUEST", 40)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    site.fill(100)
    site.run()
    site.reconcile("presence", "touched")
    site.run(reload="all")
    last = max(site.documents(), key=lambda one: site.client.get(index="movies", id=one)["_seq_no"])
    site.client.update(index="movies", id=last, doc={"title": "Vandalised"})
    results = [site.reconcile("presence", "touched")["touched"] for _ in range(4)]
    assert [one["looked_at"] for one in results] == [40, 40, 20, 0]
    assert [one["repaired"] for one in results] == [0, 0, 1, 0]
    state = site.reconciled.load()
    assert state
    assert state.written
    assert state.written.reached is None
    site.assert_equal()


def test_documents_beyond_either_end_are_compared(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.contents.READ_TOGETHER", 7)
    site.fill(50)
    site.run()
    site.reconcile("presence", "touched")
    films = sorted(site.documents())
    for film in (films[0], films[7], films[13], films[-1]):
        site.client.update(index="movies", id=film, doc={"checksum": 7})
    result = site.reconcile("contents", full=True)["contents"]
    assert (result["looked_at"], result["different"], result["repaired"]) == (50, 4, 4)


def test_what_is_remembered_of_another_index_does_not_count(known: Site) -> None:
    state = known.reconciled.load()
    assert state
    known.reconciled.save(state.model_copy(update={"index": "another"}))
    quiet(known.reconcile())
    again = known.reconciled.load()
    assert again
    assert again.index == state.index


def test_nothing_is_compared_before_the_first_load(small: Site) -> None:
    from movies_etl.reconcile.context import loaded_context  # noqa: PLC0415

    assert loaded_context(small.source(), small.client, small.cursors, 0) is None
    context = small.open()
    assert loaded_context(small.source(), small.client, small.cursors, 0) is None
    small.sync(MOVIES.root, context)
    assert loaded_context(small.source(), small.client, small.cursors, 0) is not None
