"""One part of the page that cannot be read hides no other: it is named, and the rest is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError
from movies_etl.page.day import last_day
from movies_etl.page.freshness import IndexState, freshness
from movies_etl.page.inquiry import known_of
from movies_etl.page.letters import letters
from movies_etl.page.lookup import looked_up
from movies_etl.page.memory import Finished, Run
from movies_etl.page.verdict import verdict
from movies_etl.page.visitor import as_a_visitor
from movies_etl.postgres.source import Source

from tests.support.page_servers import SiteServers, have_patience
from tests.support.site import Site

MINUTE = timedelta(minutes=1)
NOBODY = {"index.routing.allocation.require._name": "nobody"}
"""Settings of an index of which no node takes a shard: it is red."""

STRICT = {"dynamic": "strict"}
"""A mapping as this program's indexes have it."""


@pytest.fixture
def servers(site: Site, monkeypatch: pytest.MonkeyPatch) -> SiteServers:
    have_patience(monkeypatch)
    return SiteServers(site)


def fresh(servers: SiteServers) -> IndexState:
    return freshness(servers.site.definition, servers, MINUTE)


def make_red(site: Site, name: str, **aliases: Mapping[str, object]) -> None:
    """Make an index that cannot be read."""
    site.client.indices.create(
        index=name,
        settings=NOBODY,
        mappings=STRICT,
        aliases=aliases,
        wait_for_active_shards="0",
    )


def film_of(site: Site) -> str:
    (film,) = site.execute("SELECT id::text FROM content.film_work LIMIT 1").fetchone() or ("",)
    return str(film)


def test_a_red_index_beside_the_live_one_is_named_and_the_live_one_is_shown(
    loaded: Site, servers: SiteServers
) -> None:
    red = "movies-20200101000000"
    make_red(loaded, red)
    told = fresh(servers)
    assert told.problems == []
    assert told.word.headline == "Up to date"
    assert (told.documents, told.letters) == (7, 0)
    assert [(one.name, one.documents) for one in told.beside] == [(red, None)]
    assert told.beside[0].created
    (said,) = told.unread
    assert said.startswith(f"Index {red}: ")
    assert verdict(known_of(loaded.definition, servers, film_of(loaded))).state == "found"


def test_red_dead_letters_hide_neither_the_index_nor_a_document(
    loaded: Site, servers: SiteServers
) -> None:
    name = loaded.definition.dead_letters
    loaded.client.indices.delete(index=name)
    make_red(loaded, name)
    told = fresh(servers)
    assert (told.documents, told.letters, told.problems) == (7, None, [])
    assert [one.startswith("Dead letters: ") for one in told.unread] == [True]
    assert letters(loaded.definition, servers).problem
    film = film_of(loaded)
    assert verdict(known_of(loaded.definition, servers, film)).state == "found"
    loaded.client.delete(index=loaded.definition.alias, id=film, refresh=True)
    known = known_of(loaded.definition, servers, film)
    assert "Dead letters" in known.problems[0]
    said = verdict(known)
    assert (said.state, said.action) == ("unknown", None)
    assert "without what could not be read" in said.sentence


def test_a_red_live_index_is_no_empty_one(loaded: Site, servers: SiteServers) -> None:
    red, film = "movies-20200101000001", film_of(loaded)
    loaded.client.indices.delete(index=fresh(servers).concrete or "")
    make_red(loaded, red, movies={})
    told = fresh(servers)
    assert (told.concrete, told.documents) == (red, None)
    assert told.word.state == "unknown"
    assert (told.rows, told.letters) == (7, 0)
    known = known_of(loaded.definition, servers, film)
    assert known.row
    assert known.row.exists
    assert (known.document, verdict(known).state) == (None, "unknown")
    assert as_a_visitor(loaded.definition, servers, "Film").problem
    assert looked_up(loaded.definition, servers, film).id == film


def test_an_alias_that_leads_nowhere_finds_nothing_and_says_so(
    loaded: Site, servers: SiteServers
) -> None:
    index = fresh(servers).concrete or ""
    loaded.client.indices.delete_alias(index=index, name="movies")
    told = fresh(servers)
    assert (told.word.state, told.word.headline) == ("stuck", "Searches find nothing")
    assert "the next run makes one" in told.word.because
    assert (told.concrete, told.knows_index) == (None, True)
    assert [one.name for one in told.beside] == [index]
    servers.paused = True
    assert "paused" in fresh(servers).word.because


def test_an_alias_with_two_indexes_is_named_and_they_are_shown(
    loaded: Site, servers: SiteServers
) -> None:
    index = fresh(servers).concrete or ""
    other = "movies-20200101000002"
    loaded.client.indices.create(index=other, mappings=STRICT, aliases={"movies": {}})
    told = fresh(servers)
    assert told.word.state == "unknown"
    assert f"points to {', '.join(sorted([index, other]))}" in told.word.because
    assert [one.name for one in told.beside] == sorted([index, other], reverse=True)
    assert (told.rows, told.letters) == (7, 0)


def test_an_index_without_its_alias_hides_no_other_index(
    loaded: Site, servers: SiteServers
) -> None:
    for definition in declared().values():
        if definition is not loaded.definition:
            other = freshness(definition, servers, MINUTE)
            assert other.concrete is None
            assert other.word.state in ("loading", "stuck")
            assert as_a_visitor(definition, servers, "x").problem
    assert fresh(servers).word.state == "current"


def test_rows_that_cannot_be_counted_are_told_as_they_were_at_the_last_comparison(
    loaded: Site, servers: SiteServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.run_and_check()

    def refused(_: Source) -> int:
        raise ConfigurationError("no answer")

    monkeypatch.setattr(Source, "count", refused)
    told = fresh(servers)
    assert told.word.state == "current"
    assert (told.rows, told.unread) == (7, ["The number of rows: no answer"])


def test_a_stream_whose_table_is_gone_hides_no_other_stream(
    loaded: Site, servers: SiteServers
) -> None:
    """Its columns are known from before; here it goes between two of the page's questions."""
    film = film_of(loaded)
    count = Source.count_changed

    def without_persons(source: Source, *arguments: object, **named: object) -> int:
        if "person" in str(arguments[0]):
            loaded.execute("ALTER TABLE content.person RENAME TO gone")
            try:
                return count(source, *arguments, **named)  # type: ignore[arg-type]
            finally:
                loaded.execute("ALTER TABLE content.gone RENAME TO person")
        return count(source, *arguments, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as during:
        during.setattr(Source, "count_changed", without_persons)
        told = fresh(servers)
        known = known_of(loaded.definition, servers, film)
    waiting = {one.name: one.waiting for one in told.streams}
    assert waiting == {"film_work": 0, "genre": 0, "person": None}
    assert told.word.state == "unknown"
    assert "Rows of person that wait" in told.word.because
    assert (told.rows, told.documents) == (7, 7)
    assert known.row
    assert (known.row.exists, known.row.behind) == (True, None)
    assert verdict(known).state == "found"


def test_a_task_that_returned_something_else_hides_no_day(servers: SiteServers) -> None:
    ended = datetime.now(UTC)
    run = Run(run_id="r", state="success", started=ended - MINUTE, ended=ended)
    odd = {"indexed": "many", "seconds": None, "deleted": [1]}
    servers.ended = [Finished(run, {"a": odd, "b": {"indexed": 3, "seconds": 1.5}})]
    total = last_day(servers.site.definition, servers).total
    assert total
    assert (total.runs, total.indexed, total.deleted, total.rate) == (1, 3, 0, 2.0)
