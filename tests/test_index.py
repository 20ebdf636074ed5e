"""The index behind the alias: how it is made, found, checked and looked into."""

from __future__ import annotations

from typing import Any

import elastic_transport
import elasticsearch
import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es import index as elastic
from movies_etl.es.admin import create, live
from movies_etl.es.admin import (
    described as definition,
)
from movies_etl.es.client import check_server, translated_errors
from movies_etl.es.index import ABSENT, Index, Stored
from movies_etl.settings import Settings

from tests.support.faults import Faults, Time, refusal
from tests.support.protections import notices
from tests.support.samples import document

DESCRIBED = definition(MOVIES, Settings().include_dir)


def put(index: Index, film: str, version: int, **fields: Any) -> None:
    index.client.index(
        index=index.name,
        id=film,
        document=document(film, **fields),
        version=version,
        version_type="external_gte",
    )


def faulty(client: Elasticsearch, *faults: Any, forever: Any = None) -> Elasticsearch:
    return watched(client, *faults, forever=forever)[0]


def watched(
    client: Elasticsearch, *faults: Any, forever: Any = None
) -> tuple[Elasticsearch, Faults]:
    (node,) = client.transport.node_pool.all()
    trouble = Faults(*faults, forever=forever)
    return trouble.client(node.base_url), trouble


# -- looking into it ------------------------------------------------------------------------------


@notices("3-search")
def test_what_is_stored_is_seen_before_any_refresh(index: Index) -> None:
    index.client.indices.put_settings(index=index.name, settings={"refresh_interval": -1})

    def is_unseen(film: str) -> bool:
        """Whether no refresh came, of those that had begun when they were switched off."""
        put(index, film, 10, checksum=-5)
        put(index, film, 11, checksum=-6)
        answer = index.client.search(index=index.name, query={"ids": {"values": [film]}})
        return not answer["hits"]["hits"]

    film = next(film for film in "abcdefgh" if is_unseen(film))
    assert index.stored([film]) == {film: Stored(11, -6)}


def test_many_films_are_looked_up_by_several_requests(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "MAX_IDS_PER_LOOKUP", 2)
    for film in "abde":
        put(index, film, 10)
    client, faults = watched(index.client)
    found = Index(client, MOVIES, index.name).stored(["a", "", "b", "c", "d", "e"])
    assert found == dict.fromkeys("abde", Stored(10, 1))
    assert [body for _, body in faults.requests] == [
        b'{"ids":["a","b"]}',
        b'{"ids":["c","d"]}',
        b'{"ids":["e"]}',
    ]


def test_films_that_are_not_there_are_left_out(index: Index) -> None:
    put(index, "a", 10)
    assert index.stored(["b", "a", "c"]) == {"a": Stored(10, 1)}
    assert index.stored(["b"]).get("b", ABSENT) == Stored(0, None)


def test_a_deleted_film_is_not_there(index: Index) -> None:
    put(index, "a", 10)
    index.client.delete(index=index.name, id="a", version=11, version_type="external_gte")
    assert index.stored(["a"]) == {}


def test_looking_for_nothing_asks_nobody(client: Elasticsearch) -> None:
    nowhere = faulty(client, forever=AssertionError("asked"))
    assert Index(nowhere, MOVIES, "movies-x").stored([]) == {}


@pytest.mark.parametrize("film", ["", "\u0451" * 300])
def test_ids_that_elasticsearch_does_not_take_are_not_there(index: Index, film: str) -> None:
    put(index, "a", 10)
    assert index.stored([film, "a"]) == {"a": Stored(10, 1)}


def test_a_look_up_waits_for_a_lost_elasticsearch(index: Index, waits: Time) -> None:
    put(index, "a", 10)
    client = faulty(index.client, refusal(503), elastic_transport.ConnectionError("reset"))
    assert Index(client, MOVIES, index.name, patience=60).stored(["a"]) == {"a": Stored(10, 1)}
    assert len(waits.slept) == 2


def test_a_film_that_could_not_be_looked_up_is_not_taken_for_absent(index: Index) -> None:
    error = {"type": "no_shard_available_action_exception", "reason": "shard is away"}
    answer = 200, {"docs": [{"_id": "a", "error": error}]}
    with pytest.raises(IndexUnavailableError, match=r"film a in .*shard is away"):
        Index(faulty(index.client, answer), MOVIES, index.name).stored(["a"])


def test_in_a_closed_index_nothing_can_be_looked_up(index: Index) -> None:
    index.client.indices.close(index=index.name)
    with pytest.raises(ConfigurationError, match="was closed"):
        index.stored(["a"])


