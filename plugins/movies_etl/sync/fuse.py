"""When many documents are refused and none is good, it is not the documents that are wrong."""

from __future__ import annotations

from collections.abc import Sequence

from movies_etl.errors import RefusedDocumentsError
from movies_etl.es.letters import Letter

FUSE_REFUSALS = 20
"""Refused documents, with none accepted, that mean a wrong mapping or a wrong column rather than
bad documents."""


class Fuse:
    """Fails one task instead of making a dead letter of every document.

    :param noun: one document in words.
    :param index: where documents go.
    """

    def __init__(self, noun: str, index: str) -> None:
        self._noun = noun
        self._index = index
        self._refused = 0
        self._on_their_way = 0
        self._is_off = False

    def send(self, documents: int) -> None:
        """Note that valid documents are on their way: their outcome is waited for."""
        self._on_their_way += documents

    def arrive(self, documents: int) -> None:
        """Note that the outcome of documents is known."""
        self._on_their_way -= documents

    def accept(self, documents: int) -> None:
        """Note that documents are in the index: what is refused are bad documents."""
        self._is_off |= documents > 0

    def begin_anew(self) -> None:
        """Forget what was accepted: it belongs to an earlier change.

        What was refused before anything was accepted goes on counting.
        """
        if self._is_off:
            self._refused = 0
        self._is_off = False

    def refuse(self, letters: Sequence[Letter]) -> None:
        """Count documents that have no letter yet, before they get one.

        :raises RefusedDocumentsError: there are many, and no document was accepted.
        """
        parked, self._refused = self._refused, self._refused + len(letters)
        if not letters or self._refused < FUSE_REFUSALS or self._is_off:
            return
        first = letters[0]
        if first.stage != "indexing" and self._on_their_way:
            return
        what = (
            f"The mapping of {self._index} does not fit the documents"
            if first.stage == "indexing"
            else "A column of the catalogue does not fit the documents"
        )
        raise RefusedDocumentsError(
            f"{self._refused} documents were refused and none accepted; {self._noun} {first.id}: "
            f"{first.reason}. {what}. The cursor stands at the last settled page; {parked} of them "
            "are dead letters, which the param replay tries again."
        )
