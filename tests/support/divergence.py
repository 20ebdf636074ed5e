"""What must be true at the end of a history, whichever engine played it."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from tests.support.expected import Documents

POISON = "poison"
"""How titles of films and names of persons begin that Elasticsearch refuses."""

Results = list[dict[str, Any]]
"""What the tasks of a run return, in the order of its streams."""


class Divergence(AssertionError):  # noqa: N818 - it is what a history ends with
    """The index is not what it should be, or a cursor stands where it must not."""


def is_refused(document: dict[str, Any]) -> bool:
    """Whether a film's or person's document is refused, by the program or by Elasticsearch.

    ``NaN`` may be a text in it.
    """
    name, rating = document.get("title", document.get("full_name")), document.get("imdb_rating")
    has_name = isinstance(name, str) and not name.startswith(POISON)
    return not has_name or (rating is not None and math.isnan(float(rating)))


def check_documents(found: Documents, wanted: Documents, letters: AbstractSet[str]) -> None:
    """Compare an index with a catalogue, and the letters with what is refused of it.

    :param found: the index's documents, without checksums.
    :param wanted: those of the catalogue.
    :param letters: the ids of those that have a dead letter.
    :raises Divergence: says what differs.
    """
    refused = set()
    for id_, document in wanted.items():
        there = found.get(id_)
        if is_refused(document):
            refused.add(id_)
            if there and is_refused(there):
                raise Divergence(f"{id_} is refused, but the index has it: {there}")
        elif there != document:
            raise Divergence(f"{id_} is {there}, it should be {document}")
    if more := found.keys() - wanted.keys():
        raise Divergence(f"the index has documents that the catalogue has not: {more}")
    if letters != refused:
        raise Divergence(f"dead letters of {letters}, refused are {refused}")


class AskedAbout(NamedTuple):
    """Documents on lists that wait for a person's answer, or that a person refused."""

    deletions: AbstractSet[str]
    rewrites: AbstractSet[str]


def check_others(
    found: Documents, wanted: Documents, letters: AbstractSet[str], asked: AskedAbout
) -> bool:
    """Compare as ``check_documents`` does what is not left as it is, and its letter with it.

    :returns: whether nothing is left that has no row, so that the counts are equal.
    :raises Divergence: says what differs.
    """
    undeleted = asked.deletions & (found.keys() - wanted.keys())
    left = undeleted | asked.rewrites
    check_documents(_without(left, found), _without(left, wanted), letters - left)
    return not undeleted


def _without(left: AbstractSet[str], documents: Documents) -> Documents:
    return {id_: one for id_, one in documents.items() if id_ not in left}


def check_counts(difference: int | None) -> None:
    """Look at the last comparison of counts; None when none was made.

    :raises Divergence: it did not find both sides equal.
    """
    if difference:
        raise Divergence(f"the counts differ by {difference}")


def documents_sent(results: Results | None) -> int:
    """Return how many documents an undisturbed run sent.

    :param results: of the run.
    :raises Divergence: it failed.
    """
    if results is None:
        raise Divergence("an undisturbed run fails")
    return sum(result["indexed"] + result["conflicts"] for result in results)


def come_to_rest(run: Callable[[], int]) -> None:
    """Run until nothing is sent.

    :param run: does a run that nothing disturbs; returns how many documents it sent.
    :raises Divergence: there is no end to it.
    """
    for _ in range(10):
        if run() == 0:
            return
    raise Divergence("ten undisturbed runs and there is still something to be sent")
