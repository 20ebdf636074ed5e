"""What must be true after a run that nothing disturbed."""

from __future__ import annotations

import math
from typing import Any

from movies_etl.definitions.movies import MOVIES

from tests.histories.operator import Operator
from tests.histories.program import Program
from tests.support.catalogue import Catalogue


class Divergence(AssertionError):  # noqa: N818 - it is what a history ends with
    """The index is not what it should be."""


def check(catalogue: Catalogue, operator: Operator, program: Program) -> None:
    """Compare the index with the catalogue, the letters with what is refused, and the rest.

    :raises Divergence: says what differs.
    """
    found = operator.documents(MOVIES.alias)
    refused = set()
    expected = catalogue.expected()
    for film, wanted in expected.items():
        there = found.get(film)
        if _is_refused(wanted):
            refused.add(film)
            if there and _is_refused(there):
                raise Divergence(f"{film} is refused, but the index has it: {there}")
        elif there != wanted:
            raise Divergence(f"{film} is {there}, it should be {wanted}")
    if more := found.keys() - expected.keys():
        raise Divergence(f"the index has films that the catalogue has not: {more}")
    _check_letters(operator, refused)
    _check_state(operator, program)


def _check_letters(operator: Operator, refused: set[str]) -> None:
    letters = operator.documents(MOVIES.dead_letters).keys()
    if letters != refused:
        raise Divergence(f"dead letters of {letters}, refused are {refused}")


def check_counts(program: Program) -> None:
    """Look at the last comparison of counts, which is not made in every run.

    :raises Divergence: it did not find both sides equal.
    """
    if program.differences.last:
        raise Divergence(f"the counts differ by {program.differences.last}")


def _check_state(operator: Operator, program: Program) -> None:
    for stream in MOVIES.streams:
        cursor = program.cursors.load(stream.name)
        if cursor is None or cursor.open:
            raise Divergence(f"the cursor of {stream.name} is {cursor} after a clean end")
    names = operator.indexes()
    if len(names) != 2:
        raise Divergence(f"there are other indexes than the live one and the letters: {names}")


def _is_refused(document: dict[str, Any]) -> bool:
    rating = document["imdb_rating"]
    return document["title"].startswith("poison") or (rating is not None and math.isnan(rating))
