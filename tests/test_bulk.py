"""Bulk loading: the outcome of every item, refusals of whole requests, and the order of marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import elastic_transport
import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es import bulk
from movies_etl.es.bulk import MAX_FAILED_ITEMS, Sender
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item, Outcome, Refusal
from movies_etl.es.throttle import Throttle

from tests.support.faults import Fault, Faults, Time, each_item, refusal, too_large
from tests.support.samples import films, item

LATE = 2_000_000_000_000_000


def sender(index: Index, patience: float = 0) -> Sender:
    return Sender(index, patience, Throttle(5_000_000, 2))


def send(index: Index, *items: Item) -> Outcome:
    return sender(index)(items)


def found(index: Index, film: str) -> dict[str, Any]:
    source: dict[str, Any] = index.client.get(index=index.name, id=film)["_source"]
    return source


# -- a sender and the real Elasticsearch ----------------------------------------------------------


def test_documents_are_indexed_with_the_version_that_they_were_read_at(index: Index) -> None:
    items = [item("a", LATE), item("b", LATE + 1, title='q" \u0451 \U0001f600')]
    assert send(index, *items) == Outcome(indexed=items)
    assert {film: index.stored([film])[film].version for film in "ab"} == {
        "a": LATE,
        "b": LATE + 1,
    }
    assert found(index, "b")["title"] == 'q" \u0451 \U0001f600'


@pytest.mark.parametrize("film", ['a "b"', "\u0451", "\\", "new\nline", "x" * 512, "_id", "-", " "])
def test_any_id_arrives_as_it_is(index: Index, film: str) -> None:
    assert films(send(index, item(film)).indexed) == [film]
    assert found(index, film)["id"] == film


def test_an_older_reading_loses_and_is_settled(index: Index) -> None:
    send(index, item("a", 10, title="Newer"))
    late = item("a", 9, title="Older")
    other = item("b", 9)
    assert send(index, late, other) == Outcome(indexed=[other], conflicts=[late])
    assert found(index, "a")["title"] == "Newer"


def test_the_same_version_is_taken_again(index: Index) -> None:
    send(index, item("a", 10, title="First"))
    assert films(send(index, item("a", 10, title="Again")).indexed) == ["a"]
    assert found(index, "a")["title"] == "Again"


def test_a_deletion_is_settled_whether_the_document_is_there_or_not(index: Index) -> None:
    send(index, item("a", 10), item("newer", 12))
    deletions = [Item(film, 11, b"") for film in ("a", "newer", "absent", 'q" \u0451')]
    gone, newer, *absent = deletions
    assert send(index, item("b", 11), *deletions) == Outcome(
        indexed=[item("b", 11)], deleted=[gone], absent=absent, conflicts=[newer]
    )
    assert index.stored(["a", "newer", "absent"]).keys() == {"newer"}


def test_an_older_reading_does_not_bring_back_what_was_deleted(index: Index) -> None:
    send(index, item("a", 10), Item("a", 11, b""), Item("never there", 11, b""))
    late = [item("a", 10), item("never there", 10)]
    assert send(index, *late) == Outcome(conflicts=late)
    assert films(send(index, item("a", 11)).indexed) == ["a"]


def test_a_deletion_from_a_missing_index_is_an_error_and_does_not_bring_it_back(
    index: Index,
) -> None:
    index.client.indices.delete(index=index.name)
    with pytest.raises(ConfigurationError, match="vanished"):
        send(index, Item("a", 1, b""))
    assert not index.client.indices.exists(index=index.name)


def test_a_field_that_the_mapping_forbids_is_refused_alone(index: Index) -> None:
    bad = item("bad", budget=1)
    outcome = send(index, item("a"), bad, item("b"))
    assert films(outcome.indexed) == ["a", "b"]
    ((refused, reason),) = outcome.refused
    assert refused is bad
    assert "[budget]" in reason
    assert "bad" not in index.stored(["bad"])


def test_a_title_too_long_for_a_keyword_is_refused_with_elasticsearchs_own_words(
    index: Index,
) -> None:
    outcome = send(index, item("a"), item("long", title="x" * 40_000))
    assert films(outcome.indexed) == ["a"]
    ((_item, reason),) = outcome.refused
    assert "title.raw" in reason
    assert "32766" in reason


def test_the_last_good_document_stays_when_a_later_one_is_refused(index: Index) -> None:
    send(index, item("a", 1, title="Good"))
    assert len(send(index, item("a", 2, budget=1)).refused) == 1
    assert found(index, "a")["title"] == "Good"
    assert index.stored(["a"])["a"].version == 1


def test_a_missing_index_is_an_error_and_is_not_brought_back(index: Index) -> None:
    client = index.client
    client.indices.delete(index=index.name)
    with pytest.raises(ConfigurationError, match="vanished"):
        send(index, item("a"))
    assert not client.indices.exists(index=index.name)


def test_a_closed_index_is_no_films_fault(index: Index) -> None:
    index.client.indices.close(index=index.name)
    with pytest.raises(ConfigurationError, match=r"was closed .*Open it"):
        send(index, item("a"))
    index.client.indices.open(index=index.name)
    assert films(send(index, item("a")).indexed) == ["a"]


def test_an_index_that_may_not_be_written_to_is_no_films_fault(index: Index) -> None:
    index.client.indices.put_settings(index=index.name, settings={"index.blocks.write": True})
    with pytest.raises(ConfigurationError, match=r"forbids writing: .*index\.blocks\.write null"):
        send(index, item("a"))
    index.client.indices.put_settings(index=index.name, settings={"index.blocks.write": None})
    assert films(send(index, item("a")).indexed) == ["a"]


def test_a_full_disk_is_named_with_the_remedy(index: Index) -> None:
    block = "index.blocks.read_only_allow_delete"  # what Elasticsearch sets at the flood stage
    index.client.indices.put_settings(index=index.name, settings={block: True})
    with pytest.raises(IndexUnavailableError) as caught:
        send(index, item("a"), item("b"))
    said = str(caught.value)
    assert "2 of 2 documents for now: index" in said
    assert "disk usage exceeded flood-stage watermark" in said
    assert "free space or add a node" in said
    index.client.indices.put_settings(index=index.name, settings={block: None})
    assert films(send(index, item("a")).indexed) == ["a"]


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(("status", "kind"), [(429, "rejected"), (503, "unavailable")])
def test_what_puts_items_off_is_told_in_elasticsearchs_own_words(
    faulty: Faulty, status: int, kind: str
) -> None:
    index, _faults = faulty(forever=each_item(status, kind))
    with pytest.raises(IndexUnavailableError, match=r"1 of 1 documents for now: not now\."):
        sender(index, patience=10)([item("a")])


@pytest.mark.usefixtures("waits")
def test_what_puts_off_the_rest_of_a_body_is_told(faulty: Faulty) -> None:
    index, _faults = faulty(refusal(413), None, forever=refusal(503, "busy", "the second half"))
    with pytest.raises(IndexUnavailableError, match="the second half"):
        sender(index, patience=10)([item("a"), item("b")])


# -- refusals of whole requests -------------------------------------------------------------------


@pytest.fixture
def faulty(index: Index) -> Callable[..., tuple[Index, Faults]]:
    """Return an index whose requests meet faults."""
    (node,) = index.client.transport.node_pool.all()

    def meet(*faults: Fault, forever: Fault | None = None) -> tuple[Index, Faults]:
        trouble = Faults(*faults, forever=forever)
        return Index(trouble.client(node.base_url), MOVIES, index.name), trouble

    return meet


Faulty = Callable[..., tuple[Index, Faults]]

AWAY = [
    refusal(429),
    refusal(500),
    refusal(502),
    refusal(503),
    refusal(504),
    refusal(507),
    elastic_transport.ConnectionError("connection refused"),
    elastic_transport.ConnectionTimeout("timed out"),
]


@pytest.mark.parametrize("fault", AWAY, ids=lambda fault: str(fault)[:40])
def test_a_request_is_sent_again_when_elasticsearch_was_away(
    faulty: Faulty, waits: Time, fault: Fault
) -> None:
    index, faults = faulty(fault, fault)
    assert films(sender(index, patience=60)([item("a"), item("b")]).indexed) == ["a", "b"]
    assert len(faults.requests) == 3
    assert len(waits.slept) == 2


@pytest.mark.parametrize("fault", AWAY, ids=lambda fault: str(fault)[:40])
def test_who_stays_away_for_longer_than_the_patience_is_an_error(
    faulty: Faulty, waits: Time, fault: Fault
) -> None:
    began = waits.now
    index, _faults = faulty(forever=fault)
    with pytest.raises(IndexUnavailableError, match="movies_elasticsearch"):
        sender(index, patience=30)([item("a")])
    assert waits.now - began <= 30


def test_only_the_items_that_were_put_off_are_sent_again(faulty: Faulty, waits: Time) -> None:
    def second_is_put_off(body: bytes) -> tuple[int, Any]:
        assert body.count(b'{"index":') == 3
        error = {"type": "es_rejected_execution_exception", "reason": "full"}
        done = {"index": {"status": 201}}
        return 200, {"items": [done, {"index": {"status": 429, "error": error}}, done]}

    index, faults = faulty(second_is_put_off)
    outcome = sender(index, patience=60)([item("a"), item("b"), item("c")])
    assert outcome == Outcome(indexed=[item("a"), item("c"), item("b")])
    assert faults.requests[1][1].count(b'{"index":') == 1
    assert b'"_id":"b"' in faults.requests[1][1]
    assert len(waits.slept) == 1


def test_items_that_stay_put_off_are_an_error_with_their_number(
    faulty: Faulty, waits: Time
) -> None:
    index, _faults = faulty(forever=each_item(429, "es_rejected_execution_exception"))
    with pytest.raises(IndexUnavailableError, match="2 of 2 documents"):
        sender(index, patience=10)([item("a"), item("b")])
    assert waits.slept


def fails_on(film: str, reason: str | None) -> Fault:
    """Fail on one film's document; take the others."""

    def answer(body: bytes) -> tuple[int, Any]:
        error = {"type": "null_pointer_exception", "reason": reason}
        failure = {"status": 500, "error": error}
        actions = [line for line in body.splitlines() if line.startswith(b'{"index":')]
        is_bad = (f'"_id":"{film}'.encode() in action for action in actions)
        return 200, {"items": [{"index": failure if bad else {"status": 201}} for bad in is_bad]}

    return answer


