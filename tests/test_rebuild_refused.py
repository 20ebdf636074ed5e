"""A rebuild that must not be: refused before anything is made, or before the alias moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import AuthorizationException
from movies_etl.errors import ConfigurationError, RefusedDocumentsError
from movies_etl.es import room
from movies_etl.es.family import family
from movies_etl.es.index import Index
from movies_etl.es.room import to_stay_free
from movies_etl.rebuild import aliases as rebuild_aliases
from movies_etl.rebuild import gate
from movies_etl.rebuild.beside import fed_indexes
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.correct import correct
from movies_etl.reconcile.candidates import Candidates
from movies_etl.sync.resources import Resources

from tests.support.rebuild import Asked, Rebuild
from tests.support.site import Site

GIGABYTE = 1024**3


def retyped(include: Path, field: str, **parameters: object) -> None:
    """Give a field of the mapping's file other parameters."""
    file = include / "elasticsearch" / "movies.json"
    described = json.loads(file.read_text())
    described["mappings"]["properties"][field] = parameters
    file.write_text(json.dumps(described))


def nothing_is_made(site: Site) -> None:
    assert len(family(site.client, site.definition)) == 1
    assert site.cursors.indexes() == []


def test_before_the_first_load_there_is_nothing_to_rebuild(small: Site) -> None:
    with pytest.raises(ConfigurationError, match="nothing to rebuild yet: the first load by mov"):
        Rebuild(small).begin()


def test_a_cluster_without_room_for_shards_is_refused_with_the_numbers(loaded: Site) -> None:
    name = "cluster.max_shards_per_node"
    loaded.client.cluster.put_settings(persistent={name: "1"})
    try:
        with pytest.raises(ConfigurationError, match=r"no room .*1 more shards .* of at most 1 \("):
            Rebuild(loaded).begin()
    finally:
        loaded.client.cluster.put_settings(persistent={name: None})
    nothing_is_made(loaded)


