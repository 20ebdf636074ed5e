"""Bulk loading: the outcome of every item, refusals of whole requests, and the order of marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import elastic_transport
import pytest
from elasticsearch import Elasticsearch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from movies_etl import bulk
from movies_etl.bulk import Item, Loader, Outcome, Refusal, Sender
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.index import Index
from movies_etl.throttle import Throttle

from tests.faults import Fault, Faults, Time, each_item, refusal
from tests.samples import item

LATE = 2_000_000_000_000_000


def sender(index: Index, patience: float = 0) -> Sender:
    return Sender(index, patience, Throttle(5_000_000, 2))


def send(index: Index, *items: Item) -> Outcome:
    return sender(index)(items)


def found(index: Index, film: str) -> dict[str, Any]:
    return index.client.get(index=index.name, id=film)["_source"]


# -- a sender and the real Elasticsearch ----------------------------------------------------------


def test_documents_are_indexed_with_the_version_that_they_were_read_at(index: Index) -> None:
    outcome = send(index, item("a", LATE), item("b", LATE + 1, title='q" \u0451 \U0001f600'))
    assert outcome == Outcome(indexed=["a", "b"])
    assert {film: index.stored([film])[film].version for film in "ab"} == {
        "a": LATE,
        "b": LATE + 1,
    }
    assert found(index, "b")["title"] == 'q" \u0451 \U0001f600'


@pytest.mark.parametrize("film", ['a "b"', "\u0451", "\\", "new\nline", "x" * 512, "_id", "-", " "])
def test_any_id_arrives_as_it_is(index: Index, film: str) -> None:
    assert send(index, item(film)).indexed == [film]
    assert found(index, film)["id"] == film


def test_an_older_reading_loses_and_is_settled(index: Index) -> None:
    send(index, item("a", 10, title="Newer"))
    late = item("a", 9, title="Older")
    assert send(index, late, item("b", 9)) == Outcome(indexed=["b"], conflicts=[late])
    assert found(index, "a")["title"] == "Newer"


def test_the_same_version_is_taken_again(index: Index) -> None:
    send(index, item("a", 10, title="First"))
    assert send(index, item("a", 10, title="Again")).indexed == ["a"]
    assert found(index, "a")["title"] == "Again"


def test_a_field_that_the_mapping_forbids_is_refused_alone(index: Index) -> None:
    bad = item("bad", budget=1)
    outcome = send(index, item("a"), bad, item("b"))
    assert outcome.indexed == ["a", "b"]
    ((refused, reason),) = outcome.refused
    assert refused is bad
    assert "[budget]" in reason
    assert "bad" not in index.stored(["bad"])


def test_a_title_too_long_for_a_keyword_is_refused_with_elasticsearchs_own_words(
    index: Index,
) -> None:
    outcome = send(index, item("a"), item("long", title="x" * 40_000))
    assert outcome.indexed == ["a"]
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


# -- refusals of whole requests -------------------------------------------------------------------


@pytest.fixture
def faulty(index: Index) -> Callable[..., tuple[Index, Faults]]:
    """Return an index whose requests meet faults."""
    (node,) = index.client.transport.node_pool.all()

    def meet(*faults: Fault, forever: Fault | None = None) -> tuple[Index, Faults]:
        trouble = Faults(*faults, forever=forever)
        return Index(trouble.client(node.base_url), index.name), trouble

    return meet


Faulty = Callable[..., tuple[Index, Faults]]

AWAY = [
    refusal(429),
    refusal(502),
    refusal(503),
    refusal(504),
    elastic_transport.ConnectionError("connection refused"),
    elastic_transport.ConnectionTimeout("timed out"),
]


@pytest.mark.parametrize("fault", AWAY, ids=lambda fault: str(fault)[:40])
def test_a_request_is_sent_again_when_elasticsearch_was_away(
    faulty: Faulty, waits: Time, fault: Fault
) -> None:
    index, faults = faulty(fault, fault)
    assert sender(index, patience=60)([item("a"), item("b")]).indexed == ["a", "b"]
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
    assert outcome == Outcome(indexed=["a", "c", "b"])
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


def too_large(limit: int) -> Fault:
    """Refuse bodies of more bytes than the limit, as http.max_content_length does."""
    return lambda body: refusal(413) if len(body) > limit else None


def test_a_body_that_is_too_large_is_sent_in_parts(faulty: Faulty, waits: Time) -> None:
    items = [item(f"film {number}") for number in range(9)]
    index, faults = faulty(forever=too_large(1000))
    outcome = sender(index, patience=60)(items)
    assert sorted(outcome.indexed) == [one.film for one in items]
    assert index.stored([one.film for one in items]).keys() == {one.film for one in items}
    assert waits.slept == []
    assert len(faults.requests) < 20


def test_what_was_indexed_before_elasticsearch_went_away_is_not_counted_again(
    faulty: Faulty, waits: Time
) -> None:
    items = [item(f"film {number}") for number in range(4)]
    index, faults = faulty(refusal(413), None, refusal(503))
    outcome = sender(index, patience=60)(items)
    assert outcome.indexed == [one.film for one in items]
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
    assert outcome.indexed == [one.film for one in items]
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
    assert sorted(outcome.indexed) == [one.film for one in items]
    assert index.stored([one.film for one in items]).keys() == {one.film for one in items}
    assert len(waits.slept) == 3


def test_a_slow_answer_makes_the_next_bodies_smaller(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr(bulk, "time", clock)

    def slow(_body: bytes) -> None:
        clock.sleep(bulk.SLOW + 1)

    index, _faults = faulty(slow)
    throttle = Throttle(1_000_000, 4)
    send = Sender(index, 60, throttle)
    assert send([item("a")]).indexed == ["a"]
    assert (throttle.body_bytes, throttle.permits) == (500_000, 2)
    send([item("b")])
    assert throttle.body_bytes > 500_000


def test_one_document_that_is_too_large_is_refused_alone(faulty: Faulty, waits: Time) -> None:
    giant = item("giant", description="x" * 5000)
    index, _faults = faulty(forever=too_large(1500))
    outcome = sender(index, patience=60)([item("a"), giant, item("b")])
    assert sorted(outcome.indexed) == ["a", "b"]
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
        direct.bulk(index=index.name, operations=body)
        raise elastic_transport.ConnectionError("reset")

    index, _faults = faulty(lost)
    (node,) = index.client.transport.node_pool.all()
    with Elasticsearch(node.base_url) as direct:
        outcome = sender(index, patience=60)([item("a", 7)])
    assert outcome == Outcome(indexed=["a"])
    assert index.stored(["a"])["a"].version == 7
    assert len(waits.slept) == 1


# -- the loader -----------------------------------------------------------------------------------


class Held(Executor):
    """Runs nothing until it is told to, or until somebody waits for it."""

    def __init__(self) -> None:
        self.held: list[_HeldFuture] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        future = _HeldFuture(lambda: function(*arguments))
        self.held.append(future)
        return future

    @property
    def waiting(self) -> list[_HeldFuture]:
        return [future for future in self.held if not future.done()]


class _HeldFuture(Future[Any]):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work
        self.was_waited_for = False

    def run(self) -> None:
        try:
            self.set_result(self._work())
        except Exception as error:  # noqa: BLE001 - kept for who asks for the result
            self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.was_waited_for = True
            self.run()
        return super().result(timeout)


def all_indexed(items: Sequence[Item]) -> Outcome:
    return Outcome(indexed=[one.film for one in items])


def loader_of(
    held: Held,
    send: Callable[[Sequence[Item]], Outcome] = all_indexed,
    *,
    body_bytes: int = 1000,
    in_flight: int = 2,
) -> Loader[int]:
    return Loader(send, held, throttle=Throttle(body_bytes, 1), in_flight=in_flight)


def of_size(film: str, size: int) -> Item:
    return Item(film, 1, b"x" * size)


def test_a_mark_comes_back_when_everything_before_it_is_settled() -> None:
    held, settled = Held(), []
    loader = loader_of(held)
    loader.add(of_size("a", 2000))
    loader.mark(1)
    loader.add(of_size("b", 2000))
    loader.mark(2)
    assert loader.settled(settled.append) is None
    held.held[1].run()
    assert loader.settled(settled.append) is None  # the second is there before the first
    held.held[0].run()
    assert loader.settled(settled.append) == 2
    assert [outcome.indexed for outcome in settled] == [["a"], ["b"]]
    assert loader.settled(settled.append) is None


def test_a_mark_without_documents_before_it_comes_back_at_once() -> None:
    loader = loader_of(Held())
    loader.mark(1)
    loader.mark(2)
    assert loader.settled(lambda _: None) == 2


def test_a_mark_waits_for_documents_that_were_not_sent_yet() -> None:
    held = Held()
    loader = loader_of(held)
    loader.add(of_size("a", 10))
    loader.mark(1)
    assert loader.settled(lambda _: None) is None
    assert held.held == []
    assert loader.settled(lambda _: None, everything=True) == 1


def test_a_body_is_sent_when_it_is_full() -> None:
    held, bodies = Held(), []

    def note(items: Sequence[Item]) -> Outcome:
        bodies.append([one.film for one in items])
        return all_indexed(items)

    loader = loader_of(held, note, body_bytes=1000, in_flight=9)
    for film in "abcdefg":
        loader.add(of_size(film, 300))
    assert len(held.held) == 2
    loader.settled(lambda _: None, everything=True)
    assert bodies == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_who_adds_has_to_wait_while_too_many_bodies_are_on_their_way() -> None:
    held = Held()
    loader = loader_of(held, in_flight=2)
    for film in "abc":
        loader.add(of_size(film, 2000))
        loader.settled(lambda _: None)
    assert [future.was_waited_for for future in held.held] == [True, False, False]
    assert len(held.waiting) == 2


def test_a_film_is_pending_from_its_adding_until_its_last_document_is_settled() -> None:
    held = Held()
    loader = loader_of(held, in_flight=9)
    loader.add(of_size("a", 10))
    assert loader.is_pending("a")
    assert not loader.is_pending("b")
    loader.ship()
    loader.add(of_size("a", 10))
    loader.ship()
    held.held[0].run()
    loader.settled(lambda _: None)
    assert loader.is_pending("a")
    held.held[1].run()
    loader.settled(lambda _: None)
    assert not loader.is_pending("a")


def test_an_error_of_a_sender_surfaces_and_no_mark_behind_it_comes_back() -> None:
    held = Held()

    def fail(items: Sequence[Item]) -> Outcome:
        if items[0].film == "b":
            raise IndexUnavailableError("away")
        return all_indexed(items)

    loader = loader_of(held, fail, in_flight=9)
    for number, film in enumerate("abc"):
        loader.add(of_size(film, 2000))
        loader.mark(number)
    held.held[0].run()
    assert loader.settled(lambda _: None) == 0
    for _ in range(2):
        with pytest.raises(IndexUnavailableError, match="away"):
            loader.settled(lambda _: None, everything=True)
    assert loader.is_pending("b")


def test_a_mark_before_an_error_is_told_although_the_call_fails() -> None:
    held = Held()

    def fail(items: Sequence[Item]) -> Outcome:
        if items[0].film == "b":
            raise IndexUnavailableError("away")
        return all_indexed(items)

    loader = loader_of(held, fail, in_flight=9)
    for number, film in enumerate("ab"):
        loader.add(of_size(film, 2000))
        loader.mark(number)
    assert loader.reached is None
    with pytest.raises(IndexUnavailableError, match="away"):
        loader.settled(lambda _: None, everything=True)
    assert loader.reached == 0


def test_an_outcome_that_cannot_be_settled_holds_the_mark() -> None:
    loader = loader_of(Held())
    loader.add(of_size("a", 10))
    loader.mark(1)

    def refuse(_outcome: Outcome) -> None:
        raise ConfigurationError("no place for dead letters")

    with pytest.raises(ConfigurationError):
        loader.settled(refuse, everything=True)
    assert loader.is_pending("a")
    assert loader.settled(lambda _: None) == 1


def test_nothing_to_send_is_not_sent() -> None:
    held = Held()
    loader = loader_of(held)
    loader.ship()
    assert loader.settled(lambda _: None, everything=True) is None
    assert held.held == []


class AnyOrder(RuleBasedStateMachine):
    """Adds, marks, ships, answers and settles in any order."""

    BODY = 500
    IN_FLIGHT = 2

    def __init__(self) -> None:
        super().__init__()
        self.held = Held()
        self.loader = loader_of(self.held, body_bytes=self.BODY, in_flight=self.IN_FLIGHT)
        self.added: list[str] = []
        self.settled: list[str] = []
        self.marks: list[tuple[int, int]] = []
        """Each mark with the number of documents before it."""
        self.returned = 0

    @rule(film=st.sampled_from("abc"), size=st.integers(0, 700))
    def add(self, film: str, size: int) -> None:
        self.loader.add(of_size(film, size))
        self.added.append(film)

    @rule()
    def mark(self) -> None:
        self.marks.append((len(self.marks), len(self.added)))
        self.loader.mark(len(self.marks) - 1)

    @rule()
    def ship(self) -> None:
        self.loader.ship()

    @rule(choice=st.integers(0, 9))
    def answer(self, choice: int) -> None:
        if waiting := self.held.waiting:
            waiting[choice % len(waiting)].run()

    @rule(everything=st.booleans())
    def settle(self, everything: bool) -> None:
        mark = self.loader.settled(
            lambda outcome: self.settled.extend(outcome.indexed), everything=everything
        )
        reachable = [number for number, before in self.marks if before <= len(self.settled)]
        expected = reachable[-1] if len(reachable) > self.returned else None
        assert mark == expected
        self.returned = len(reachable)
        assert self.settled == self.added[: len(self.settled)]
        assert not everything or self.settled == self.added
        assert len(self.held.waiting) <= self.IN_FLIGHT

    @invariant()
    def pending_is_what_was_added_and_not_settled(self) -> None:
        waiting = self.added[len(self.settled) :]
        assert {film for film in "abc" if self.loader.is_pending(film)} == set(waiting)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
