"""Fuses: of very many deletions or rewrites a person decides, about a list that is kept."""

from __future__ import annotations

import logging
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.errors import ConfigurationError, IndexUnavailableError, WriterBusyError
from movies_etl.es.fuse_lists import FuseLists
from movies_etl.es.maker import Maker
from movies_etl.reconcile import fuses, purge, repair
from movies_etl.reconcile.purge import approved, next_list, refused
from movies_etl.reconcile.question import question_about
from movies_etl.settings import Settings
from movies_etl.state.fuse_list import FuseList
from movies_etl.sync.counters import Counters

from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.site import Site

ONE_TO_FOUR = "title IN ('Film 1', 'Film 2', 'Film 3', 'Film 4')"


@pytest.fixture
def known(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The small site of seven films, of which four are many; a run has looked at it."""
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 3)
    monkeypatch.setattr(fuses, "FEW_REWRITES", 3)
    loaded.run_and_check()
    loaded.reconcile()
    return loaded


def lists(site: Site) -> list[FuseList]:
    """Return the lists that are open."""
    found = FuseLists(site.client, site.definition)
    (uuid,) = {one.index for one in every_list(site)} or {""}
    return [one for one, _ in found.open(uuid)]


def every_list(site: Site) -> list[FuseList]:
    """Return the lists in whatever state, the oldest first."""
    answer = site.client.search(
        index=site.definition.fuse_lists,
        query={"exists": {"field": "digest"}},
        sort="found_at",
        ignore_unavailable=True,
    )
    return [FuseList.model_validate(one["_source"]) for one in answer["hits"]["hits"]]


def asked(site: Site, digest: str = "") -> FuseList | None:
    with site.beside() as resources:
        return next_list(resources, site.settings, "a run", digest)


def carried_out(site: Site) -> Counters:
    """Ask, and approve."""
    one = asked(site)
    assert one
    with site.beside() as resources:
        return approved(resources, site.settings, one.digest, "Ann")


def refuse(site: Site) -> FuseList:
    one = asked(site)
    assert one
    with site.beside() as resources:
        refused(resources, one.digest, None)
    return one


def delete(site: Site, where: str = ONE_TO_FOUR) -> None:
    site.execute(f"DELETE FROM content.film_work WHERE {where}")
    site.execute("SELECT pg_stat_force_next_flush()")


def titles(site: Site) -> list[str]:
    return sorted(one["title"] for one in site.documents().values())


# -- what is listed -------------------------------------------------------------------------------


@notices("16")
def test_many_deletions_are_listed_and_not_done(
    known: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = known.documents()
    delete(known)
    assert known.run_and_check() == {"difference": -4, "deleted": 0}
    assert known.documents() == before
    (one,) = every_list(known)
    assert (one.kind, one.state, one.count, one.documents) == ("deletions", "waiting", 4, 7)
    assert sorted(one.examples) == ["Film 1", "Film 2", "Film 3", "Film 4"]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(
        line.startswith("Nothing of this is done: 4 of 7 documents have no row any more.")
        and line.endswith(f"movies_purge asks a person (list {one.digest[:12]})")
        for line in said
    )


def test_documents_that_have_a_letter_are_not_deleted_past_the_fuse(known: Site) -> None:
    """The last good document of a refused film stays, until its row is gone."""
    spoiled = "UPDATE content.film_work SET rating = 'NaN', modified = now()"
    known.execute(f"{spoiled} WHERE {ONE_TO_FOUR}")
    known.run_and_check()
    assert len(known.letters()) == 4
    before = known.documents()
    delete(known)
    for _ in range(2):
        assert known.run_and_check().get("deleted", 0) == 0
        assert known.reconcile("presence")["presence"]["deleted"] == 0
    assert known.documents() == before
    assert carried_out(known).deleted == 4
    assert known.letters() == {}
    known.assert_equal()


def test_as_many_as_the_fuse_lets_pass_are_done(known: Site) -> None:
    delete(known, "title IN ('Film 1', 'Film 2', 'Film 3')")
    assert known.run_and_check() == {"difference": 0, "deleted": 3}
    assert every_list(known) == []


def test_what_is_found_beside_a_list_is_done_and_the_list_stays_one(known: Site) -> None:
    delete(known)
    known.run_and_check()
    delete(known, "title = 'Film 5'")
    assert known.run_and_check() == {"difference": -4, "deleted": 1}
    result = known.reconcile("presence")["presence"]
    assert (result["surplus"], result["asked"], result["deleted"]) == (4, 4, 0)
    assert len(every_list(known)) == 1


def test_what_is_missing_is_loaded_though_deletions_wait(known: Site) -> None:
    delete(known)
    lost = next(id_ for id_, one in known.documents().items() if one["title"] == "Film 5")
    known.client.delete(index="movies", id=lost)
    result = known.reconcile("presence")["presence"]
    assert (result["repaired"], result["asked"]) == (1, 4)


@notices("16-rewrites")
def test_many_rewrites_are_listed_and_after_an_approval_done(
    known: Site, caplog: pytest.LogCaptureFixture
) -> None:
    known.execute("UPDATE content.film_work SET title = 'Without a trace'")
    before = known.documents()
    result = known.reconcile("touched")["touched"]
    assert (result["different"], result["asked"], result["repaired"]) == (7, 7, 0)
    assert "movies_purge asks a person, if the sync does not load it first (list" in caplog.text
    assert known.documents() == before
    (one,) = every_list(known)
    assert (one.kind, one.count) == ("rewrites", 7)
    assert known.reconcile("touched")["touched"]["asked"] == 7  # the same list
    assert carried_out(known).indexed == 7
    known.assert_equal()
    assert known.reconcile("touched")["touched"]["asked"] == 0


def test_links_that_many_documents_lost_are_one_question(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their parts are compared one after the other; each by itself would pass the fuse."""
    monkeypatch.setattr("movies_etl.reconcile.links.PARTS_TOGETHER", 1)
    known.execute("TRUNCATE content.genre_film_work")
    result = known.reconcile("presence")["presence"]
    assert (result["different"], result["asked"], result["repaired"]) == (6, 6, 0)


def test_rewrites_by_one_reason_are_counted_together_over_runs(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.compare.COMPARED_TOGETHER", 2)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    known.execute("UPDATE content.film_work SET title = 'Without a trace'")
    results = [known.reconcile("touched")["touched"] for _ in range(2)]
    assert [(one["repaired"], one["asked"]) for one in results] == [(2, 0), (0, 2)]


def test_what_a_repair_rewrote_before_its_time_was_over_counts_too(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.compare.COMPARED_TOGETHER", 2)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    monkeypatch.setattr(repair, "BATCH_SIZE", 1)
    known.execute("UPDATE content.film_work SET title = 'Without a trace'")
    results = [known.reconcile("touched")["touched"] for _ in range(3)]
    assert [(one["repaired"], one["asked"]) for one in results] == [(1, 0), (1, 0), (0, 2)]


@pytest.mark.parametrize(
    "statements",
    [
        ("UPDATE content.film_work SET title = 'Changed', modified = now()",),
        ("UPDATE content.genre SET name = 'Changed', modified = now()",),
        (
            "UPDATE content.genre SET name = 'Changed'",
            "UPDATE content.genre_film_work SET created = now()",
        ),
        (
            "ALTER TABLE content.film_work ALTER modified DROP NOT NULL",
            "UPDATE content.film_work SET title = 'Changed', modified = NULL",
        ),
    ],
    ids=["films", "genres", "links", "no time"],
)
def test_nobody_is_asked_about_many_changes_that_the_next_run_of_the_sync_loads(
    known: Site, statements: tuple[str, ...]
) -> None:
    for statement in statements:
        known.execute(statement)
    results = known.reconcile(full=True)
    assert any(one["asked"] > 3 for one in results.values())
    assert asked(known) is None
    assert [one.state for one in every_list(known)] == ["waiting"]
    known.run()
    known.assert_equal()
    assert asked(known) is None
    assert [one.state for one in every_list(known)] == ["done"]


def test_an_approval_to_rewrite_is_none_to_delete(known: Site) -> None:
    """The table is emptied while the question waits."""
    known.execute("UPDATE content.film_work SET title = 'Without a trace'")
    known.reconcile("touched")
    known.run()
    before = known.documents()
    one = asked(known)
    assert one
    known.execute("TRUNCATE content.film_work CASCADE")
    with known.beside() as resources:
        done = approved(resources, known.settings, one.digest, "Ann")
    assert (done.indexed, done.deleted) == (0, 0)
    assert known.documents() == before


def test_a_dry_run_tells_what_would_be_asked_and_keeps_no_list(known: Site) -> None:
    delete(known)
    result = known.reconcile("presence", dry_run=True)["presence"]
    assert (result["surplus"], result["asked"]) == (4, 4)
    assert every_list(known) == []


# -- the answer -----------------------------------------------------------------------------------


@each_index
def test_the_last_documents_go_after_an_approval_and_not_before(known: Site) -> None:
    before = known.documents()
    known.drop_constraints("f")
    known.execute(f"DELETE FROM content.{known.table}")
    known.run_and_check()
    assert known.documents() == before
    (one,) = every_list(known)
    field = known.text
    assert set(one.examples) == {document[field] for document in before.values()}
    assert carried_out(known).deleted == len(before)
    assert known.documents() == {}


def test_films_of_the_list_that_are_still_surplus_go_and_no_others(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.es.fuse_lists.IDS_PER_PIECE", 3)
    row = known.execute("SELECT * FROM content.film_work WHERE title = 'Film 1'").fetchone()
    assert row is not None
    delete(known)
    known.run_and_check()
    known.execute(f"INSERT INTO content.film_work VALUES ({', '.join(['%s'] * len(row))})", *row)
    delete(known, "title = 'Film 5'")  # not on the list
    assert carried_out(known).deleted == 3
    assert {"Film 1", "Film 5"} <= set(titles(known))
    (one,) = every_list(known)
    assert (one.state, one.answered_by) == ("done", "Ann")
    left = known.client.count(index="movies-reconcile", query={"exists": {"field": "piece_of"}})
    assert left["count"] == 0
    assert lists(known) == []


def test_a_refused_list_is_not_asked_about_again_and_its_films_stay(known: Site) -> None:
    delete(known)
    known.run_and_check()
    one = refuse(known)
    for _ in range(2):
        assert known.run_and_check().get("deleted", 0) == 0
        assert known.reconcile("presence")["presence"]["asked"] == 4
    assert [each.state for each in every_list(known)] == ["refused"]
    assert asked(known) is None
    with known.beside() as resources:
        assert not purge.waits_for_a_question(resources, known.settings)
    assert len(titles(known)) == 7

    again = asked(known, one.digest[:8])  # somebody has thought better of it
    assert again
    assert (again.digest, again.state) == (one.digest, "waiting")
    with known.beside() as resources:
        approved(resources, known.settings, one.digest, "Ann")
    assert titles(known) == ["Film 0", "Film 5", "Film 6"]


def test_films_that_were_refused_stay_though_others_of_the_list_came_back(known: Site) -> None:
    """What is left of it would pass the fuse."""
    rows = known.execute(f"SELECT * FROM content.film_work WHERE {ONE_TO_FOUR}").fetchall()
    delete(known)
    known.run_and_check()
    refuse(known)
    for row in rows[:2]:
        slots = ", ".join(["%s"] * len(row))
        known.execute(f"INSERT INTO content.film_work VALUES ({slots})", *row)
    known.reconcile()
    assert len(titles(known)) == 7


def test_a_refusal_holds_until_every_row_is_back(known: Site) -> None:
    rows = known.execute(f"SELECT * FROM content.film_work WHERE {ONE_TO_FOUR}").fetchall()

    def states() -> list[str]:  # the films lose their links, too, which is a list of its own
        return [one.state for one in every_list(known) if one.kind == "deletions"]

    delete(known)
    known.run_and_check()
    refuse(known)
    for row in rows:
        slots = ", ".join(["%s"] * len(row))
        known.execute(f"INSERT INTO content.film_work VALUES ({slots})", *row)
    known.reconcile("presence", dry_run=True)
    assert states() == ["refused"]
    known.reconcile("presence")
    assert states() == ["done"]
    delete(known)
    known.run_and_check()
    assert states() == ["waiting"]


def test_a_refusal_to_rewrite_holds_until_every_document_is_right(known: Site) -> None:
    known.execute("UPDATE content.film_work SET title = 'Without a trace'")
    known.reconcile("touched")
    known.run()
    refuse(known)
    known.reconcile(full=True)
    assert [one.state for one in every_list(known)] == ["refused"]
    known.execute("UPDATE content.film_work SET modified = now()")
    known.run()
    known.reconcile(full=True, dry_run=True)
    assert [one.state for one in every_list(known)] == ["refused"]
    known.reconcile(full=True)
    assert [one.state for one in every_list(known)] == ["done"]
    film = min(known.documents())
    known.execute("UPDATE content.film_work SET title = 'Later' WHERE id = %s", film)
    assert known.reconcile("touched")["touched"]["repaired"] == 1
    known.assert_equal()


def test_refused_documents_do_not_have_others_of_the_same_pass_asked_about(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.contents.READ_TOGETHER", 2)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    *_, last = films = sorted(known.documents())
    first = "UPDATE content.film_work SET title = 'Without a trace' WHERE id = ANY(%s::uuid[])"
    known.execute(first, films[:4])
    known.reconcile("touched")
    known.run()
    refuse(known)
    known.client.update(index="movies", id=last, doc={"checksum": 7})
    state = known.reconciled.load()
    assert state
    known.reconciled.save(state.model_copy(update={"verified_at": None, "current": None}))
    results = [known.reconcile("contents")["contents"] for _ in range(4)]
    assert [one["asked"] for one in results] == [2, 2, 0, 0]
    assert [one["repaired"] for one in results] == [0, 0, 0, 1]
    assert len(every_list(known)) == 1


def test_a_list_counts_as_done_only_when_it_is(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(known)
    known.run_and_check()

    class KilledError(Exception):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(repair, "_read_again", killed)
        with pytest.raises(KilledError):
            carried_out(known)
    (one,) = lists(known)
    assert one.state == "waiting"
    with known.beside() as resources:
        assert approved(resources, known.settings, one.digest, "Ann").deleted == 4
        assert approved(resources, known.settings, one.digest, "Ann").deleted == 0  # cleared
    known.assert_equal()


def test_a_list_that_is_done_is_not_refused_by_a_second_question(known: Site) -> None:
    """Two runs ask about it: one is approved, and time runs out for the other."""
    delete(known)
    known.run_and_check()
    one = asked(known)
    assert one
    assert asked(known, one.digest)
    with known.beside() as resources:
        approved(resources, known.settings, one.digest, "Ann")
        refused(resources, one.digest, None)
    assert [each.state for each in every_list(known)] == ["done"]
    delete(known, "title = 'Film 5'")
    assert known.run_and_check()["deleted"] == 1


def test_while_a_task_writes_an_approved_list_waits(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(known)
    known.run_and_check()

    def busy(*_: object) -> None:
        raise WriterBusyError("somebody writes")

    with monkeypatch.context() as writing:
        writing.setattr(repair, "_read_again", busy)
        with pytest.raises(WriterBusyError, match="not done yet"):
            carried_out(known)
    assert [one.state for one in lists(known)] == ["waiting"]


def test_a_list_whose_rows_are_back_is_closed_and_nobody_is_asked(known: Site) -> None:
    rows = known.execute(f"SELECT * FROM content.film_work WHERE {ONE_TO_FOUR}").fetchall()
    delete(known)
    known.run_and_check()
    for row in rows:
        slots = ", ".join(["%s"] * len(row))
        known.execute(f"INSERT INTO content.film_work VALUES ({slots})", *row)
    assert asked(known) is None
    assert [one.state for one in every_list(known)] == ["done"]


def test_one_run_asks_about_a_list_until_it_must_be_gone(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(known)
    known.run_and_check()
    assert asked(known) is not None
    assert asked(known) is None
    monkeypatch.setattr(purge, "LATE", -2 * timedelta(hours=known.settings.approval_hours))
    assert asked(known) is not None


def test_of_two_runs_that_look_at_once_one_takes_the_list(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(known)
    known.run_and_check()
    found = purge._unasked

    def overtaken(*given: Any) -> list[tuple[FuseList, Any]]:
        seen = found(*given)
        monkeypatch.setattr(purge, "_unasked", found)
        assert asked(known) is not None
        return seen

    monkeypatch.setattr(purge, "_unasked", overtaken)
    assert asked(known) is None


def test_a_list_that_two_runs_find_is_kept_as_it_was_answered(known: Site) -> None:
    """The second run looked for lists before the first one kept it."""
    delete(known)
    known.run_and_check()
    (new,) = every_list(known)
    refuse(known)
    found = FuseLists(known.client, known.definition)
    ids = [id_ for piece in found.pieces(new) for id_ in piece]
    found.keep(new, ids)
    assert [one.state for one in every_list(known)] == ["refused"]
    found.change(new.model_copy(update={"state": "done"}))
    found.keep(new, ids)  # deleted and back, and deleted once more
    assert [one.state for one in every_list(known)] == ["waiting"]


def test_a_list_that_lacks_ids_deletes_nothing(known: Site) -> None:
    delete(known)
    known.run_and_check()
    one = asked(known)
    assert one
    known.client.delete(index="movies-reconcile", id=f"{one.digest}.0", refresh=True)
    with known.beside() as resources, pytest.raises(IndexUnavailableError, match="lacks 4 of 4"):
        approved(resources, known.settings, one.digest, "Ann")
    assert len(titles(known)) == 7


def test_a_list_of_another_index_is_refused(known: Site) -> None:
    delete(known)
    known.run_and_check()
    one = asked(known)
    assert one
    FuseLists(known.client, known.definition).change(one.model_copy(update={"index": "another"}))
    with known.beside() as resources, pytest.raises(ConfigurationError, match="of another index"):
        approved(resources, known.settings, one.digest, "Ann")
    with known.beside() as resources, pytest.raises(ConfigurationError, match="is gone"):
        refused(resources, "never made", None)
    assert len(titles(known)) == 7


def test_a_digest_that_names_no_list_is_told(known: Site) -> None:
    with pytest.raises(ConfigurationError, match="0 open lists of movies begin with 'abc'"):
        asked(known, "abc")


# -- the question ---------------------------------------------------------------------------------


def test_a_question_says_how_many_and_which_ones(known: Site) -> None:
    known.change("# Bold `code`\n\x1b[2J" + "x" * 100, "text = 'Film 1'")
    known.run_and_check()
    delete(known, "title ~ '^#' OR title IN ('Film 2', 'Film 3', 'Film 4')")
    known.run_and_check()
    one = asked(known)
    assert one
    question = question_about(one, known.definition)
    assert question.subject == "Delete 4 of 7 films (57.1%) from movies?"
    assert one.digest in question.body
    assert "- `Film 2`\n" in question.body
    assert f"- `# Bold 'code' \\x1b[2J{'x' * 59}`" in question.body
    rewrites = one.model_copy(update={"kind": "rewrites"})
    assert question_about(rewrites, known.definition).subject.startswith("Rewrite 4 of 7 films")


# -- what made the documents ----------------------------------------------------------------------


@pytest.fixture
def other_query(known: Site, tmp_path: Path) -> Site:
    """The site after a change of ``documents.sql``: each document has another text."""
    include = tmp_path / "include"
    shutil.copytree(known.settings.include_dir, include)
    file = include / "sql" / "movies" / "documents.sql"
    query = file.read_text()
    assert "film.title" in query
    file.write_text(query.replace("film.title", "upper(film.title)"))
    known.configure(include_dir=include)
    return known


def rebuild_is_told(caplog: pytest.LogCaptureFixture) -> bool:
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    caplog.clear()
    return any(one.startswith("Rebuild index movies-") for one in said)


def test_after_a_change_of_the_query_a_rebuild_is_told_and_nothing_rewritten(
    other_query: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = other_query.documents()
    for _ in range(2):
        results = other_query.reconcile(full=True)
        assert all(one["rebuild"] for one in results.values())
        assert (results["contents"]["different"], results["contents"]["repaired"]) == (7, 0)
        assert rebuild_is_told(caplog)
    other_query.execute("UPDATE content.film_work SET title = 'Without a trace'")
    result = other_query.reconcile("touched")["touched"]
    assert (result["different"], result["repaired"], result["asked"]) == (7, 0, 0)
    assert other_query.documents() == before
    assert every_list(other_query) == []


def test_a_pass_that_began_before_a_change_of_the_query_says_nothing_of_how_the_index_was_made(
    other_query: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has still to compare may be few enough to look as if the index were made so."""
    monkeypatch.setattr("movies_etl.reconcile.contents.READ_TOGETHER", 2)
    monkeypatch.setattr("movies_etl.reconcile.task.PATIENT_SECONDS", 0)
    state = other_query.reconciled.load()
    assert state
    assert state.verified_at
    new, before = other_query.settings, Settings().include_dir
    other_query.configure(include_dir=before)
    other_query.reconciled.save(state.model_copy(update={"verified_at": None}))
    for _ in range(3):
        other_query.reconcile("contents")
    other_query.settings = new
    for _ in range(3):
        assert other_query.reconcile("contents")["contents"]["rebuild"]


def test_a_pass_loads_what_an_outdated_index_lacks(other_query: Site) -> None:
    film = min(other_query.documents())
    other_query.client.delete(index="movies", id=film)
    result = other_query.reconcile("contents", full=True)["contents"]
    assert (result["missing"], result["different"], result["repaired"]) == (1, 6, 1)
    assert film in other_query.documents()


def test_an_outdated_index_is_kept_equal_where_few_differ(other_query: Site) -> None:
    gone, changed, *_ = sorted(other_query.documents())
    other_query.execute("DELETE FROM content.film_work WHERE id = %s", gone)
    other_query.execute("UPDATE content.film_work SET title = 'new' WHERE id = %s", changed)
    other_query.reconcile()
    assert gone not in other_query.documents()
    assert other_query.documents()[changed]["title"] == "NEW"


def test_after_a_reload_the_index_is_as_the_query_makes_it(
    other_query: Site, caplog: pytest.LogCaptureFixture
) -> None:
    other_query.run(reload="all")
    assert other_query.reconcile("contents", full=True)["contents"]["rebuild"]
    assert not other_query.reconcile("contents", full=True)["contents"]["rebuild"]
    assert not rebuild_is_told(caplog)
    film, *_ = sorted(other_query.documents())
    other_query.client.update(index="movies", id=film, doc={"checksum": 7})
    assert other_query.reconcile("contents", full=True)["contents"]["repaired"] == 1


def test_comments_and_blanks_of_the_query_do_not_count(known: Site, tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(known.settings.include_dir, include)
    file = include / "sql" / "movies" / "documents.sql"
    file.write_text("-- Another word.\n\n" + file.read_text().replace("\n", " -- why\n\n    "))
    now = Maker.of(known.definition, known.settings.include_dir)
    assert Maker.of(known.definition, include) == now
    assert Maker.of(GENRES, known.settings.include_dir) != now


@each_index
def test_an_index_that_does_not_say_what_made_it_does_so_after_a_pass(known: Site) -> None:
    (name,) = known.client.indices.get_alias(name=known.definition.alias)
    meta = known.client.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    without = {key: value for key, value in meta.items() if key != "movies_etl_documents"}
    known.client.indices.put_mapping(index=name, meta=without)
    known.reconcile("contents", dry_run=True, full=True)
    assert known.client.indices.get_mapping(index=name)[name]["mappings"]["_meta"] == without
    assert not known.reconcile("contents", full=True)["contents"]["rebuild"]
    assert known.client.indices.get_mapping(index=name)[name]["mappings"]["_meta"] == meta
