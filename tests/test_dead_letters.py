"""Letters about refused documents: one per film, counted, and gone when the film is indexed."""

from __future__ import annotations

import elasticsearch
import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es import dead_letters
from movies_etl.es.dead_letters import DeadLetters, Parked
from movies_etl.es.letters import MAX_DOCUMENT_BYTES, MAX_REQUEST_BYTES, Letter, kept
from movies_etl.es.template import forbid_automatic_creation

from tests.support.faults import Faults, too_large

FIRST = "2026-01-01T00:00:00.000001+00:00"
LATER = "2026-01-02T00:00:00.000002+00:00"


@pytest.fixture
def letters(client: Elasticsearch) -> DeadLetters:
    letters = DeadLetters(client, MOVIES)
    letters.create()
    return letters


def letter(film: str = "f1", reason: str = "title: missing") -> Letter:
    return Letter(film, "validation", reason, '{"id": "f1"}')


def stored(client: Elasticsearch) -> list[dict[str, object]]:
    answer = client.search(index=MOVIES.dead_letters, sort="film")
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def test_a_letter_says_what_was_refused_why_and_when(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    letters.park([letter()], FIRST, 1)
    assert stored(client) == [
        {
            "film": "f1",
            "stage": "validation",
            "reason": "title: missing",
            "document": '{"id": "f1"}',
            "first_seen": FIRST,
            "last_seen": FIRST,
            "attempts": 1,
        }
    ]


def test_a_film_has_one_letter_that_keeps_its_first_time_and_counts(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    letters.park([letter()], FIRST, 1)
    letters.park([letter(reason="rating: NaN")], LATER, 3)
    (found,) = stored(client)
    assert (found["first_seen"], found["last_seen"], found["attempts"]) == (FIRST, LATER, 2)
    assert found["reason"] == "rating: NaN"


def test_several_letters_are_parked_at_once_new_and_known(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    letters.park([letter("b")], FIRST, 1)
    letters.park([letter("a"), letter("b"), letter("c")], LATER, 3)
    assert [found["attempts"] for found in stored(client)] == [1, 2, 1]


def test_films_with_a_letter_are_told_at_once(letters: DeadLetters) -> None:
    assert letters.ids() == set()
    letters.park([letter("a"), letter("b")], FIRST, 1)
    assert letters.ids() == {"a", "b"}


@pytest.mark.parametrize("page", [1, 2, 3, 10])
def test_all_letters_are_told_with_their_versions_however_many(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(dead_letters, "LETTERS_PER_SEARCH", page)
    for version, film in enumerate("cabed", start=1):
        letters.park([letter(film)], FIRST, version)
    assert letters.versions() == {"c": 1, "a": 2, "b": 3, "e": 4, "d": 5}


def test_parked_letters_are_told_with_version_and_text(letters: DeadLetters) -> None:
    letters.park([letter("a"), letter("x" * 600)], FIRST, 7)
    found = letters.parked(["b", "x" * 600, "a"])
    assert found == dict.fromkeys(["x" * 600, "a"], Parked(7, '{"id": "f1"}'))


def test_a_resolved_letter_is_gone_at_once_and_the_others_stay(letters: DeadLetters) -> None:
    letters.park([letter("a"), letter("b")], FIRST, 1)
    letters.resolve(["a"], 2)
    assert letters.ids() == {"b"}


def test_a_letter_that_is_gone_already_may_be_resolved_again(letters: DeadLetters) -> None:
    letters.resolve(["never was"], 2)
    assert letters.ids() == set()


def test_a_film_that_comes_back_after_its_letter_was_resolved_begins_anew(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    letters.park([letter()], FIRST, 1)
    letters.resolve(["f1"], 2)
    letters.park([letter()], LATER, 3)
    (found,) = stored(client)
    assert (found["first_seen"], found["attempts"]) == (LATER, 1)


def test_a_late_request_neither_brings_a_resolved_letter_back_nor_removes_a_newer_one(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    letters.resolve(["f1"], 2)
    letters.park([letter()], FIRST, 1)
    assert stored(client) == []
    letters.park([letter()], LATER, 3)
    letters.resolve(["f1"], 2)
    letters.park([letter()], FIRST, 1)
    (found,) = stored(client)
    assert found["last_seen"] == LATER


def test_nothing_to_park_or_resolve_asks_nobody() -> None:
    nobody = DeadLetters(
        Faults(forever=AssertionError("asked")).client("http://127.0.0.1:9"), MOVIES
    )
    nobody.park([], FIRST, 1)
    assert nobody.parked([]) == {}
    nobody.resolve([], 2)


@pytest.mark.parametrize("film", ["", "x" * 513, "\u0451" * 300, 'a "b"', "_id"])
def test_a_film_of_any_id_can_have_a_letter(
    letters: DeadLetters, client: Elasticsearch, film: str
) -> None:
    for _ in range(2):
        letters.park([letter(film)], FIRST, 1)
    (found,) = stored(client)
    assert (found["film"], found["attempts"]) == (film, 2)
    letters.resolve([film], 2)
    assert stored(client) == []


def test_a_document_of_any_size_and_form_is_kept(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    text = '{"title": "' + "x" * 100_000
    letters.park([Letter("f1", "indexing", "r" * 50_000, text)], FIRST, 1)
    (found,) = stored(client)
    assert found["document"] == text


@pytest.mark.parametrize("start", ["", "a"])
def test_of_a_large_document_the_first_part_is_kept_and_marked(
    letters: DeadLetters, start: str
) -> None:
    whole = "x" * MAX_DOCUMENT_BYTES
    large = start + "\u0451" * MAX_DOCUMENT_BYTES
    letters.park([Letter("whole", "indexing", "r", whole)], FIRST, 1)
    letters.park([Letter("large", "indexing", "r", large)], FIRST, 1)
    found = {film: one.document for film, one in letters.parked(["whole", "large"]).items()}
    assert found["whole"] == whole
    assert found["large"].encode() == kept(large.encode())
    beginning, _, mark = found["large"].partition(" ... ")
    assert large.startswith(beginning)
    assert MAX_DOCUMENT_BYTES - len(beginning.encode()) in {0, 1}
    assert mark.startswith("(cut, sha256 of all: ")
    assert kept(large.encode()) != kept(large.encode() + b"x")


def test_many_and_large_letters_are_parked_by_requests_that_a_server_takes(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    large = [
        Letter("\u0451" * 250 + str(number), "indexing", "r" * 400, '"' * 50_000_000)
        for number in range(3)
    ]
    small = [Letter(f"film {number}", "indexing", "r", "x" * 5000) for number in range(1000)]
    (node,) = client.transport.node_pool.all()
    faults = Faults(forever=too_large(MAX_REQUEST_BYTES))
    with faults.client(node.base_url) as limited:
        DeadLetters(limited, MOVIES).park([*small[:500], *large, *small[500:]], FIRST, 1)
    assert letters.ids() == {letter.id for letter in [*small, *large]}
    assert len(faults.requests) < 30


def test_the_index_of_letters_is_made_once_and_keeps_its_letters(letters: DeadLetters) -> None:
    letters.park([letter()], FIRST, 1)
    letters.create()
    assert letters.ids() == {"f1"}


def test_without_its_index_a_letter_is_an_error_and_not_lost(client: Elasticsearch) -> None:
    forbid_automatic_creation(client, MOVIES, "movies-20260101000000")
    with pytest.raises((ConfigurationError, IndexUnavailableError), match=MOVIES.dead_letters):
        DeadLetters(client, MOVIES).park([letter()], FIRST, 1)


def test_a_letter_that_cannot_be_written_is_an_error_that_names_the_film(
    letters: DeadLetters, client: Elasticsearch
) -> None:
    client.indices.put_settings(index=MOVIES.dead_letters, settings={"index.blocks.write": True})
    with pytest.raises(
        IndexUnavailableError,
        match=rf"letter of film f1 .* to {MOVIES.dead_letters}: .*index\.blocks\.write null",
    ):
        letters.park([letter()], FIRST, 1)
    with pytest.raises(elasticsearch.NotFoundError):
        client.get(index=MOVIES.dead_letters, id="f1")