def test_a_cluster_without_room_on_its_disks_is_refused_with_the_numbers(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are made up: a disk of the machine may be as full as it likes."""
    low = "cluster.routing.allocation.disk.watermark.low"
    monkeypatch.setattr(room, "_settings", lambda _: {low: "0.0001%"})
    with pytest.raises(
        ConfigurationError, match=r"GB of disk are needed .* 0\.0 GB are free .*low is 0\.0001%\)"
    ):
        Rebuild(loaded).begin()
    nothing_is_made(loaded)


def test_a_login_that_may_not_look_for_room_is_warned_of(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: object) -> None:
        meta = ApiResponseMeta(
            403, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "localhost", 9200)
        )
        raise AuthorizationException("no", meta, {})

    monkeypatch.setattr(room, "_settings", refused)
    Rebuild(loaded).begin()
    assert "may not look whether the cluster has room (cluster privilege monitor)" in caplog.text


@pytest.mark.parametrize(
    ("watermark", "headroom", "free"),
    [
        ("85%", "-1", 150 * GIGABYTE),
        ("0.85", "-1", 150 * GIGABYTE),
        ("85%", "100gb", 100 * GIGABYTE),
        ("50gb", "-1", 50 * GIGABYTE),
    ],
)
def test_what_stays_free_is_a_share_or_a_size(watermark: str, headroom: str, free: int) -> None:
    assert to_stay_free(1000 * GIGABYTE, watermark, headroom) == pytest.approx(free)


def test_documents_that_are_not_valid_are_refused_before_anything_is_made(
    loaded: Site, include: Path
) -> None:
    file = include / "sql" / "movies" / "documents.sql"
    file.write_text(file.read_text().replace('"title":', '"name":'))
    with pytest.raises(ConfigurationError, match=r"None of 7 documents .* is valid: "):
        Rebuild(loaded).begin()
    nothing_is_made(loaded)


def test_a_mapping_that_elasticsearch_refuses_makes_nothing(loaded: Site, include: Path) -> None:
    retyped(include, "title", type="text", analyzer="unknown")
    with pytest.raises(ConfigurationError, match="unknown"):
        Rebuild(loaded).begin()
    nothing_is_made(loaded)


def test_a_mapping_that_does_not_fit_keeps_the_alias_where_it_is(
    loaded: Site, include: Path
) -> None:
    (before,) = loaded.client.indices.get_alias(name="movies")
    described = loaded.client.indices.get(index=before).body
    cursors = dict(loaded.cursors.texts)
    retyped(include, "title", type="date")
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    results = rebuild.load_all(plan)
    rebuild.loaded(plan, results)
    with pytest.raises(RefusedDocumentsError, match=r"refuses 7 documents .*-dead-letters says"):
        rebuild.check(plan)
    assert loaded.client.indices.get(index="movies").body == described
    assert loaded.cursors.texts == cursors
    assert loaded.letters() == {}  # those of the live index
    assert fed_indexes(loaded.client, loaded.definition, loaded.cursors, live=before) == []
    loaded.reconnect()
    assert sum(counter.read for counter in loaded.run().values()) == 0
    loaded.assert_equal()


@pytest.fixture
def _counted_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few missing documents be too many, and ask a bad count again at once."""
    monkeypatch.setattr(gate, "FEWER_DOCUMENTS", 1)
    monkeypatch.setattr(gate, "COUNT_AFTER_SECONDS", (0, 0))


@pytest.mark.usefixtures("_counted_closely")
def test_an_index_with_far_fewer_documents_does_not_take_the_alias(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    loaded.execute("DELETE FROM content.film_work WHERE title LIKE %s", "Film _")
    loaded.add_film(modified="now()")
    results = rebuild.load_all(plan)
    rebuild.loaded(plan, results)
    with pytest.raises(ConfigurationError, match=r"it has 1 documents and .* has 7"):
        rebuild.check(plan)


@pytest.mark.usefixtures("_counted_closely")
def test_a_count_that_lacks_documents_for_a_moment_is_asked_again(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    rebuild.loaded(plan, rebuild.load_all(plan))
    count, lies = Index.documents, [3]

    def lying(index: Index) -> int:
        return lies.pop() if index.name == plan.context.index and lies else count(index)

    def compared(candidate: Candidate, resources: Resources, found: Candidates) -> None:
        correct(candidate, resources, found)
        monkeypatch.setattr(Index, "documents", lying)

    monkeypatch.setattr(gate, "correct", compared)
    assert rebuild.check(plan)["documents"] == 7
    assert lies == []


def test_copies_that_take_long_are_told_and_hold_up_nothing(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[dict[str, object]] = []

    def slow(_: object, **request: object) -> dict[str, bool]:
        asked.append(request)
        return {"timed_out": True}

    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    rebuild.loaded(plan, rebuild.load_all(plan))
    monkeypatch.setattr(type(loaded.client.cluster), "health", slow)
    rebuild.check(plan)
    assert [(one["index"], one["wait_for_no_initializing_shards"]) for one in asked] == [
        (plan.context.index, True)
    ]
    assert f"Copies of {plan.context.index} are still being made" in caplog.text


def test_an_alias_that_somebody_moved_meanwhile_is_left_alone(loaded: Site) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    loaded.client.indices.create(index="other")
    loaded.client.indices.update_aliases(
        actions=[
            {"remove": {"index": plan.replaces, "alias": "movies"}},
            {"add": {"index": "other", "alias": "movies"}},
        ]
    )
    with pytest.raises(ConfigurationError, match="leads to other, but this run began with"):
        rebuild.swap(plan)
    assert [*loaded.client.indices.get_alias(name="movies")] == ["other"]


def test_searches_of_the_site_are_compared(loaded: Site, include: Path) -> None:
    folder = include / "elasticsearch" / "searches"
    searches = [
        {"name": "all", "body": {"query": {"match_all": {}}}},
        {"name": "broken", "body": {"query": {"nothing": {}}}},
        {"name": "misspelt", "body": {"quary": {"match_all": {}}}},
    ]
    (folder / "movies.json").write_text(json.dumps(searches))
    rebuild = Rebuild(loaded)
    plan = rebuild.begin()
    rebuild.loaded(plan, rebuild.load_all(plan))
    (result,) = rebuild.check(plan)["searches"]
    assert (result["name"], result["same"], result["of"]) == ("all", 7, 7)
    (folder / "movies.json").write_text('{"name": "all"}')
    with pytest.raises(ConfigurationError, match="no list of objects with name and body"):
        rebuild.check(plan)


def test_init_says_that_documents_are_made_otherwise_now_until_they_are_rebuilt(
    loaded: Site, include: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = include / "sql" / "movies" / "documents.sql"
    file.write_text(file.read_text().replace("film.title", "upper(film.title)"))
    loaded.open()
    (told,) = [one for one in caplog.messages if "another documents.sql" in one]
    assert told.endswith("stay as they are, until movies_reindex has made it anew")
    Rebuild(loaded).run()
    caplog.clear()
    loaded.reconnect()
    loaded.open()
    assert "another documents.sql" not in caplog.text
    loaded.client.indices.refresh(index="movies")
    hits = loaded.client.search(index="movies", size=10)["hits"]["hits"]
    assert {hit["_source"]["title"] for hit in hits} == {f"FILM {number}" for number in range(7)}


def test_an_index_that_was_begun_with_other_files_is_not_gone_on_with(
    loaded: Site, include: Path
) -> None:
    plan = Rebuild(loaded).begin()
    over = {"manual__1": "failed"}
    assert Rebuild(loaded, "manual__2", Asked(resume=True), over).begin().resumes
    retyped(include, "title", type="keyword")
    over["manual__2"] = "failed"
    with pytest.raises(ConfigurationError, match=f"{plan.context.index} was begun with another"):
        Rebuild(loaded, "manual__3", Asked(resume=True), over).begin()
    assert Rebuild(loaded, "manual__3", states=over).begin().context.uuid != plan.context.uuid


def test_an_index_whose_aliases_are_refused_is_no_index_that_was_live(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuild(loaded)
    plan = rebuild.until_checked()
    refused = [{"add": {"index": plan.context.index, "alias": "in#valid"}}]
    with monkeypatch.context() as patches:
        patches.setattr(rebuild_aliases, "moved", lambda _: refused)
        with pytest.raises(ConfigurationError, match="in#valid"):
            rebuild.swap(plan)
    assert [*loaded.client.indices.get_alias(name="movies")] == [plan.replaces]
    with pytest.raises(ConfigurationError, match="No index is kept"):
        Rebuild(loaded, "manual__2", Asked(rollback=True)).begin()
    assert rebuild.swap(plan)["index"] == plan.context.index