def test_a_document_on_which_a_shard_failed_is_sent_again(faulty: Faulty, waits: Time) -> None:
    failure = each_item(500, "already_closed_exception")
    index, _faults = faulty(*[failure] * 5)
    outcome = sender(index, patience=60)([item("a"), item("b")])
    assert outcome == Outcome(indexed=[item("a"), item("b")])
    assert index.stored(["a", "b"]).keys() == {"a", "b"}
    assert len(waits.slept) == 5


@pytest.mark.parametrize(("reason", "said"), [("boom", "boom"), (None, "null_pointer_exception")])
def test_a_document_on_which_elasticsearch_always_fails_stops_nobody(
    faulty: Faulty, waits: Time, reason: str | None, said: str
) -> None:
    bad = item("bad")
    index, faults = faulty(forever=fails_on("bad", reason))
    outcome = sender(index, patience=60)([item("a"), bad, item("b")])
    assert outcome == Outcome(indexed=[item("a"), item("b")], refused=[Refusal(bad, said)])
    assert all(b'"_id":"bad"' in body for _, body in faults.requests)
    assert sum(waits.slept) > 40


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("bad", [2, MAX_FAILED_ITEMS + 1])
def test_a_broken_shard_makes_no_dead_letters(faulty: Faulty, bad: int) -> None:
    index, _faults = faulty(forever=each_item(500, "already_closed_exception"))
    items = [item(f"film {number}") for number in range(bad)]
    good = [item("a")] if bad > MAX_FAILED_ITEMS else []
    if good:
        index, _faults = faulty(forever=fails_on("film", "boom"))
    with pytest.raises(IndexUnavailableError, match=f"take {bad} of {bad + len(good)} "):
        sender(index, patience=60)(items + good)


