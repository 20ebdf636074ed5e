"""A rebuild that waits for a person: what left no trace in ``modified`` meanwhile is looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError
from movies_etl.postgres import traces
from movies_etl.rebuild import gate, since
from movies_etl.rebuild import swap as rebuild_swap
from movies_etl.rebuild.candidate import Candidate, catch_up
from movies_etl.rebuild.plan import Plan
from movies_etl.reconcile import fuses
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import Comparer
from movies_etl.reconcile.fuses import lists_of
from movies_etl.reconcile.purge import approved, refused

from tests.support.indices import over
from tests.support.protections import notices
from tests.support.rebuild import Asked, Rebuild, behind, documents, run
from tests.support.site import Site

LINKS = "person_film_work"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail early where somebody holds a lock."""
    monkeypatch.setattr(rebuild_swap, "LOCK_WAIT_SECONDS", 5)


def write_without_a_trace(site: Site) -> None:
    """Delete a row and a link, change a row with triggers off, add a link and take it away."""
    gone, changed, *_ = sorted(site.expected())
    site.execute(f"DELETE FROM content.{site.table} WHERE id = %s", gone)
    site.execute(f"UPDATE content.{site.table} SET {site.text} = 'Silent' WHERE id = %s", changed)
    site.execute(
        f"DELETE FROM content.{LINKS} WHERE ctid IN (SELECT ctid FROM content.{LINKS} LIMIT 2)"
    )
    add_links(site)
    run(site)
    take_links_away(site)
    run(site)


def add_links(site: Site, films: str = "true") -> None:
    """Link films to every person.

    :param films: which, by their columns.
    """
    site.execute(
        f"INSERT INTO content.{LINKS} (id, film_work_id, person_id, role, created)"
        " SELECT gen_random_uuid(), film.id, person.id, 'writer', now()"
        f" FROM content.film_work film, content.person person WHERE {films} AND NOT EXISTS"
        f" (SELECT FROM content.{LINKS} WHERE (film_work_id, person_id) = (film.id, person.id))"
    )


def take_links_away(site: Site) -> None:
    """Delete what was added."""
    site.execute(f"DELETE FROM content.{LINKS} WHERE created > now() - interval '1 hour'")