def test_documents_are_counted_with_those_that_no_search_sees_yet(index: Index) -> None:
    index.client.indices.put_settings(index=index.name, settings={"refresh_interval": -1})
    assert index.documents() == 0
    for film in "abc":
        put(index, film, 1)
    assert index.documents() == 3


def test_a_recreated_index_of_the_same_name_is_another(index: Index) -> None:
    before = index.uuid()
    assert index.uuid() == before
    index.client.indices.delete(index=index.name)
    assert create(index.client, MOVIES, index.name, DESCRIBED).uuid() != before


# -- making and finding it ------------------------------------------------------------------------


def test_an_index_is_made_with_its_alias_in_one_request(client: Elasticsearch) -> None:
    made = create(client, MOVIES, "movies-20260101000000", DESCRIBED)
    found = live(client, MOVIES)
    assert found is not None
    assert (found.name, found.uuid()) == (made.name, made.uuid())


def test_the_index_has_the_settings_that_searches_and_deletes_need(index: Index) -> None:
    answer = index.client.indices.get_settings(index=index.name, flat_settings=True)
    settings = answer[index.name]["settings"]
    assert settings["index.number_of_shards"] == "1"
    assert settings["index.auto_expand_replicas"] == "0-1"
    assert settings["index.refresh_interval"] == "1s"
    assert settings["index.gc_deletes"] == "1h"


def test_a_refused_definition_leaves_neither_index_nor_alias(client: Elasticsearch) -> None:
    broken = {**DESCRIBED, "mappings": {"properties": {"id": {"type": "no_such_type"}}}}
    with pytest.raises(ConfigurationError, match="no_such_type"):
        create(client, MOVIES, "movies-20260101000000", broken)
    assert live(client, MOVIES) is None
    assert not client.indices.exists(index="movies-20260101000000")


def test_an_index_that_is_there_is_not_overwritten(index: Index) -> None:
    put(index, "a", 1)
    with pytest.raises(ConfigurationError, match="already exists"):
        create(index.client, MOVIES, index.name, DESCRIBED)
    assert index.stored(["a"]) != {}


def test_a_second_index_never_comes_behind_the_alias(client: Elasticsearch) -> None:
    create(client, MOVIES, "movies-20260101000000", DESCRIBED)
    with pytest.raises(IndexUnavailableError, match="has an index already"):
        create(client, MOVIES, "movies-20260101000001", DESCRIBED)  # of an init that looked before
    found = live(client, MOVIES)
    assert found is not None
    assert found.name == "movies-20260101000000"
    assert not client.indices.exists(index="movies-20260101000001")


def test_without_alias_and_index_nothing_is_live(client: Elasticsearch) -> None:
    client.indices.create(index="movies-20250101000000")  # an old one without the alias
    assert live(client, MOVIES) is None


def test_an_index_in_the_place_of_the_alias_is_refused(client: Elasticsearch) -> None:
    client.indices.create(index="movies")
    with pytest.raises(ConfigurationError, match="movies is an index, not an alias"):
        live(client, MOVIES)


def test_an_alias_of_several_indexes_is_refused_with_their_names(client: Elasticsearch) -> None:
    for name in ("movies-2", "movies-1"):
        client.indices.create(index=name, aliases={"movies": {}})
    with pytest.raises(ConfigurationError, match="points to movies-1, movies-2"):
        live(client, MOVIES)


# -- the server ------------------------------------------------------------------------------------


def test_the_real_server_is_accepted(client: Elasticsearch) -> None:
    check_server(client)


@pytest.mark.parametrize("found", ["7.17.29", "10.0.0", "80.0.0"])
def test_another_major_version_is_refused(client: Elasticsearch, found: str) -> None:
    other = faulty(client, (200, {"version": {"number": found}}))
    with pytest.raises(ConfigurationError, match=f"is Elasticsearch {found};.* versions 8 and 9"):
        check_server(other)


@pytest.mark.parametrize("found", ["8.0.0", "8.19.21", "9.0.0", "9.5.3"])
def test_both_major_versions_are_accepted(client: Elasticsearch, found: str) -> None:
    check_server(faulty(client, (200, {"version": {"number": found}})))


# -- searching it ---------------------------------------------------------------------------------


def hits(index: Index, query: dict[str, Any]) -> list[str]:
    answer = index.client.search(index="movies", query=query)
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


