"""The order in which bodies are sent and settled, and the marks that come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from movies_etl.errors import ConfigurationError, IndexUnavailableError
from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.throttle import Throttle
from movies_etl.sync.loader import Loader, Send

from tests.support.samples import films


class Held(Executor):
    """Runs nothing until it is let go, or until somebody waits for it."""

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
    return Outcome(indexed=list(items))


def loader_of(
    held: Held,
    send: Send = all_indexed,
    *,
    body_bytes: int = 1000,
    in_flight: int = 2,
) -> Loader[int]:
    return Loader(send, held, throttle=Throttle(body_bytes, 1), in_flight=in_flight)


def of_size(film: str, size: int) -> Item:
    return Item(film, 1, b"x" * size)


def test_a_mark_comes_back_when_everything_before_it_is_settled() -> None:
    held = Held()
    settled: list[Outcome] = []
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
    assert [films(outcome.indexed) for outcome in settled] == [["a"], ["b"]]
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
        bodies.append([one.id for one in items])
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


def fails_at_b(items: Sequence[Item]) -> Outcome:
    if items[0].id == "b":
        raise IndexUnavailableError("away")
    return all_indexed(items)


def test_an_error_of_a_sender_surfaces_and_no_mark_behind_it_comes_back() -> None:
    held = Held()
    loader = loader_of(held, fails_at_b, in_flight=9)
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
    loader = loader_of(held, fails_at_b, in_flight=9)
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
            lambda outcome: self.settled.extend(films(outcome.indexed)), everything=everything
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