@notices("17-pause")
@over(MOVIES, PERSONS)
def test_what_is_deleted_while_a_person_decides_is_not_brought_back(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    write_without_a_trace(loaded)
    rebuild.swap(plan)
    loaded.assert_equal()


@contextmanager
def running(site: Site) -> Iterator[psycopg.Connection[Any]]:
    """Give out a transaction that runs."""
    with psycopg.connect(site.dsn) as transaction:
        transaction.execute("SELECT pg_current_xact_id()")
        yield transaction


@notices("17-young")
@pytest.mark.parametrize("ends", ["before the swap", "after it"])
@over(MOVIES, PERSONS)
def test_a_link_that_is_younger_than_what_runs_goes_before_the_swap(
    loaded: Site, ends: str
) -> None:
    rebuild = Rebuild(loaded)
    with running(loaded) as transaction:
        add_links(loaded)
        plan = rebuild.until_checked()
        if ends == "before the swap":
            transaction.rollback()
        take_links_away(loaded)
        rebuild.swap(plan)
    loaded.assert_equal()


def test_a_link_that_is_younger_than_what_runs_goes_after_the_swap(loaded: Site) -> None:
    with running(loaded):
        add_links(loaded)
        Rebuild(loaded).run()
    run(loaded)
    take_links_away(loaded)
    loaded.reconcile("presence", "touched")
    loaded.assert_equal()


def test_of_a_transaction_that_begins_in_the_check_only_later_documents_are_compared_again(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    rebuild.loaded(plan, rebuild.load_all(plan))
    with ExitStack() as stack:
        added: list[str] = []

        def beside_what_runs(candidate: Candidate) -> int:
            stack.enter_context(running(loaded))
            added.append(loaded.add_root("With links"))
            add_links(loaded, "title = 'With links'")
            return catch_up(candidate)

        monkeypatch.setattr(gate, "catch_up", beside_what_runs)
        rebuild.check(plan)
    compared: list[str] = []
    compare = Comparer.compare

    def noted(self: Comparer, ids: Sequence[str], found: Candidates) -> None:
        compared.extend(ids)
        compare(self, ids, found)

    monkeypatch.setattr(Comparer, "compare", noted)
    take_links_away(loaded)
    rebuild.swap(plan)
    assert {*added} <= set(compared)
    # Documents of a part are compared together, and two of seven may be of the same part.
    assert len(set(compared)) <= 3
    loaded.assert_equal()


def test_so_many_transactions_later_that_nothing_tells_them_apart_everything_is_compared(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    write_without_a_trace(loaded)
    monkeypatch.setattr(traces, "MOST_BETWEEN", 0)
    monkeypatch.setattr(since, "_looked", lambda _, last, __: last)
    rebuild.swap(plan)
    loaded.assert_equal()


def test_what_was_deleted_since_the_swap_is_not_brought_back_by_a_rollback(loaded: Site) -> None:
    loaded.reconcile()
    before = behind(loaded)
    Rebuild(loaded).run()
    run(loaded)
    write_without_a_trace(loaded)
    loaded.reconcile()
    loaded.assert_equal()
    assert Rebuild(loaded, "manual__2", Asked(rollback=True)).run()["index"] == before
    loaded.assert_equal()


def test_a_rollback_to_an_index_that_no_reconcile_looked_at_compares_everything(
    loaded: Site,
) -> None:
    before = behind(loaded)
    Rebuild(loaded).run()
    run(loaded)
    write_without_a_trace(loaded)
    assert Rebuild(loaded, "manual__2", Asked(rollback=True)).run()["index"] == before
    loaded.assert_equal()


def test_the_reconcile_goes_on_from_what_the_check_compared(loaded: Site) -> None:
    loaded.reconcile()
    before = loaded.reconciled.load()
    Rebuild(loaded).run()
    after = loaded.reconciled.load()
    assert before is not None
    assert after is not None
    assert after.index != before.index
    assert before.verified_at
    assert after.verified_at
    assert after.verified_at > before.verified_at
    assert after.results == before.results
    run(loaded)
    write_without_a_trace(loaded)
    loaded.reconcile("presence", "touched")  # with no pass over everything
    loaded.assert_equal()


# -- the fuses of a rollback ----------------------------------------------------------------------


@pytest.fixture
def rolled_on(loaded: Site, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A site after a rebuild; more than two deletions are for a person to decide."""
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 2)
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    rebuild.swap(plan)
    run(loaded)
    return plan


def delete_three(site: Site) -> None:
    site.execute("DELETE FROM content.film_work WHERE title IN ('Film 1', 'Film 2', 'Film 3')")


def answer(site: Site, *, approve: bool) -> None:
    """Answer the question about the list that a run has found."""
    with site.beside() as resources:
        ((waiting, _),) = lists_of(resources).open(resources.context.uuid)
        if approve:
            approved(resources, site.settings, waiting.digest, None)
        else:
            refused(resources, waiting.digest, None)


def test_a_rollback_deletes_no_more_than_the_fuse_lets_pass(loaded: Site, rolled_on: Plan) -> None:
    delete_three(loaded)
    rollback = Rebuild(loaded, "manual__2", Asked(rollback=True))
    plan = rollback.begin()
    with pytest.raises(ConfigurationError, match=r"3 of 7 documents have no row.*movies_purge"):
        rollback.check(plan)
    assert behind(loaded) == rolled_on.context.index
    assert len(documents(loaded, plan.context.index)) == 7
    run(loaded)
    answer(loaded, approve=True)
    rollback.check(plan)
    rollback.swap(plan)
    loaded.assert_equal()


def test_a_rollback_keeps_what_a_person_refused_to_delete(loaded: Site, rolled_on: Plan) -> None:
    delete_three(loaded)
    run(loaded)
    answer(loaded, approve=False)
    rollback = Rebuild(loaded, "manual__2", Asked(rollback=True))
    assert rollback.run()["index"] == rolled_on.replaces
    loaded.reconcile()
    run(loaded)
    assert len(loaded.documents()) == 7
    with loaded.beside() as resources:
        ((refused_list, _),) = lists_of(resources).open(resources.context.uuid)
    assert (refused_list.state, refused_list.count) == ("refused", 3)