@pytest.mark.parametrize(
    ("field", "written", "asked", "found"),
    [
        ("title", "The Stars of Cars", "star", True),
        ("description", "Running men", "run", True),
        ("description", "Running men", "the", False),
        (
            "title",
            "\u0417\u0432\u0451\u0437\u0434\u043d\u044b\u0435 \u0432\u043e\u0439\u043d\u044b",
            "\u0432\u043e\u0439\u043d\u0430",
            True,
        ),
        (
            "description",
            "\u0438 \u043d\u0435 \u0442\u043e\u043b\u044c\u043a\u043e",
            "\u0438",
            False,
        ),
        ("actors_names", ["Ann Smith"], "SMITH", True),
        ("title.raw", "The Stars", "The Stars", True),
        ("title.raw", "The Stars", "stars", False),
        ("genre", ["Drama"], "Drama", True),
        ("director", ["George Lucas"], "lucas", True),
    ],
)
def test_searches_find_words_in_both_languages_and_by_the_older_names(
    index: Index, field: str, written: Any, asked: str, found: bool
) -> None:
    column = {"title.raw": "title", "genre": "genres", "director": "directors_names"}.get(
        field, field
    )
    put(index, "a", 1, **{column: written})
    index.refresh()
    assert hits(index, {"match": {field: asked}}) == (["a"] if found else [])


def test_persons_are_found_by_their_own_id_and_name_together(index: Index) -> None:
    put(index, "a", 1, actors=[{"id": "p1", "name": "Ann"}, {"id": "p2", "name": "Bob"}])
    index.refresh()

    def asked(key: str, name: str) -> list[str]:
        both = [{"term": {"actors.id": key}}, {"match": {"actors.name": name}}]
        return hits(index, {"nested": {"path": "actors", "query": {"bool": {"must": both}}}})

    assert asked("p1", "Ann") == ["a"]
    assert asked("p1", "Bob") == []


def test_a_person_with_an_unknown_field_is_refused(index: Index) -> None:
    with pytest.raises(elasticsearch.BadRequestError, match="strict"):
        put(index, "a", 1, writers=[{"id": "p1", "name": "Ann", "born": 1900}])


# -- errors ---------------------------------------------------------------------------------------


def unsupported() -> elasticsearch.UnsupportedProductError:
    answered = api_error(200, elasticsearch.ApiError).meta
    return elasticsearch.UnsupportedProductError("no", answered, None)


def api_error(status: int, kind: type[elasticsearch.ApiError]) -> elasticsearch.ApiError:
    meta = elastic_transport.ApiResponseMeta(
        status=status,
        http_version="1.1",
        headers=elastic_transport.HttpHeaders(),
        duration=0.0,
        node=elastic_transport.NodeConfig("http", "127.0.0.1", 9200),
    )
    return kind("a reason", meta, {})


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (api_error(401, elasticsearch.AuthenticationException), ConfigurationError, "login"),
        (api_error(403, elasticsearch.AuthorizationException), ConfigurationError, "rights"),
        (api_error(400, elasticsearch.BadRequestError), ConfigurationError, "a reason"),
        (api_error(404, elasticsearch.NotFoundError), ConfigurationError, "a reason"),
        (api_error(429, elasticsearch.ApiError), IndexUnavailableError, "overloaded"),
        (api_error(503, elasticsearch.ApiError), IndexUnavailableError, "overloaded"),
        (api_error(500, elasticsearch.ApiError), IndexUnavailableError, "fails"),
        (
            elasticsearch.UnsupportedProductError(
                "no", api_error(200, elasticsearch.ApiError).meta, None
            ),
            ConfigurationError,
            "is not",
        ),
        (elasticsearch.SSLError("expired"), ConfigurationError, "ca_certs"),
        (elasticsearch.ConnectionError("refused"), IndexUnavailableError, "host, port"),
        (elasticsearch.ConnectionTimeout("slow"), IndexUnavailableError, "cannot be reached"),
    ],
)
def test_errors_of_the_client_name_the_connection_and_the_next_step(
    error: Exception, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught, translated_errors():
        raise error
    assert "movies_elasticsearch" in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.__cause__ is error


def test_an_index_that_may_not_be_read_is_no_fault_of_the_login(index: Index) -> None:
    index.client.indices.put_settings(index=index.name, settings={"index.blocks.read": True})
    with pytest.raises(ConfigurationError) as caught:
        index.documents()
    assert "is blocked" in str(caught.value)
    assert "index.blocks.read null" in str(caught.value)
    assert "login" not in str(caught.value)


def test_a_cluster_that_may_not_be_written_to_is_told_with_what_lifts_the_block(
    client: Elasticsearch,
) -> None:
    block = "cluster.blocks.read_only"
    client.cluster.put_settings(persistent={block: True})
    try:
        with pytest.raises(ConfigurationError, match=r"setting cluster\.blocks\.read_only null"):
            create(client, MOVIES, "movies-20260101000000", DESCRIBED)
    finally:
        client.cluster.put_settings(persistent={block: None})


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), translated_errors():
        _ = 1 / 0
