"""Deleted rows: their documents are gone at the end of a run, and nothing else ever is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import (
    ConfigurationError,
    IndexUnavailableError,
    SourceUnavailableError,
    WriterBusyError,
)
from movies_etl.es.bulk import Sender
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.throttle import Throttle
from movies_etl.postgres import lock
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.traces import statistics
from movies_etl.reconcile import each_run, fuses, repair
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.each_run import checked
from movies_etl.reconcile.presence import presence
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.run_context import RunContext
from movies_etl.sync import stream_run
from movies_etl.sync.batches import Batch
from movies_etl.sync.ids import Ids
from movies_etl.sync.resources import Resources

from tests.support.faults import Faults
from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.samples import document
from tests.support.site import Site

MANY = 150
"""Films of which as many may be deleted as the fuse lets pass, and not all."""


@pytest.fixture
def known(loaded: Site) -> Site:
    """The small site after a run that looked whether rows were deleted."""
    assert loaded.run_and_check() == {"difference": 0, "deleted": 0}
    return loaded


def delete(site: Site, where: str, *parameters: object) -> None:
    """Delete root rows, and have the statistics tell it at once."""
    site.execute(f"DELETE FROM content.{site.table} WHERE {where}", *parameters)
    site.execute("SELECT pg_stat_force_next_flush()")


def repaired(site: Site, found: Candidates) -> dict[str, int]:
    """Read candidates again; return what was done."""
    with site.resources(site.open()) as resources:
        return vars(repair.repair(resources, site.settings, found).counters)


def put(site: Site, key: str, **fields: object) -> None:
    """Write a document behind the program's back."""
    source = document(key) | fields
    site.client.index(
        index=site.definition.alias,
        id=key,
        document={name: value for name, value in source.items() if value is not ...},
        refresh=True,
    )


# -- at the end of a run --------------------------------------------------------------------------


@each_index
def test_documents_of_deleted_rows_are_gone_at_the_end_of_the_run(known: Site) -> None:
    deleted, *_ = sorted(known.documents())
    delete(known, "id = %s", deleted)
    assert known.run_and_check() == {"difference": 0, "deleted": 1}
    assert deleted not in known.documents()
    known.assert_equal()


def test_a_run_without_deletions_compares_no_ids(known: Site) -> None:
    known.queries.clear()
    assert known.run_and_check() == {"difference": 0}
    assert known.queries["root/uuid/counts.sql film_work"] == 0
    assert known.queries["trace/statistics.sql"] == 1


