"""What the reconcile does not believe, and deletes nothing by: answers in part, hints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from movies_etl.errors import (
    CancelledStatementError,
    ConfigurationError,
    IndexUnavailableError,
)
from movies_etl.postgres.queries import Queries
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.context import loaded_context
from movies_etl.reconcile.repair import repair
from movies_etl.sync.ids import Ids

from local.postgres import Postgres
from tests.support.faults import Faults
from tests.support.site import Site

A_FILM = "DELETE FROM content.film_work WHERE title = 'Film 1'"
A_LINK = "DELETE FROM content.person_film_work WHERE role = 'director'"


@pytest.fixture
def known(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The small site after a run of both DAGs; its films are counted by ranges."""
    monkeypatch.setattr("movies_etl.reconcile.presence.FEW_DOCUMENTS", 2)
    monkeypatch.setattr("movies_etl.reconcile.presence.DOCUMENTS_PER_RANGE", 2)
    monkeypatch.setattr("movies_etl.es.inventory.LISTED_PER_REQUEST", 2)
    monkeypatch.setattr("movies_etl.reconcile.contents.SAMPLED_ONE_OF", 1)
    loaded.run_and_check()
    loaded.reconcile()
    return loaded


@contextmanager
def nothing_deleted(site: Site) -> Iterator[None]:
    """Delete rows; assert that the block deletes no document, and that a run without it does."""
    before = site.documents()
    site.execute(A_FILM)
    site.execute(A_LINK)
    yield
    assert site.documents() == before
    site.reconcile(full=True)
    site.assert_equal()
    assert len(site.documents()) == len(before) - 1


# -- answers in part ------------------------------------------------------------------------------


def in_part(answer: Any) -> None:
    answer.body["_shards"] = {"total": 2, "successful": 1, "skipped": 0, "failed": 1}


def out_of_time(answer: Any) -> None:
    answer.body["timed_out"] = True


@contextmanager
def spoilt(site: Site, spoil: Callable[[Any], None], *, after: int = 0) -> Iterator[None]:
    """Spoil what Elasticsearch answers to searches of the index.

    :param after: as many answers are left alone.
    """
    url = str(next(iter(site.client.transport.node_pool.all())).base_url)
    client, good = Faults().client(url), site.client
    perform, left = client.transport.perform_request, [after]

    def request(method: str, target: str, **named: object) -> object:
        answer = perform(method, target, **named)  # type: ignore[arg-type]
        path = target.partition("?")[0]
        if path.endswith("_search") and path.startswith("/movies-2"):
            if not left[0]:
                spoil(answer)
            left[0] = max(left[0] - 1, 0)
        return answer

    client.transport.perform_request = request  # type: ignore[assignment, method-assign]
    site.client = client
    try:
        yield
    finally:
        site.client = good


@pytest.mark.parametrize("spoil", [in_part, out_of_time])
def test_an_answer_in_part_deletes_nothing(known: Site, spoil: Callable[[Any], None]) -> None:
    known.configure(patience=0)
    with nothing_deleted(known):
        for task in ("presence", "contents"):
            with spoilt(known, spoil), pytest.raises(IndexUnavailableError, match="in part only"):
                known.reconcile(task, full=True)


def test_a_listing_that_breaks_off_deletes_nothing(known: Site) -> None:
    """The index's side is read page by page: what a lost page had is not missing."""
    known.configure(patience=0)
    with nothing_deleted(known):
        for after in (1, 2, 3):
            with (
                spoilt(known, in_part, after=after),
                pytest.raises(IndexUnavailableError, match="in part only"),
            ):
                known.reconcile("presence", "contents", full=True)


def cancelled(queries: Queries, name: str) -> None:
    """Fail as a query does that takes longer than it may."""
    with queries._translated_errors(name):
        queries.connection.execute("SET statement_timeout = '10ms'")
        try:
            queries.connection.execute("SELECT pg_sleep(60)")
        finally:
            queries.connection.execute("RESET statement_timeout")


