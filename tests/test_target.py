"""The index that a run writes to is this installation's, and has what the cursors have passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch
from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.es.index import Index
from movies_etl.state.cursors import Cursor

from local.postgres import Postgres
from tests.conftest import TEMPLATE
from tests.support.fresh import FreshDatabase
from tests.support.indices import each_index
from tests.support.protections import notices
from tests.support.site import Site, sent


@pytest.fixture
def other(loaded: Site, postgres: Postgres) -> Iterator[Site]:
    """A second environment: a database and cursors of its own, the same Elasticsearch."""
    dsn = FreshDatabase(postgres, "movies_other", TEMPLATE).emptied()
    with psycopg.connect(dsn, autocommit=True) as connection:
        other = Site(dsn, connection, loaded.client, loaded.definition)
        other.add_small_catalogue()
        other.change("Of another environment")
        yield other
        other.close()


def index_of(site: Site) -> Index:
    (name,) = site.client.indices.get_alias(name=site.definition.alias)
    return Index(site.client, site.definition, name)


def owner_of(site: Site) -> dict[str, Any]:
    owner: dict[str, Any] = index_of(site).mapping()["_meta"]["movies_etl"]
    return owner


def identifier(site: Site) -> str:
    ((found,),) = site.execute("SELECT system_identifier FROM pg_control_system()").fetchall()
    return str(found)


def has_all(site: Site) -> bool:
    """Whether the index has every document, beside those of another database."""
    documents = site.documents()
    return all(documents.get(id_) == wanted for id_, wanted in site.expected().items())


def everything(client: Elasticsearch) -> object:
    """Return what Elasticsearch holds: indexes, aliases, mappings, documents with versions."""
    client.indices.refresh(index="*")
    hits = client.search(index="*", version=True, size=1000)["hits"]["hits"]
    return dict(client.indices.get(index="*")), sorted(hits, key=lambda hit: hit["_id"])


# -- whose it is ----------------------------------------------------------------------------------


@each_index
def test_an_index_says_whose_it_is_from_its_creation(small: Site) -> None:
    small.open()
    wanted = {
        "database": "movies",
        "system_identifier": identifier(small),
        "version": __version__,
    }
    assert owner_of(small) == wanted


@each_index
def test_the_first_run_takes_a_name_that_is_free(small: Site) -> None:
    """A rebuild may have made an index in this second; it stays half-made when the alias goes."""
    alias = small.definition.alias
    ((now,),) = small.execute("SELECT now()").fetchall()
    taken = [f"{alias}-{now + timedelta(seconds=number):%Y%m%d%H%M%S}" for number in range(10)]
    for name in taken:
        small.client.indices.create(index=name)
    small.run()
    (made,) = small.client.indices.get_alias(name=alias)
    assert made > taken[-1]
    small.assert_equal()


@each_index
def test_an_index_that_another_environment_fills_is_refused_before_anything_is_written(
    loaded: Site, other: Site
) -> None:
    before = everything(loaded.client)
    with pytest.raises(ConfigurationError) as caught:
        other.run()
    said = str(caught.value)
    assert f"is filled from movies of cluster {identifier(loaded)}, but" in said
    assert "leads to movies_other of cluster" in said
    assert "set MOVIES_ETL_INDEX_PREFIX" in said
    assert everything(loaded.client) == before
    assert other.cursors.texts == {}
    assert sent(loaded.run()) == 0


@each_index
def test_two_environments_share_a_cluster_by_a_prefix(loaded: Site, other: Site) -> None:
    other.definition = other.definition.prefixed("staging-")
    before = loaded.versions()
    other.run()
    for _ in range(2):
        for site in (loaded, other):
            site.assert_equal()
            site.change(f"Again of {site.dsn[-8:]}", "text <> ''")
            site.run()
            site.assert_equal()
    assert loaded.versions().keys() == before.keys()
    assert owner_of(other)["database"] == "movies_other"
    names = loaded.client.indices.get(index="*")
    assert sum(name.startswith("staging-") for name in names) == 2
    assert len(names) == 4


def test_dead_letters_of_two_environments_lie_apart(loaded: Site, other: Site) -> None:
    other.definition = other.definition.prefixed("staging.")
    other.run()
    other.execute("UPDATE content.film_work SET rating = 'NaN', modified = now()")
    other.run()
    assert loaded.letters() == {}
    assert len(other.letters()) == len(other.versions())


@each_index
def test_an_index_of_version_0_1_0_is_claimed_and_loads_nothing_again(loaded: Site) -> None:
    index = index_of(loaded)
    index.client.indices.put_mapping(index=index.name, meta={"team": "search"})
    assert sent(loaded.run()) == 0
    assert index.mapping()["_meta"].keys() == {"team", "movies_etl"}
    assert owner_of(loaded)["database"] == "movies"


@pytest.mark.parametrize("meta", [{"movies_etl": "ours"}, {"movies_etl": {"database": 1}}])
def test_an_owner_that_is_none_is_overwritten(loaded: Site, meta: dict[str, Any]) -> None:
    loaded.client.indices.put_mapping(index=index_of(loaded).name, meta=meta)
    assert sent(loaded.run()) == 0
    assert owner_of(loaded)["database"] == "movies"


def test_an_owner_whose_cluster_was_not_known_learns_it(loaded: Site) -> None:
    owner = owner_of(loaded) | {"system_identifier": None}
    loaded.client.indices.put_mapping(index=index_of(loaded).name, meta={"movies_etl": owner})
    assert sent(loaded.run()) == 0
    assert owner_of(loaded)["system_identifier"] == identifier(loaded)


def test_an_index_of_a_database_of_that_name_in_another_cluster_is_refused(loaded: Site) -> None:
    owner = owner_of(loaded) | {"system_identifier": "7"}
    loaded.client.indices.put_mapping(index=index_of(loaded).name, meta={"movies_etl": owner})
    before = everything(loaded.client)
    with pytest.raises(ConfigurationError, match="is filled from movies of cluster 7, but"):
        loaded.run()  # though its cursors know the index, as filled from here
    assert everything(loaded.client) == before


@pytest.mark.parametrize(
    "mappings",
    [
        {},
        {"properties": {"title": {"type": "text"}}},
        {"properties": {"checksum": {"type": "long"}}},
        {"dynamic": "strict", "properties": {"checksum": {"type": "keyword"}}},
    ],
)
def test_an_index_that_this_program_did_not_make_is_refused(
    small: Site, mappings: dict[str, Any]
) -> None:
    small.client.indices.create(index="films", aliases={"movies": {}}, mappings=mappings)
    before = everything(small.client)
    with pytest.raises(ConfigurationError, match="films behind alias movies was not made by this"):
        small.run()
    assert everything(small.client) == before


@each_index
def test_another_database_is_loaded_whole_where_the_cursors_know_the_index(
    loaded: Site, other: Site, caplog: pytest.LogCaptureFixture
) -> None:
    other.cursors = loaded.cursors  # the connection was pointed to the other database
    assert sent(other.run()) == len(other.expected())
    assert has_all(other)
    assert "another database (movies_other) than before (movies)" in caplog.text
    assert owner_of(other)["database"] == "movies_other"
    assert sent(other.run()) == 0


def test_an_index_that_goes_along_is_loaded_whole_even_if_init_dies_after_claiming_it(
    loaded: Site, other: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.cursors = loaded.cursors
    with monkeypatch.context() as patch:
        patch.setattr(other.cursors, "save", lambda *_: next(iter(())))
        with pytest.raises(StopIteration):
            other.open()
    assert owner_of(other)["database"] == "movies_other"
    assert sent(other.run()) == len(other.expected())
    assert has_all(other)


def test_an_index_is_handed_over_by_the_request_that_is_recommended(
    loaded: Site, other: Site
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        other.run()
    name = index_of(loaded).name
    assert f'by PUT /{name}/_mapping with {{"_meta": {{}}}}' in str(caught.value)
    loaded.client.indices.put_mapping(index=name, meta={})
    assert sent(other.run()) == len(other.expected())
    assert has_all(other)
    with pytest.raises(ConfigurationError, match="is filled from movies_other"):
        loaded.run()


# -- what it lost ---------------------------------------------------------------------------------


@pytest.fixture
def snapshot(loaded: Site) -> Iterator[str]:
    """A snapshot of the loaded index; returns its repository."""
    snapshots = loaded.client.snapshot
    snapshots.create_repository(
        name="backup", repository={"type": "fs", "settings": {"location": "backup"}}
    )
    try:
        snapshots.create(
            repository="backup",
            snapshot="first",
            indices=loaded.definition.alias,
            include_global_state=False,
            wait_for_completion=True,
        )
        yield "backup"
    finally:
        snapshots.delete(repository="backup", snapshot="*")
        snapshots.delete_repository(name="backup")


def restore(site: Site, repository: str) -> None:
    name = index_of(site).name
    site.client.indices.close(index=name)
    site.client.snapshot.restore(
        repository=repository, snapshot="first", indices=name, wait_for_completion=True
    )


@each_index
@notices("13-restored")
def test_a_restored_index_is_loaded_again(
    loaded: Site, snapshot: str, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = index_of(loaded).uuid()
    loaded.change("Changed since", "text = (SELECT min(text) FROM content." + loaded.table + ")")
    loaded.add_root("Fresh", modified="now()")
    loaded.run()
    restore(loaded, snapshot)
    assert index_of(loaded).uuid() == uuid
    assert loaded.documents() != loaded.expected()
    assert sent(loaded.run()) == len(loaded.expected())
    loaded.assert_equal()
    assert f"Everything is loaded: index {index_of(loaded).name} was restored" in caplog.text
    assert sent(loaded.run()) == 0


@pytest.mark.parametrize("saves", [0, 1, 2])
def test_a_restored_index_is_loaded_again_although_init_dies_between_two_cursors(
    loaded: Site, snapshot: str, saves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.change("Changed since")
    loaded.execute("UPDATE content.genre SET name = name || ' again', modified = now()")
    loaded.run()
    restore(loaded, snapshot)
    save, left = loaded.cursors.save, iter(range(saves))

    def save_or_die(stream: str, cursor: Cursor) -> None:
        next(left)
        save(stream, cursor)

    with monkeypatch.context() as patch:
        patch.setattr(loaded.cursors, "save", save_or_die)
        with pytest.raises(StopIteration):
            loaded.open()
    loaded.run()
    loaded.assert_equal()


@each_index
def test_an_index_that_was_closed_and_opened_is_not_loaded_again(loaded: Site) -> None:
    name = index_of(loaded).name
    loaded.client.indices.close(index=name)
    loaded.client.indices.open(index=name)
    assert sent(loaded.run()) == 0


def test_a_history_that_cannot_be_told_loads_nothing_and_is_remembered(
    loaded: Site, snapshot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.change("Changed since")
    loaded.run()
    restore(loaded, snapshot)
    with monkeypatch.context() as patch:
        patch.setattr(Index, "history", lambda _: None)
        assert sent(loaded.run()) == 0
    assert sent(loaded.run()) == len(loaded.expected())
    loaded.assert_equal()


def test_a_cursor_of_version_0_1_0_learns_the_history_and_then_notices_a_restore(
    loaded: Site, snapshot: str
) -> None:
    root = loaded.cursors.load("film_work")
    assert root is not None
    loaded.cursors.save("film_work", root.moved(history=None))
    assert "history" not in loaded.cursors.texts["film_work"]
    assert sent(loaded.run()) == 0
    assert "history" in loaded.cursors.texts["film_work"]
    loaded.change("Changed since")
    loaded.run()
    restore(loaded, snapshot)
    loaded.run()
    loaded.assert_equal()


def test_each_shard_has_a_part_of_the_history(
    client: Elasticsearch, definition: IndexDefinition
) -> None:
    settings = {"number_of_shards": 12, "number_of_replicas": 0}
    client.indices.create(index="movies-12", settings=settings)
    client.cluster.health(index="movies-12", wait_for_status="green")
    history = Index(client, definition, "movies-12").history()
    assert history is not None
    assert len(set(history.split(","))) == 12
    client.cluster.put_settings(persistent={"cluster.routing.allocation.enable": "none"})
    try:
        client.indices.create(index="movies-13", wait_for_active_shards=0)
        assert Index(client, definition, "movies-13").history() is None
    finally:
        client.cluster.put_settings(persistent={"cluster.routing.allocation.enable": None})
