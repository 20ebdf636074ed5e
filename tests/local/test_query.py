"""The command that prints a query filled in."""

from __future__ import annotations

import re

import pytest
from movies_etl.definitions.registry import declared

from local import __main__ as command_line
from local.query import FOLDER, query
from tests.support.catalogue import Catalogue


def test_a_query_is_printed_with_the_names_of_a_stream_s_feed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line.main(["sql", "feed/page.sql", "person"]) == 0
    told = capsys.readouterr().out
    assert 'FROM "content"."person" AS feed' in told
    assert 'ORDER BY feed."modified", feed.id' in told
    assert "NULL::text AS root" in told
    assert told.startswith("-- Changed rows of a feed")


def test_the_links_of_a_stream_and_the_streams_of_another_index_may_be_asked_for() -> None:
    links = query("page", "genre", links=True)
    assert 'FROM "content"."genre_film_work" AS feed' in links
    assert '"film_work_id"::text AS root' in links
    fan_out = query("feed/fan_out", "film_work", index="persons")
    assert 'link."film_work_id" = changed.id' in fan_out
    assert 'FROM "content"."genre"' in query("root/count", None, index="genres")


def test_names_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_SCHEMA", "films")
    monkeypatch.setenv("MOVIES_ETL_MODIFIED_COLUMN", "updated_at")
    assert 'FROM "films"."film_work" AS feed' in query("page", None)
    assert 'feed."updated_at"' in query("page", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no query is named 'nothing'; there are activity, "),
        (["documents"], "no query is named 'documents'; there are "),
        (["page", "title"], "no stream is named 'title'; there are film_work, genre, person"),
        (["page", "--index", "films"], "no index is named 'films'; there are movies, "),
        (["page", "--links"], "stream film_work of movies has no links"),
        (["fan_out"], "rows of film_work are documents of movies"),
        (["../../local/schema"], "no query is named"),
    ],
)
def test_what_there_is_not_is_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["sql", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("index", declared())
def test_every_query_of_an_index_can_be_printed_and_run_by_hand(
    catalogue: Catalogue, index: str
) -> None:
    for path in sorted(FOLDER.rglob("*.sql")):
        if path.parent.name in {"feed", "root", index} and path.stem != "fan_out":
            text = query(str(path.relative_to(FOLDER)), None, index=index)
            plain = re.sub(r"%\(\w+\)s", "NULL", text)
            catalogue.connection.execute(f"EXPLAIN {plain}".encode())