def test_a_deletion_that_no_statistics_tell_is_found_by_the_counts(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = known.difference.kept
    assert kept is not None
    monkeypatch.setattr(each_run, "_statistics", lambda _: kept.statistics)
    delete(known, "title = 'Film 1'")
    assert known.run_and_check() == {"difference": 0, "deleted": 1}
    known.assert_equal()


def test_beside_a_task_that_follows_hints_are_left_to_it_but_no_difference(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = known.difference.kept
    assert kept is not None
    assert kept.statistics is not None
    others = kept.statistics.model_copy(update={"deleted": kept.statistics.deleted + 1})
    monkeypatch.setattr(each_run, "_statistics", lambda _: others)
    known.queries.clear()
    with known.resources(known.open()) as resources:
        beside = partial(checked, resources, known.settings, known.difference, is_followed=True)
        assert beside() == {"difference": 0}
        assert known.queries["root/uuid/counts.sql film_work"] == 0
        assert known.difference.kept
        assert known.difference.kept.statistics == kept.statistics  # not used up
        delete(known, "title = 'Film 1'")
        assert beside() == {"difference": 0, "deleted": 1}
    known.assert_equal()


def test_a_deletion_is_found_though_another_row_arrives_so_that_the_counts_agree(
    known: Site,
) -> None:
    context = known.open()
    for stream in MOVIES.streams:
        known.sync(stream, context)
    delete(known, "title = 'Film 1'")
    known.add_film("Just arrived", modified="now()")
    assert known.check(context) == {"difference": 0, "deleted": 1}
    known.run()
    known.assert_equal()


@notices("15-statistics")
def test_statistics_that_were_reset_are_not_believed(known: Site) -> None:
    delete(known, "title = 'Film 1'")
    known.run_and_check()
    known.execute("SELECT pg_stat_reset()")
    delete(known, "title = 'Film 2'")
    known.add_film("Back-dated", modified="1999-01-01 00:00:00+00")  # the counts agree
    kept = known.difference.kept
    assert kept is not None
    assert kept.statistics is not None
    now = statistics(known.source(), ["film_work"])["film_work"]
    as_many = now.model_copy(update={"since": kept.statistics.since})  # were deleted before
    known.difference.kept = kept.model_copy(update={"statistics": as_many})
    assert known.run_and_check() == {"difference": 1, "deleted": 1}


def test_a_table_that_was_truncated_shows_though_no_row_was_deleted(known: Site) -> None:
    films = known.execute("SELECT * FROM content.film_work WHERE title <> 'Film 1'").fetchall()
    known.execute("TRUNCATE content.film_work CASCADE")
    slots = ", ".join(["%s"] * len(films[0]))
    for film in films:
        known.execute(f"INSERT INTO content.film_work VALUES ({slots})", *film)
    known.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert known.run_and_check() == {"difference": 1, "deleted": 1}
    assert "Film 1" not in {one["title"] for one in known.documents().values()}


def test_a_letter_goes_with_its_row(known: Site) -> None:
    film = known.add_film("Refused", rating="NaN", modified="now()")
    known.run_and_check()
    assert film in known.letters()
    delete(known, "id = %s", film)
    assert known.run_and_check() == {"difference": 0, "deleted": 0}
    assert known.letters() == {}


# -- presence -------------------------------------------------------------------------------------


def found_by_presence(site: Site, context: RunContext | None = None) -> Candidates:
    """Compare which documents and rows there are.

    :param context: of the last run; what has come since is not missing.
    """
    with site.resources(context or site.open()) as resources:
        return presence(resources)


@pytest.fixture
def filled(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with so many films that they are counted in several ranges, loaded."""
    monkeypatch.setattr("movies_etl.reconcile.presence.FEW_DOCUMENTS", 10)
    monkeypatch.setattr("movies_etl.reconcile.presence.DOCUMENTS_PER_RANGE", 10)
    site.fill(MANY)
    site.run()
    return site


@notices("15-hole", "15-hole-end")
def test_films_are_found_wherever_their_ids_lie(filled: Site) -> None:
    """The first and the last range have no bound: nothing falls out at either end."""
    films = sorted(filled.documents())
    gone = [films[0], films[1], films[MANY // 2], films[-2], films[-1]]
    delete(filled, "id = ANY(%s::uuid[])", gone)
    lost = films[MANY // 3]
    filled.client.delete(index="movies", id=lost)
    put(filled, "!", id="!")
    put(filled, "~", id="~")
    found = found_by_presence(filled)
    assert sorted(found.surplus) == sorted([*gone, "!", "~"])
    assert [*found.missing] == [lost]
    assert repaired(filled, found)["deleted"] == 7
    filled.assert_equal()


def test_a_deleted_film_and_a_missing_one_are_both_found(filled: Site) -> None:
    first, *_, last = sorted(filled.documents())
    delete(filled, "id = %s", first)
    filled.client.delete(index="movies", id=last)
    found = found_by_presence(filled)
    assert ({*found.surplus}, {*found.missing}) == ({first}, {last})


def test_however_many_either_side_has_they_are_compared_piece_by_piece(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that was emptied leaves no bounds by which its ids could be parted."""
    monkeypatch.setattr("movies_etl.es.inventory.LISTED_PER_REQUEST", 2)
    monkeypatch.setattr("movies_etl.postgres.inventory.READ_TOGETHER", 2)
    films = sorted(known.documents())
    copies = [f"copy {number}" for number in range(5)]
    for number, key in enumerate(copies):  # more than one request lists
        put(known, key, id=films[3], checksum=number)
    assert sorted(found_by_presence(known).surplus) == copies
    for key in copies:
        known.client.delete(index="movies", id=key, refresh=True)
    for film in films[1:]:
        known.client.delete(index="movies", id=film, refresh=True)
    assert [*found_by_presence(known).missing] == films[1:]
    known.run(reload="all")
    known.client.indices.refresh(index="movies")
    delete(known, "true")
    assert [*found_by_presence(known).surplus] == films


def test_rows_that_share_an_id_hide_no_deleted_film(filled: Site) -> None:
    filled.drop_constraints("f")
    filled.drop_constraints("p")
    gone, other, *_ = sorted(filled.documents())
    delete(filled, "id = %s", gone)
    twice = "INSERT INTO content.film_work SELECT * FROM content.film_work WHERE id = %s"
    filled.execute(twice, other)
    assert [*found_by_presence(filled).surplus] == [gone]


@pytest.mark.parametrize("ids", ["text", "bigint"])
def test_ids_are_compared_as_text_by_bytes_on_both_sides(
    site: Site, monkeypatch: pytest.MonkeyPatch, ids: str
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.presence.FEW_DOCUMENTS", 2)
    monkeypatch.setattr("movies_etl.reconcile.presence.DOCUMENTS_PER_RANGE", 2)
    site.use_text_ids()
    films = [str(number) for number in (-10, -9, 0, 1, 2, 10, 11, 100, 99, 9, 1000, 12345678901)]
    if ids == "text":
        films += ["a", "A", "b", "B", "\u00e4", "\u0451", "\U0001f600", "\ufffd", "a b", '"', "\\"]
    for film in films:
        site.add_film(film, id=film)
    if ids == "bigint":
        for table, column in (("genre_film_work", "film_work_id"), ("film_work", "id")):
            site.retype(table, column, "bigint")
        site.retype("person_film_work", "film_work_id", "bigint")
    site.run()
    site.queries.clear()
    found = found_by_presence(site)
    assert found == Candidates(documents=len(films))
    assert site.queries["root/text/ids.sql film_work"] == 0  # no range seemed to differ
    delete(site, "id::text IN ('10', '9', '-9')")
    assert sorted(found_by_presence(site).surplus) == ["-9", "10", "9"]


def test_documents_that_nothing_here_has_written_are_deleted(known: Site) -> None:
    film, *_ = sorted(known.documents())
    put(known, "no id", id=...)
    put(known, "another key", id=film)
    put(known, film.upper())
    found = found_by_presence(known)
    assert sorted(found.surplus) == sorted(["no id", "another key", film.upper()])
    assert repaired(known, found)["deleted"] == 3
    known.assert_equal()


def test_a_document_whose_id_is_neither_its_key_nor_a_rows_is_deleted(known: Site) -> None:
    put(known, "a key", id="an id")
    found = found_by_presence(known)
    assert "a key" in found.surplus
    assert repaired(known, found)["deleted"] == 1
    known.assert_equal()


def test_rows_that_the_next_run_reads_and_refused_ones_are_not_missing(known: Site) -> None:
    known.add_film("Refused", rating="NaN", modified="now()")
    context = known.open()
    known.sync(MOVIES.root, context)
    known.add_film("Just arrived", modified="now()")
    assert found_by_presence(known, context) == Candidates(documents=7)


# -- candidates, then truth -----------------------------------------------------------------------


@notices("14")
def test_a_film_that_is_there_is_not_deleted_though_it_was_a_candidate(known: Site) -> None:
    film, *_ = sorted(known.documents())
    done = repaired(known, Candidates(documents=7, surplus=Ids([film])))
    assert (done["deleted"], done["unchanged"]) == (0, 1)
    known.assert_equal()


@notices("14-version")
def test_a_cursor_that_another_task_saves_while_the_lock_is_waited_for_stays(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, *_ = sorted(known.documents())
    delete(known, "id = %s", film)
    take = lock.take
    saved: list[Cursor | None] = []

    def waited(session: lock.Lockable, uuid: str, wait: float) -> None:
        if not saved:
            saved.append(None)
            known.add_film("Meanwhile", modified="now()")
            known.run()
            saved[:] = [known.cursors.load("film_work")]
        take(session, uuid, wait)

    with known.resources(known.open()) as resources:
        monkeypatch.setattr(lock, "take", waited)
        found = Candidates(documents=7, surplus=Ids([film]))
        assert repair.repair(resources, known.settings, found).counters.deleted == 1
    now = known.cursors.load("film_work")
    assert now
    assert saved[0]
    assert now.rows == saved[0].rows
    known.assert_equal()


def test_a_late_deletion_does_not_undo_a_later_reading(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task dies with its deletion under way; the film is inserted again and loaded."""
    film, *_ = sorted(known.documents())
    row = known.execute("SELECT * FROM content.film_work WHERE id = %s", film).fetchone()
    assert row is not None
    delete(known, "id = %s", film)
    late: list[Item] = []

    def send(items: Sequence[Item]) -> Outcome:
        late.extend(items)
        raise IndexUnavailableError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(stream_run, "Sender", lambda *_: send)
        with pytest.raises(IndexUnavailableError, match="killed"):
            known.run_and_check()
    assert [(item.id, item.source) for item in late] == [(film, b"")]
    known.execute(f"INSERT INTO content.film_work VALUES ({', '.join(['%s'] * len(row))})", *row)
    known.execute("UPDATE content.film_work SET modified = now() WHERE id = %s", film)
    known.run()
    (name,) = known.client.indices.get_alias(name="movies")
    index = Index(known.client, MOVIES, name)
    assert Sender(index, 0, Throttle(1000, 1))(late).conflicts == late
    known.assert_equal()


def test_a_deletion_holds_against_a_late_request_of_an_older_reading(known: Site) -> None:
    film, *_ = sorted(known.documents())
    before = known.versions()[film]
    delete(known, "id = %s", film)
    known.run_and_check()
    (name,) = known.client.indices.get_alias(name="movies")
    late = Item(film, before + 1, b'{"id":"late","checksum":1}')
    sender = Sender(Index(known.client, MOVIES, name), 0, Throttle(1000, 1))
    assert sender([late]).conflicts == [late]
    assert film not in known.documents()


def test_while_a_task_writes_nothing_is_done_and_the_candidates_are_left(known: Site) -> None:
    film, *_ = sorted(known.documents())
    delete(known, "id = %s", film)
    other = Site(known.dsn, known.connection, known.client)
    other.cursors = known.cursors
    with known.resources(known.open()) as writing:
        known.sync(MOVIES.root, writing.context)
        with other.resources(writing.context) as resources:
            waiting = replace(resources, lock_wait=0.0)
            found = Candidates(documents=7, surplus=Ids([film]))
            assert repair.repair(waiting, other.settings, found).left == 1
    known.reconnect()
    with other.resources(writing.context) as resources:
        assert repair.repair(resources, other.settings, found).counters.deleted == 1
        holder = resources.source.server.lock_holder
        key = lock.key_of(writing.context.uuid)
        assert holder(key) is None  # it is let go though the session goes on
    other.close()


@notices("15-hint")
def test_a_hint_holds_though_the_task_that_followed_it_was_killed(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another row is missing, so that the counts agree."""

    class KilledError(Exception):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    *_, last = known.definition.streams
    delete(known, "title = 'Film 1'")
    known.add_film("Back-dated", modified="1999-01-01 00:00:00+00")

    def run_last() -> dict[str, Any]:
        with known.resources(known.open()) as resources:
            return each_run.run_stream(last, resources, known.settings, known.difference)

    with monkeypatch.context() as dying:
        dying.setattr(repair, "_read_again", killed)
        with pytest.raises(KilledError):
            run_last()
    assert run_last()["deleted"] == 1


def test_a_hint_holds_until_all_that_it_announced_is_gone(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task writes when the second of two is to be deleted; then the counts agree."""
    monkeypatch.setattr(repair, "BATCH_SIZE", 1)
    context = known.open()
    known.reconnect()
    delete(known, "title IN ('Film 1', 'Film 2')")
    known.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    read_again = repair._read_again
    batches: list[object] = []

    def busy(resources: Resources, settings: Settings, batch: Batch) -> None:
        batches.append(batch)
        if len(batches) == 2:
            raise WriterBusyError("somebody writes")
        read_again(resources, settings, batch)

    with monkeypatch.context() as writing:
        writing.setattr(repair, "_read_again", busy)
        assert known.check(context) == {"difference": 0, "deleted": 1}
    assert known.check(context) == {"difference": 1, "deleted": 1}
    known.queries.clear()
    known.check(context)
    assert known.queries["root/uuid/ids.sql film_work"] == 0  # the hint is used up
    known.reconcile("presence")
    known.assert_equal()


# -- fuses ----------------------------------------------------------------------------------------


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    caplog.clear()
    return [one for one in said if one.startswith("Nothing of this is done")]


def test_many_deletions_are_not_done(filled: Site, caplog: pytest.LogCaptureFixture) -> None:
    filled.run_and_check()
    films = sorted(filled.documents())
    delete(filled, "id = ANY(%s::uuid[])", films[:101])
    assert filled.run_and_check() == {"difference": -101, "deleted": 0}
    assert len(filled.documents()) == MANY
    (said,) = warned(caplog)
    assert said.startswith(
        f"Nothing of this is done: 101 of {MANY} documents have no row any more. movies_purge asks"
    )
    filled.queries.clear()
    assert filled.run_and_check() == {"difference": -101}  # known, and not looked at again
    assert filled.queries["root/uuid/counts.sql film_work"] == 0
    filled.add_film("Back", id=films[0], modified="now()")
    assert filled.run_and_check() == {"difference": -100}
    filled.client.indices.delete(index="movies-reconcile")  # the list is forgotten
    filled.difference.kept = None
    assert filled.run_and_check() == {"difference": 0, "deleted": 100}
    filled.assert_equal()


def test_what_is_left_for_a_person_is_counted_without_letters(filled: Site) -> None:
    """Else each run would compare ids again."""
    films = sorted(filled.documents())
    refused = filled.add_film("Refused", rating="NaN", modified="now()")
    filled.run_and_check()
    delete(filled, "id = ANY(%s::uuid[])", [*films[:101], refused])
    assert filled.run_and_check() == {"difference": -101, "deleted": 0}
    filled.queries.clear()
    assert filled.run_and_check() == {"difference": -101}
    assert filled.queries["root/uuid/counts.sql film_work"] == 0


def test_many_rewrites_are_not_done(
    filled: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fuses, "FEW_REWRITES", 10)
    films = sorted(filled.documents())
    filled.execute("UPDATE content.film_work SET title = 'Without a trace'")
    before = filled.documents()
    assert repaired(filled, Candidates(documents=MANY, different=Ids(films[:11])))["read"] == 0
    assert filled.documents() == before
    assert len(warned(caplog)) == 1
    filled.client.indices.delete(index="movies-reconcile")
    assert repaired(filled, Candidates(documents=MANY, different=Ids(films[:10])))["indexed"] == 10
    assert repaired(filled, Candidates(documents=10 * MANY, different=Ids(films)))["read"] == 0
    filled.client.indices.delete(index="movies-reconcile")
    assert repaired(filled, Candidates(documents=20 * MANY, different=Ids(films)))["indexed"] == 140


# -- no answer is no answer -----------------------------------------------------------------------


@notices("15", raises=pytest.fail.Exception)
@pytest.mark.parametrize(
    "part",
    [
        {"_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 1}},
        {"timed_out": True},
    ],
    ids=["a shard failed", "time ran out"],
)
@pytest.mark.parametrize("what", ["_count", "_search"])
def test_an_answer_in_part_deletes_nothing(
    known: Site, monkeypatch: pytest.MonkeyPatch, part: dict[str, object], what: str
) -> None:
    """Of a broken shard's films nothing is known; it is no news of what the index has."""
    if (what, "timed_out" in part) == ("_count", True):
        pytest.skip("a count is not told to have run out of time")
    film, *_ = sorted(known.documents())
    delete(known, "id = %s", film)
    context = known.open()
    for stream in MOVIES.streams:
        known.sync(stream, context)
    url = str(next(iter(known.client.transport.node_pool.all())).base_url)
    known.configure(patience=0)
    faults = Faults()
    client = faults.client(url)
    perform = client.transport.perform_request

    def in_part(method: str, target: str, **named: object) -> object:
        answer = perform(method, target, **named)  # type: ignore[arg-type]
        if target.partition("?")[0].endswith(what) and "dead-letters" not in target:
            answer.body.update(part)
        return answer

    monkeypatch.setattr(client.transport, "perform_request", in_part)
    with known.resources(context) as resources:
        broken = replace(resources, client=client)
        with pytest.raises(IndexUnavailableError, match="in part only"):
            each_run.checked(broken, known.settings, known.difference)
    assert film in known.documents()


@pytest.mark.parametrize("file", ["root/count.sql", "root/uuid/counts.sql", "root/uuid/ids.sql"])
def test_a_cancelled_query_deletes_nothing(
    known: Site, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr("movies_etl.reconcile.presence.FEW_DOCUMENTS", 0)
    film, *_ = sorted(known.documents())
    delete(known, "id = %s", film)
    rows = Queries.rows

    def cancelled(
        self: Queries, name: str, names: dict[str, str] | None = None, **parameters: object
    ) -> list[tuple[object, ...]]:
        if name == file:
            with self._translated_errors(name):
                self.connection.execute("SET statement_timeout = '10ms'")
                self.connection.execute("SELECT pg_sleep(60)")
        return rows(self, name, names, **parameters)

    monkeypatch.setattr(Queries, "rows", cancelled)
    with pytest.raises(SourceUnavailableError, match="statement timeout"):
        known.run_and_check()
    assert film in known.documents()


def test_a_right_that_was_revoked_deletes_nothing(known: Site) -> None:
    films = known.documents()
    known.execute("DELETE FROM content.film_work WHERE title = 'Film 1'")
    known.execute("DROP ROLE IF EXISTS may_not")
    known.execute("CREATE ROLE may_not LOGIN")
    known.execute("GRANT USAGE ON SCHEMA content TO may_not")
    known.execute("GRANT SELECT ON ALL TABLES IN SCHEMA content TO may_not")
    context = known.open()
    reader = known.dsn.replace("postgres@", "may_not@")
    other = Site(reader, known.connection, known.client)
    other.cursors, other.difference = known.cursors, known.difference
    known.reconnect()
    with other.resources(context) as resources:
        known.execute("REVOKE SELECT ON content.film_work FROM may_not")
        with pytest.raises(ConfigurationError, match="permission denied"):
            each_run.checked(resources, other.settings, other.difference)
    other.close()
    assert known.documents() == films