class Cancelling:
    """``Queries.rows`` that is cancelled at one file; ``times`` says how often."""

    def __init__(self, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        rows = Queries.rows

        def asked(queries: Queries, name: str, *given: Any, **named: Any) -> Any:
            if name == file:
                self.times += 1
                cancelled(queries, name)
            return rows(queries, name, *given, **named)

        monkeypatch.setattr(Queries, "rows", asked)


def test_a_query_that_is_cancelled_deletes_no_film_that_exists(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query that the reconcile asks, one after the other; what it found before it did."""
    known.queries.clear()
    known.reconcile(full=True, dry_run=True)
    files = {key.partition(" ")[0] for key in known.queries if key.startswith(("root", "trace"))}
    assert {"root/uuid/counts.sql", "trace/stood.sql", "trace/touched.sql"} <= files
    before = known.documents()
    known.execute(A_FILM)
    known.execute(A_LINK)
    for file in sorted(files):
        with monkeypatch.context() as slow:
            cancelling = Cancelling(file, slow)
            results = known.reconcile(full=True)
        assert sum(one["unanswered"] for one in results.values()) == cancelling.times, file
        if file == "root/bounds.sql":  # the first one: no ids are compared without it
            assert known.documents().keys() == before.keys()
            assert cancelling.times == 1
        assert known.expected().keys() <= known.documents().keys()
    known.reconcile(full=True)
    known.assert_equal()


def test_documents_that_were_not_built_in_time_are_not_absent(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = known.reconciled.load()
    with nothing_deleted(known), monkeypatch.context() as slow:
        slow.setattr(Queries, "around", lambda self, name, *_, **__: cancelled(self, name))
        assert known.reconcile("contents", full=True)["contents"]["unanswered"] == 1
        after = known.reconciled.load()
        assert before
        assert after
        assert after.verified_at == before.verified_at


# -- questions that take too long -----------------------------------------------------------------


@pytest.fixture
def cancelled_over_two(known: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site, from here on with each statement cancelled that builds more than two documents."""
    around, pieces = Queries.around, Queries.pieces

    def few_around(self: Queries, name: str, outer: bytes, **given: Any) -> Any:
        if len(given["ids"]) > 2:
            cancelled(self, name)
        return around(self, name, outer, **given)

    def few_pieces(self: Queries, name: str, size: int, **given: Any) -> Any:
        if len(given["ids"]) > 2:
            cancelled(self, name)
        yield from pieces(self, name, size, **given)

    monkeypatch.setattr(Queries, "around", few_around)
    monkeypatch.setattr(Queries, "pieces", few_pieces)
    return known


def test_documents_that_take_too_long_together_are_built_in_parts(
    cancelled_over_two: Site,
) -> None:
    site = cancelled_over_two
    site.execute("UPDATE content.film_work SET title = title || '!'")
    results = site.reconcile(full=True)
    assert [one["unanswered"] for one in results.values()] == [0, 0, 0]
    assert sum(one["repaired"] for one in results.values()) == 7
    site.assert_equal()


def test_a_statement_of_the_reconcile_ends_after_30_seconds(known: Site) -> None:
    def limit() -> str:
        ((found,),) = known.source().queries.connection.execute("SHOW statement_timeout")
        return str(found)

    known.reconnect()
    assert limit() == "0"
    known.reconcile("presence")
    assert limit() == "30s"
    known.source().queries.connection.execute("SET statement_timeout = '7s'")
    known.reconcile("presence")
    assert limit() == "7s"


def test_a_question_that_takes_too_long_keeps_no_other_from_being_asked(
    known: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known.execute(A_FILM)
    known.execute(A_LINK)
    with monkeypatch.context() as slow:
        Cancelling("trace/stood.sql", slow)
        result = known.reconcile("presence")["presence"]
    assert [result[name] for name in ("deleted", "repaired", "unanswered")] == [1, 0, 1]
    assert "A question of this run has no answer: PostgreSQL" in caplog.text
    assert "gave up at trace/stood.sql" in caplog.text
    assert known.reconcile("presence")["presence"]["repaired"] > 0
    known.assert_equal()


def test_named_documents_that_take_too_long_fail_the_task(
    known: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later run knows their names."""
    with monkeypatch.context() as slow:
        slow.setattr(Queries, "around", lambda self, name, *_, **__: cancelled(self, name))
        with pytest.raises(CancelledStatementError, match="statement timeout"):
            known.reconcile(ids=[min(known.documents())])


# -- another database, lost rights ----------------------------------------------------------------


def test_a_right_that_was_revoked_deletes_nothing(known: Site) -> None:
    known.execute("DROP ROLE IF EXISTS may_not")
    known.execute("CREATE ROLE may_not LOGIN")
    known.execute("GRANT USAGE ON SCHEMA content TO may_not")
    known.execute("GRANT SELECT ON ALL TABLES IN SCHEMA content TO may_not")
    other = Site(known.dsn.replace("postgres@", "may_not@"), known.connection, known.client)
    other.cursors, other.reconciled = known.cursors, known.reconciled
    with nothing_deleted(known):
        known.reconnect()
        for table in ("film_work", "person_film_work", "genre"):
            known.execute(f"REVOKE SELECT ON content.{table} FROM may_not")
            with pytest.raises(ConfigurationError, match="may not read"):
                other.reconcile(full=True)
            known.execute(f"GRANT SELECT ON content.{table} TO may_not")
        other.close()


def test_a_schema_without_tables_deletes_nothing(known: Site) -> None:
    with nothing_deleted(known):
        known.execute("ALTER SCHEMA content RENAME TO elsewhere")
        known.execute("CREATE SCHEMA content")
        known.reconnect()
        with pytest.raises(ConfigurationError):
            known.reconcile(full=True)
        known.execute("DROP SCHEMA content")
        known.execute("ALTER SCHEMA elsewhere RENAME TO content")
        known.reconnect()


def test_of_another_database_nothing_is_compared(
    known: Site, caplog: pytest.LogCaptureFixture
) -> None:
    root = known.cursors.load("film_work")
    assert root
    elsewhere = root.database.model_copy(update={"name": "elsewhere"})
    known.cursors.save("film_work", root.model_copy(update={"database": elsewhere}))
    assert loaded_context(known.source(), known.client, known.cursors, 0) is None
    assert "Nothing is compared" in caplog.text
    known.cursors.save("film_work", root)


def test_a_connection_that_leads_elsewhere_meanwhile_deletes_nothing(known: Site) -> None:
    films = known.documents()
    with known.beside() as resources:
        context = resources.context
        elsewhere = context.database.model_copy(update={"name": "elsewhere"})
        moved = replace(resources, context=context.model_copy(update={"database": elsewhere}))
        with pytest.raises(ConfigurationError, match="leads elsewhere"):
            repair(moved, known.settings, Candidates(documents=7, surplus=Ids([min(films)])))
    assert known.documents() == films


# -- hints are only hints -------------------------------------------------------------------------


def unseen_by_the_sync(site: Site) -> None:
    """Run the sync, which sees nothing: the counts agree, and the statistics are as they were."""
    last = site.difference.kept
    assert last
    site.difference.kept = last.model_copy(update={"statistics": statistics_of(site)})
    site.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert site.run_and_check().get("deleted", 0) == 0


def deleted_by_two_runs(site: Site) -> int:
    """Reconcile twice: a range with a film too many and one that is missing shows after that."""
    return sum(site.reconcile()["presence"]["deleted"] for _ in range(2))


def statistics_of(site: Site) -> Any:
    from movies_etl.postgres.traces import statistics  # noqa: PLC0415

    return statistics(site.source(), ["film_work"])["film_work"]


def test_what_statistics_do_not_tell_is_found_by_the_regular_pass(known: Site) -> None:
    """Counting switched off, counts reset: the sync believes that nothing was deleted."""
    before = statistics_of(known)
    with psycopg.connect(known.dsn, autocommit=True) as silent:
        silent.execute("SET track_counts = off")
        silent.execute(A_FILM)
    assert statistics_of(known) == before
    unseen_by_the_sync(known)
    assert deleted_by_two_runs(known) == 1
    known.assert_equal()

    known.execute("DELETE FROM content.film_work WHERE title = 'Film 2'")
    known.execute("SELECT pg_stat_force_next_flush()")
    known.execute("SELECT pg_stat_reset()")
    unseen_by_the_sync(known)
    assert deleted_by_two_runs(known) == 1
    known.assert_equal()


def test_statistics_that_a_crash_lost_are_not_believed(known: Site, postgres: Postgres) -> None:
    before = statistics_of(known)
    known.execute(A_FILM)
    known.execute(A_LINK)
    postgres.stop("immediate")
    postgres.start()
    known.connection = psycopg.connect(known.dsn, autocommit=True)
    known.reconnect()
    assert statistics_of(known).deleted <= before.deleted
    assert known.run_and_check()["deleted"] == 1  # since when it counts has changed
    assert known.reconcile("presence")["presence"]["repaired"] > 0
    known.assert_equal()
    known.connection.close()