@pytest.mark.usefixtures("waits")
def test_a_lone_document_on_which_elasticsearch_always_fails_is_refused(faulty: Faulty) -> None:
    index, _faults = faulty(forever=fails_on("bad", "boom"))
    assert sender(index, patience=60)([item("bad")]).refused == [Refusal(item("bad"), "boom")]


@pytest.mark.usefixtures("waits")
def test_a_document_that_waits_for_a_busy_server_is_not_refused_with_one_that_fails(
    faulty: Faulty,
) -> None:
    failing: Callable[[bytes], tuple[int, Any]] = fails_on("bad", "boom")  # type: ignore[assignment]

    def answer(body: bytes) -> tuple[int, Any]:
        status, failed = failing(body)
        busy = {"status": 429, "error": {"type": "es_rejected", "reason": "busy"}}
        items = [one if "error" in one["index"] else {"index": busy} for one in failed["items"]]
        return status, {"items": items}

    index, _faults = faulty(forever=answer)
    with pytest.raises(IndexUnavailableError, match="2 of 2 documents"):
        sender(index, patience=60)([item("a"), item("bad")])


def test_a_body_that_is_too_large_is_sent_in_parts(faulty: Faulty, waits: Time) -> None:
    items = [item(f"film {number}") for number in range(9)]
    index, faults = faulty(forever=too_large(1000))
    outcome = sender(index, patience=60)(items)
    assert sorted(films(outcome.indexed)) == [one.id for one in items]
    assert index.stored([one.id for one in items]).keys() == {one.id for one in items}
    assert waits.slept == []
    assert len(faults.requests) < 20


