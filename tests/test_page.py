"""What the page of operators says, over real servers: why a film is not found, and what waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page.freshness import IndexState, freshness
from movies_etl.page.inquiry import known_of
from movies_etl.page.labels import to_the_second
from movies_etl.page.letters import letters
from movies_etl.page.lookup import looked_up
from movies_etl.page.memory import Rebuild as Remembered
from movies_etl.page.memory import Run, TasksSeen
from movies_etl.page.steps import Step, steps
from movies_etl.page.verdict import Verdict, verdict
from movies_etl.page.visitor import as_a_visitor
from movies_etl.sync.asked_for import RunParams
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.elasticsearch import Elasticsearch
from tests.support.indices import each_index
from tests.support.page_servers import SiteServers, have_patience
from tests.support.proxy import Proxy, silence
from tests.support.rebuild import Rebuild
from tests.support.servers import free_port
from tests.support.site import Site

MINUTE = timedelta(minutes=1)
ENOUGH = 5.0
"""Seconds within which a busy machine has what the page answers within two."""


@pytest.fixture
def servers(site: Site, monkeypatch: pytest.MonkeyPatch) -> SiteServers:
    have_patience(monkeypatch)
    return SiteServers(site)


@pytest.fixture
def hurried(site: Site) -> SiteServers:
    """The same with the time that the page has."""
    return SiteServers(site)


def judged(servers: SiteServers, id_: str) -> Verdict:
    return verdict(known_of(servers.site.definition, servers, id_))


def way(servers: SiteServers, id_: str) -> list[Step]:
    return steps(known_of(servers.site.definition, servers, id_))


def states(servers: SiteServers, id_: str) -> list[str]:
    return [step.state for step in way(servers, id_)]


def fresh(servers: SiteServers) -> IndexState:
    return freshness(servers.site.definition, servers, MINUTE)


# -- why is it not found? ------------------------------------------------------------------------


@each_index
def test_what_equals_the_catalogue_is_found_by_its_title(site: Site, servers: SiteServers) -> None:
    root = site.add_root("Solaris")
    site.run()
    site.client.indices.refresh(index=site.definition.alias)
    said = judged(servers, root)
    assert said.state == "found"
    assert "place 1" in said.sentence
    assert said.action is None
    assert states(servers, root) == ["yes"] * 6


@each_index
def test_a_new_row_waits_for_the_next_run(site: Site, servers: SiteServers) -> None:
    site.add_root("Before")
    site.run()
    root = site.add_root("Solaris", modified=datetime.now(UTC))
    said = judged(servers, root)
    assert said.state == "waiting"
    assert "after the last run looked" in said.sentence
    assert said.action
    assert (said.action.dag, said.action.conf) == (site.definition.sync_dag, {})
    assert states(servers, root) == ["yes", "waits", "yes", "yes", "no", "no"]
    cursor = site.cursors.load(site.definition.root.name)
    assert cursor
    assert cursor.rows
    assert cursor.horizon
    at, confirmed = (to_the_second(stamp) for stamp in (cursor.rows.stamp, cursor.horizon))
    (passed,) = (one.text for one in way(servers, root) if one.name == "Passed by the cursor")
    assert passed == f"it stands at {at}; all is confirmed up to {confirmed}"
    site.run()
    assert judged(servers, root).state == "found"


def test_a_paused_dag_and_a_failed_run_are_named_beside_what_waits(
    site: Site, servers: SiteServers
) -> None:
    site.run()
    film = site.add_film(modified=datetime.now(UTC))
    servers.paused = True
    assert "movies_sync is paused" in judged(servers, film).next_step
    servers.paused = False
    servers.runs = (Run(run_id="r", state="failed", ended=datetime.now(UTC)),)
    assert "failed" in judged(servers, film).next_step
    servers.paused = None
    assert "does not know movies_sync" in judged(servers, film).next_step


def test_a_row_that_was_written_behind_the_cursor_is_missing_and_loading_it_helps(
    loaded: Site, servers: SiteServers
) -> None:
    loaded.add_film("Newest", modified=datetime.now(UTC) - MINUTE)
    loaded.run()
    film = loaded.add_film("Back-dated", modified=datetime(2001, 1, 1, tzinfo=UTC))
    said = judged(servers, film)
    assert said.state == "missing"
    assert said.action
    assert said.action.conf == {"ids": [film]}
    loaded.run(asked=RunParams(ids=[film]))
    assert judged(servers, film).state == "found"


def test_a_change_without_a_time_is_stale_and_the_fields_are_named(
    loaded: Site, servers: SiteServers
) -> None:
    (film,) = loaded.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    loaded.add_film("Newest", modified=datetime.now(UTC) - MINUTE)
    loaded.run()
    loaded.execute("UPDATE content.film_work SET title = 'Another', rating = 9 WHERE id = %s", film)
    known = known_of(loaded.definition, servers, film)
    assert [one.field for one in known.differences] == ["imdb_rating", "title"]
    assert known.differences[1].row == "Another"
    said = verdict(known)
    assert said.state == "stale"
    assert "(imdb_rating, title)" in said.sentence
    assert said.action
    assert said.action.conf == {"ids": [film]}


def test_another_film_that_waits_does_not_make_a_stale_one_wait(
    loaded: Site, servers: SiteServers
) -> None:
    (film,) = loaded.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    loaded.add_film("Newest", modified=datetime.now(UTC) - MINUTE)
    loaded.run()
    loaded.execute("UPDATE content.film_work SET title = 'Another' WHERE id = %s", film)
    loaded.add_film("Newer still", modified=datetime.now(UTC))
    assert judged(servers, film).state == "stale"


def test_a_film_whose_person_changed_waits_for_the_stream_of_persons(
    loaded: Site, servers: SiteServers
) -> None:
    (film,) = loaded.execute(
        "SELECT film_work_id::text FROM content.person_film_work LIMIT 1"
    ).fetchone() or ("",)
    loaded.execute("UPDATE content.person SET full_name = 'Zed', modified = now()")
    said = judged(servers, film)
    assert said.state == "waiting"
    assert "rows of person wait" in said.sentence


def test_a_refused_film_says_why_and_is_tried_again(loaded: Site, servers: SiteServers) -> None:
    film = loaded.add_film("Bad", rating="NaN", modified=datetime.now(UTC))
    said = judged(servers, film)
    assert said.state == "waiting"
    assert "will be refused" in said.sentence
    loaded.run()
    said = judged(servers, film)
    assert said.state == "refused"
    assert "NaN" in said.sentence
    assert "never indexed" in said.sentence
    assert "Correct its row" in said.next_step
    assert said.action
    assert said.action.conf == {"replay": [film]}
    assert states(servers, film)[2:5] == ["no", "no", "no"]
    listed = letters(loaded.definition, servers)
    assert (listed.total, [one.id for one in listed.letters]) == (1, [film])
    assert listed.letters[0].cause == "a value does not fit the model"
    assert listed.letters[0].label == "Bad"

    loaded.execute("UPDATE content.film_work SET rating = 5 WHERE id = %s", film)
    assert "Try it again" in judged(servers, film).next_step
    loaded.run(asked=RunParams(replay=[film]))
    assert judged(servers, film).state == "found"
    assert letters(loaded.definition, servers).total == 0


def test_a_deleted_film_and_one_that_never_was_are_told_apart(
    loaded: Site, servers: SiteServers
) -> None:
    film = loaded.add_film(modified=datetime.now(UTC))
    loaded.run()
    loaded.execute("DELETE FROM content.film_work WHERE id = %s", film)
    said = judged(servers, film)
    assert (said.state, said.action is not None) == ("gone", True)
    assert "still in the index" in said.sentence
    loaded.run_and_check()
    said = judged(servers, film)
    assert (said.state, said.action) == ("gone", None)
    assert "none either" in said.sentence


def test_a_row_without_a_time_is_read_in_every_run(loaded: Site, servers: SiteServers) -> None:
    film = loaded.add_film(modified=None)
    said = judged(servers, film)
    assert said.state == "waiting"
    assert "read in every run" in said.sentence


def test_nothing_is_loaded_before_the_first_run(small: Site, servers: SiteServers) -> None:
    (film,) = small.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    assert "no index" in judged(servers, film).sentence
    assert fresh(servers).word.state == "loading"
    assert as_a_visitor(small.definition, servers, "Film").problem
    assert letters(small.definition, servers).total == 0


@each_index
def test_an_id_is_taken_as_such_and_words_lead_to_titles_on_both_sides(
    site: Site, servers: SiteServers
) -> None:
    found = site.add_root("The Mirror")
    site.run()
    site.client.indices.refresh(index=site.definition.alias)
    missing = site.add_root("Broken mirror 100%")
    assert looked_up(site.definition, servers, found.upper()).id == found
    told = looked_up(site.definition, servers, "mirror").candidates
    assert [(one.id, one.in_catalogue, one.in_index) for one in told] == [
        (found, True, True),
        (missing, True, False),
    ]
    (only,) = looked_up(site.definition, servers, "100% broken").candidates
    assert only.id == missing
    assert [one.label for one in looked_up(site.definition, servers, "mirrror").candidates] == [
        "The Mirror"
    ]


def test_ids_of_text_are_taken_as_such_only_where_a_row_has_them(
    site: Site, servers: SiteServers
) -> None:
    site.use_text_ids()
    film = site.add_film("Stalker")
    assert looked_up(site.definition, servers, film).id == film
    told = looked_up(site.definition, servers, "stalker")
    assert (told.id, [one.id for one in told.candidates]) == (None, [film])


# -- is search up to date? -----------------------------------------------------------------------


@each_index
def test_what_both_sides_have_and_what_waits_is_counted(small: Site, servers: SiteServers) -> None:
    small.run_and_check()
    small.client.indices.refresh(index=small.definition.alias)
    told = fresh(servers)
    rows = len(small.expected())
    assert (told.rows, told.documents, told.difference, told.letters) == (rows, rows, 0, 0)
    assert told.word.state == "current"
    assert told.word.headline == "Up to date"
    assert told.concrete
    assert told.concrete.startswith(f"{small.definition.name}-")
    assert all(one.lag is not None and one.lag < 60 for one in told.streams)

    small.change("Changed")
    told = fresh(servers)
    assert told.streams[0].waiting == rows
    assert told.word.state == "behind"
    assert told.word.headline.endswith(" s behind")


def test_a_rebuild_is_told_from_its_first_document_to_the_index_that_is_kept(
    loaded: Site, servers: SiteServers
) -> None:
    before = fresh(servers)
    assert (before.beside, before.rebuild) == ([], None)
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    run = Run(run_id=rebuild.run_id, state="running", started=datetime.now(UTC))
    loading = TasksSeen("load", "running", is_mapped=True)
    done = [TasksSeen(task, "success") for task in ("prepare", "split")]
    servers.rebuild = Remembered(run, (*done, loading))
    told = fresh(servers)
    assert told.rebuild
    assert (told.rebuild.index, told.rebuild.documents) == (plan.context.index, 0)
    assert (told.rebuild.done, told.rebuild.ranges) == (0, 1)
    assert [(one.name, one.fate) for one in told.beside] == [(plan.context.index, "made")]
    assert told.concrete == before.concrete

    (part,) = rebuild.split(plan)
    rebuild.loaded(plan, [rebuild.load(plan, part)])
    rebuild.check(plan)
    loaded.client.indices.refresh(index=plan.context.index)
    told = fresh(servers)
    assert told.rebuild
    assert told.rebuild.documents == told.documents == told.rows

    rebuild.swap(plan)
    servers.rebuild = Remembered(run.model_copy(update={"state": "success"}), ())
    told = fresh(servers)
    assert told.concrete == plan.context.index
    assert [(one.name, one.fate) for one in told.beside] == [(before.concrete, "kept")]


def test_an_open_transaction_and_a_paused_dag_are_named_as_what_holds_it_up(
    loaded: Site, servers: SiteServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movies_etl.page.word.PATIENT", timedelta(0))
    monkeypatch.setattr("movies_etl.page.word.PERIODS", 0)
    monkeypatch.setattr("movies_etl.page.catalogue.HELD_AFTER", timedelta(0))
    with psycopg.connect(loaded.dsn, application_name="nightly dump") as other:
        other.execute("SELECT 1")
        loaded.change("Changed")
        word = fresh(servers).word
        assert word.state == "stuck"
        assert word.headline.startswith("Not moving since ")
        assert f"pid {other.info.backend_pid}" in word.because
        assert "nightly dump" in word.because
        servers.paused = True
        assert "paused" in fresh(servers).word.because


# -- servers that are slow or away ---------------------------------------------------------------


@pytest.fixture
def silent_elasticsearch(elasticsearch_node: Elasticsearch) -> Iterator[Proxy]:
    with Proxy(elasticsearch_node.port, http=True) as proxy:
        proxy.plan(silence, times=float("inf"))
        yield proxy


@pytest.mark.long
def test_an_elasticsearch_that_is_silent_is_named_in_time_and_the_rest_is_shown(
    loaded: Site, hurried: SiteServers, silent_elasticsearch: Proxy
) -> None:
    hurried.url = f"http://127.0.0.1:{silent_elasticsearch.port}"
    began = time.monotonic()
    told = fresh(hurried)
    assert time.monotonic() - began < ENOUGH
    assert told.rows == 7
    assert (told.documents, told.concrete, told.knows_index) == (None, None, False)
    assert told.word.state == "unknown"
    assert "Elasticsearch" in told.word.because
    began = time.monotonic()
    (film,) = loaded.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    said = judged(hurried, film)
    assert time.monotonic() - began < ENOUGH
    assert said.state == "unknown"
    assert "the catalogue has this film" in said.sentence
    assert "Elasticsearch" in (letters(loaded.definition, hurried).problem or "")
    assert looked_up(loaded.definition, hurried, film).id == film


def test_a_postgres_behind_a_network_that_swallows_packets_is_named_in_time(
    loaded: Site, hurried: SiteServers
) -> None:
    with Proxy(int(str(conninfo_to_dict(loaded.dsn)["port"])), http=False) as proxy:
        hurried.dsn = make_conninfo(loaded.dsn, port=proxy.port)
        assert fresh(hurried).rows == 7
        proxy.plan(silence, pattern=b"film_work", times=float("inf"))
        for _ in range(2):  # first in the middle of a session, then from its beginning on
            began = time.monotonic()
            told = fresh(hurried)
            assert time.monotonic() - began < ENOUGH
            assert (told.rows, told.documents) == (None, 7)
            assert "PostgreSQL" in told.word.because
            assert "Elasticsearch" not in told.word.because
            proxy.plan(silence, times=float("inf"))


def test_a_postgres_that_is_away_is_named_and_the_index_still_answers(
    loaded: Site, servers: SiteServers
) -> None:
    (film,) = loaded.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    servers.dsn = f"postgresql://postgres@127.0.0.1:{free_port()}/movies"
    told = fresh(servers)
    assert (told.rows, told.word.state, told.knows_holder) == (None, "unknown", False)
    assert "PostgreSQL" in told.word.because
    said = judged(servers, film)
    assert "a document of it" in said.sentence
    assert looked_up(loaded.definition, servers, film).id == film


def test_a_postgres_that_hangs_is_named_in_time(loaded: Site, hurried: SiteServers) -> None:
    with psycopg.connect(loaded.dsn) as other:
        other.execute("LOCK TABLE content.film_work")
        began = time.monotonic()
        told = fresh(hurried)
        assert time.monotonic() - began < ENOUGH
        assert told.rows is None
        assert "PostgreSQL" in told.word.because
        assert told.documents == 7


# -- search as a visitor -------------------------------------------------------------------------


def test_a_visitor_finds_by_titles_and_names_with_typing_errors(
    site: Site, servers: SiteServers
) -> None:
    film = site.add_film("Solaris")
    site.cast(film, site.add_person("Natalya Bondarchuk"))
    site.run()
    site.client.indices.refresh(index=site.definition.alias)
    for words in ("solaris", "solariss", "bondarchuck"):
        found = as_a_visitor(site.definition, servers, words)
        assert [hit.label for hit in found.hits] == ["Solaris"]
    assert found.fields[0] == "title"
    assert found.hits[0].more["actors_names"] == ["Natalya Bondarchuk"]
    assert as_a_visitor(site.definition, servers, "xyzzy").total == 0


@each_index
def test_people_know_a_document_by_the_first_text_of_its_row(definition: IndexDefinition) -> None:
    known = {"movies": "title", "genres": "name", "persons": "full_name"}
    assert definition.text_column == known[definition.name]
