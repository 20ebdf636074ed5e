"""The mapping of an index: what refuses documents stops a run, anything else is a warning."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError
from movies_etl.es import admin
from movies_etl.es.admin import create
from movies_etl.es.index import Index
from movies_etl.es.mapping import Difference, check_file, differences
from movies_etl.settings import Settings

from tests.support.rebuild import Rebuild
from tests.support.samples import document
from tests.support.site import Site

INCLUDE = Settings().include_dir
DESCRIBED = admin.described(MOVIES, INCLUDE)
NAME = "movies-20260101000000"

Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> dict[str, Any]:
    """Return the file's description of the index with its fields changed."""
    described = copy.deepcopy(DESCRIBED)
    change(described["mappings"]["properties"])
    return described


def takes_documents(index: Index) -> bool:
    """Whether the index takes a document that has a value in every field."""
    persons = [{"id": "p", "name": "Ann"}]
    full = document(
        "a",
        title="A title",
        description="A description",
        genres=["Drama"],
        imdb_rating=7.5,
        checksum=2**62,
        actors=persons,
        writers=persons,
    )
    return not index.client.bulk(index=index.name, operations=[{"index": {}}, full])["errors"]


REFUSING: list[tuple[Change, str]] = [
    (lambda fields: fields.pop("checksum"), "field checksum is missing"),
    (lambda fields: fields["actors"]["properties"].pop("name"), r"actors\.name is missing"),
    (lambda fields: fields.update(title={"type": "long"}), "field title is long, text is"),
    (lambda fields: fields.update(genres={"type": "boolean"}), "genres is boolean, keyword is"),
    (lambda fields: fields.update(actors={"type": "keyword"}), "actors is keyword, nested is"),
    (lambda fields: fields.update(checksum={"type": "integer"}), "checksum is integer, long is"),
    (
        lambda fields: fields["title"].update(fields={"raw": {"type": "date"}}),
        r"title\.raw is date, keyword is",
    ),
    (
        lambda fields: fields["writers"]["properties"].update(name={"type": "ip"}),
        r"writers\.name is ip, text is",
    ),
]


@pytest.mark.parametrize(("change", "said"), REFUSING)
def test_an_index_that_would_refuse_documents_is_refused(
    client: Elasticsearch, change: Change, said: str
) -> None:
    index = create(client, MOVIES, NAME, changed(change))
    with pytest.raises(ConfigurationError, match=said):
        differences(index, index.mapping(), DESCRIBED)
    assert not takes_documents(index)


ACCEPTED: list[tuple[Change, str]] = [
    (lambda fields: fields.pop("genre"), "field genre is missing, alias is needed"),
    (lambda fields: fields["genre"].update(path="id"), "genre has path id, genres is needed"),
    (lambda fields: fields["title"].pop("fields"), "title.raw is missing, keyword is needed"),
    (
        lambda fields: fields["title"].update(fields={"raw": {"type": "text"}}),
        "title.raw is text, keyword is needed",
    ),
    (lambda fields: fields.update(genres={"type": "text"}), "genres is text, keyword is needed"),
    (lambda fields: fields["actors"].update(type="object"), "actors is object, nested is"),
    (
        lambda fields: fields.update(imdb_rating={"type": "double"}),
        "imdb_rating is double, float is needed",
    ),
    (
        lambda fields: fields["description"].pop("analyzer"),
        "description has analyzer None, ru_en is needed",
    ),
]


@pytest.mark.parametrize(("change", "said"), ACCEPTED)
def test_what_refuses_no_document_is_told_and_stops_nobody(
    client: Elasticsearch, change: Change, said: str
) -> None:
    index = create(client, MOVIES, NAME, changed(change))
    told = differences(index, index.mapping(), DESCRIBED)
    assert said in str(told[0])
    assert takes_documents(index)


def test_further_fields_and_parameters_do_no_harm(index: Index) -> None:
    more = {"words": {"type": "text"}}
    index.client.indices.put_mapping(
        index=index.name,
        properties={
            "note": {"type": "text"},
            "genres": {"type": "keyword", "ignore_above": 100, "fields": more},
            "actors": {"type": "nested", "properties": {"born": {"type": "integer"}}},
        },
    )
    assert differences(index, index.mapping(), DESCRIBED) == []


def test_a_run_goes_on_beside_a_mapping_file_with_one_field_more(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    more = changed(lambda fields: fields.update(year={"type": "short"}))
    monkeypatch.setattr(admin, "described", lambda *_: more)
    film = loaded.add_film("Fresh", modified="now()")
    loaded.run()
    loaded.assert_equal()
    assert film in loaded.documents()
    (told,) = [one for one in caplog.messages if "not as elasticsearch/movies.json" in one]
    assert "field year is missing, short is needed. Documents are loaded all the same" in told


def test_a_changed_analyzer_is_told_until_a_rebuild(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.run()
    assert "takes texts apart" not in caplog.text
    settings = copy.deepcopy(DESCRIBED["settings"])
    settings["analysis"]["analyzer"]["ru_en"]["filter"].remove("russian_stop")
    settings["analysis"]["filter"]["english_stop"]["stopwords"] = ["a", "the"]
    monkeypatch.setattr(admin, "described", lambda *_: DESCRIBED | {"settings": settings})
    loaded.run()
    (told,) = [one for one in caplog.messages if "takes texts apart" in one]
    assert "have it: analysis.analyzer.ru_en, analysis.filter.english_stop. " in told
    assert told.endswith("until movies_reindex has made it anew")
    caplog.clear()
    Rebuild(loaded).run()
    loaded.reconnect()
    loaded.run()
    assert "takes texts apart" not in caplog.text


@pytest.mark.parametrize("field", ["checksum", "actors.name"])
def test_the_request_that_is_recommended_adds_the_field(client: Elasticsearch, field: str) -> None:
    parent, _, last = field.rpartition(".")

    def remove(fields: dict[str, Any]) -> None:
        (fields[parent]["properties"] if parent else fields).pop(last)

    index = create(client, MOVIES, NAME, changed(remove))
    with pytest.raises(ConfigurationError) as caught:
        differences(index, index.mapping(), DESCRIBED)
    request = re.search(
        r"PUT /(\S+)/_mapping with (\{.*\}), and trigger movies_sync", str(caught.value)
    )
    assert request
    assert request[1] == index.name
    client.indices.put_mapping(index=request[1], **json.loads(request[2]))
    assert differences(index, index.mapping(), DESCRIBED) == []


@pytest.mark.parametrize("definition", declared().values(), ids=lambda one: one.name)
def test_each_file_has_every_field_of_its_documents(definition: IndexDefinition) -> None:
    described = admin.described(definition, INCLUDE)
    check_file(definition, described)
    properties = described["mappings"]["properties"]
    for field in definition.document.model_fields:
        without = {name: of for name, of in properties.items() if name != field}
        with pytest.raises(ConfigurationError, match=f"has no field {field}, but"):
            check_file(definition, {"mappings": {"dynamic": "strict", "properties": without}})


def test_an_index_that_would_refuse_documents_is_not_even_created(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = changed(lambda fields: fields["writers"]["properties"].pop("id"))
    monkeypatch.setattr(admin, "described", lambda *_: less)
    with pytest.raises(ConfigurationError, match=r"movies\.json has no field writers\.id"):
        small.run()
    assert not small.client.indices.get(index="*")


def test_objects_of_a_list_are_taken_whether_they_are_indexed_one_by_one_or_not() -> None:
    assert not Difference("films", "type", "nested", "object").refuses
    assert not Difference("films", "type", "object", "nested").refuses
    assert Difference("films", "type", "keyword", "object").refuses
