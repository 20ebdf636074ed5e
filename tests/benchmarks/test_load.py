from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from benchmarks.ceiling import Ceiling
from benchmarks.load import steady_rounds
from benchmarks.meter import Reading


def _ceilings(*seconds: float) -> Iterator[Ceiling]:
    for at in seconds:
        yield Ceiling(1_000, Reading(at=at, task=0.0, postgres=0.0, elasticsearch=0.0))


def _loads() -> Iterator[dict[str, Any]]:
    return ({"number": number} for number in count(1))


def test_a_load_counts_only_between_two_equal_ceilings() -> None:
    ceilings = _ceilings(1.0, 1.05, 2.0, 2.14, 2.16)
    loads = _loads()

    made = steady_rounds(lambda: next(loads), lambda: next(ceilings), wanted=3)

    assert [one.load["number"] for one in made] == [4, 1, 3, 2]


def test_on_a_machine_that_is_never_steady_the_steadiest_loads_come_first() -> None:
    ceilings = _ceilings(1.0, 2.0, 1.0, 1.2)
    loads = _loads()

    made = steady_rounds(lambda: next(loads), lambda: next(ceilings), wanted=1)

    assert [one.load["number"] for one in made] == [3, 1, 2]
