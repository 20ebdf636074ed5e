"""Ranges of documents' ids, as both servers understand them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Range(NamedTuple):
    """The ids from ``first``, which is included, up to ``before``, which is not.

    Texts are compared by bytes. None is no bound.
    """

    first: str | None = None
    before: str | None = None


def ranges(bounds: Sequence[str]) -> list[Range]:
    """Return the ranges between bounds in ascending order: every id lies in one of them."""
    return [*map(Range._make, pairwise((None, *bounds, None)))]


def number_of(id_: str, bounds: Sequence[str]) -> int:
    """Return the number of the range that an id lies in, from 0."""
    return bisect_right(bounds, id_)
