"""How much is sent at once: halved when Elasticsearch pushes back, grown when it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from hypothesis import given
from hypothesis import strategies as st
from movies_etl.es.throttle import MIN_BODY_BYTES, Throttle


def state(throttle: Throttle) -> tuple[int, int]:
    return throttle.body_bytes, throttle.permits


def test_a_throttle_begins_with_the_settings() -> None:
    assert state(Throttle(5_000_000, 2)) == (5_000_000, 2)


def test_pushing_back_halves_both_down_to_one_request_of_the_smallest_body() -> None:
    throttle = Throttle(5_000_000, 8)
    throttle.pushed_back()
    assert state(throttle) == (2_500_000, 4)
    for _ in range(10):
        throttle.pushed_back()
    assert state(throttle) == (MIN_BODY_BYTES, 1)


def test_a_body_that_is_small_by_setting_does_not_grow_by_pushing_back() -> None:
    throttle = Throttle(1000, 2)
    throttle.pushed_back()
    assert throttle.body_bytes == 1000


def test_requests_that_are_taken_whole_bring_back_the_size_and_then_the_number() -> None:
    throttle = Throttle(1_000_000, 3)
    throttle.pushed_back()
    throttle.pushed_back()
    throttle.taken()
    assert state(throttle) == (312_500, 1)
    for _ in range(20):
        throttle.taken()
    assert state(throttle) == (1_000_000, 3)


@given(
    st.integers(1_000, 90_000_000),
    st.integers(1, 16),
    st.lists(st.sampled_from(["pushed_back", "taken"]), max_size=40),
)
def test_neither_leaves_its_bounds(body_bytes: int, senders: int, events: list[str]) -> None:
    throttle = Throttle(body_bytes, senders)
    for event in events:
        getattr(throttle, event)()
        assert min(MIN_BODY_BYTES, body_bytes) <= throttle.body_bytes <= body_bytes
        assert 1 <= throttle.permits <= senders


def test_no_more_requests_are_in_flight_than_permits() -> None:
    throttle = Throttle(1_000_000, 2)
    throttle.pushed_back()
    entered, leave, second_entered = Event(), Event(), Event()

    def first() -> None:
        with throttle.permit():
            entered.set()
            assert leave.wait(10)
            assert not second_entered.is_set()

    def second() -> None:
        with throttle.permit():
            second_entered.set()

    with ThreadPoolExecutor(2) as executor:
        one = executor.submit(first)
        assert entered.wait(10)
        two = executor.submit(second)
        assert not second_entered.wait(0.05)
        leave.set()
        one.result(10)
        two.result(10)
    assert second_entered.is_set()


def test_a_permit_is_given_back_when_the_request_fails() -> None:
    throttle = Throttle(1000, 1)
    for _ in range(3):
        try:
            with throttle.permit():
                raise ValueError
        except ValueError:
            continue
    with throttle.permit():
        assert throttle.permits == 1