def test_what_was_indexed_before_elasticsearch_went_away_is_not_counted_again(
    faulty: Faulty, waits: Time
) -> None:
    items = [item(f"film {number}") for number in range(4)]
    index, faults = faulty(refusal(413), None, refusal(503))
    outcome = sender(index, patience=60)(items)
    assert films(outcome.indexed) == [one.id for one in items]
    assert [body.count(b'{"index":') for _, body in faults.requests] == [4, 2, 2, 2]
    assert len(waits.slept) == 1


def test_pushing_back_makes_requests_smaller_until_one_is_taken_whole(
    faulty: Faulty, waits: Time
) -> None:
    index, _faults = faulty(refusal(429), each_item(429, "es_rejected_execution_exception"))
    throttle = Throttle(1_000_000, 4)
    Sender(index, 60, throttle)([item("a")])
    assert (throttle.body_bytes, throttle.permits) == (312_500, 1)
    assert len(waits.slept) == 2


def test_a_body_that_timed_out_is_sent_again_in_smaller_parts(faulty: Faulty, waits: Time) -> None:
    items = [item(f"film {number}", description="x" * 50_000) for number in range(8)]
    index, faults = faulty(elastic_transport.ConnectionTimeout("timed out"))
    outcome = Sender(index, 60, Throttle(400_000, 2))(items)
    assert films(outcome.indexed) == [one.id for one in items]
    sent = [body.count(b'{"index":') for _, body in faults.requests]
    assert sent[0] == 8
    assert sum(sent[1:]) == 8
    assert max(sent[1:]) == 4
    assert len(waits.slept) == 1


def test_a_part_that_is_put_off_does_not_lose_the_others(faulty: Faulty, waits: Time) -> None:
    items = [item(f"film {number}", description="x" * 50_000) for number in range(8)]
    full = "es_rejected_execution_exception"
    timed_out = elastic_transport.ConnectionTimeout("timed out")
    index, _faults = faulty(timed_out, each_item(429, full), timed_out, None, refusal(503))
    outcome = Sender(index, 60, Throttle(400_000, 2))(items)
    assert sorted(films(outcome.indexed)) == [one.id for one in items]
    assert index.stored([one.id for one in items]).keys() == {one.id for one in items}
    assert len(waits.slept) == 3


def test_a_slow_answer_makes_the_next_bodies_smaller(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr(bulk, "time", clock)

    def slow(_body: bytes) -> None:
        clock.sleep(bulk.SLOW_REQUEST_SECONDS + 1)

    index, _faults = faulty(slow)
    throttle = Throttle(1_000_000, 4)
    send = Sender(index, 60, throttle)
    assert films(send([item("a")]).indexed) == ["a"]
    assert (throttle.body_bytes, throttle.permits) == (500_000, 2)
    send([item("b")])
    assert throttle.body_bytes > 500_000


def test_one_document_that_is_too_large_is_refused_alone(faulty: Faulty, waits: Time) -> None:
    giant = item("giant", description="x" * 5000)
    index, _faults = faulty(forever=too_large(1500))
    outcome = sender(index, patience=60)([item("a"), giant, item("b")])
    assert sorted(films(outcome.indexed)) == ["a", "b"]
    assert outcome.refused == [Refusal(giant, "the document is too large to be sent")]
    assert waits.slept == []


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "refused the login"), (403, "refused the login"), (400, "refused a request")],
)
def test_a_request_that_is_refused_for_good_fails_at_once(
    faulty: Faulty, waits: Time, status: int, said: str
) -> None:
    index, faults = faulty(forever=refusal(status))
    with pytest.raises(ConfigurationError, match=said):
        sender(index, patience=60)([item("a")])
    assert waits.slept == []
    assert len(faults.requests) == 1


def test_an_answer_that_was_lost_does_no_harm(faulty: Faulty, waits: Time) -> None:
    def lost(body: bytes) -> None:
        direct.bulk(index=index.name, operations=body)  # type: ignore[arg-type]  # bytes pass
        raise elastic_transport.ConnectionError("reset")

    index, _faults = faulty(lost)
    (node,) = index.client.transport.node_pool.all()
    with Elasticsearch(node.base_url) as direct:
        outcome = sender(index, patience=60)([item("a", 7)])
    assert outcome == Outcome(indexed=[item("a", 7)])
    assert index.stored(["a"])["a"].version == 7
    assert len(waits.slept) == 1
