"""What a task did, in numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_WORDS = {
    "indexed": "indexed",
    "deleted": "deleted",
    "unchanged": "unchanged",
    "conflicts": "newer in the index already",
    "refused": "refused and kept as dead letters",
}
"""What became of documents, by counter."""


@dataclass
class Counters:
    """What one task did.

    :param read: documents looked at.
    :param indexed: documents that Elasticsearch took.
    :param deleted: documents that were deleted, because their row is gone.
    :param unchanged: documents left out because the index has them already.
    :param conflicts: documents for which the index had a newer one.
    :param refused: documents parked as dead letters.
    :param pages: pages of documents.
    :param seconds: from the task's beginning to the last cursor, over all attempts.
    :param unknown: ids that were asked for and do not exist.
    :param looks: looks for changes of a task that follows.
    :param without_replica: how often the primary was read because the replica could not be.
    """

    read: int = 0
    indexed: int = 0
    deleted: int = 0
    unchanged: int = 0
    conflicts: int = 0
    refused: int = 0
    pages: int = 0
    seconds: float = 0.0
    unknown: list[str] = field(default_factory=list)
    looks: int = 0
    without_replica: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    @property
    def written(self) -> int:
        """How many documents the index took or deleted."""
        return self.indexed + self.deleted

    def as_result(self) -> dict[str, Any]:
        """Return what a task returns: the numbers, the last three of them where there are any."""
        result = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("unknown", "looks", "without_replica"):
            if not result[name]:
                del result[name]
        return result

    @property
    def progress(self) -> int:
        """What grows while PostgreSQL answers: documents read, and looks for changes."""
        return self.read + self.looks

    def outcomes(self) -> str:
        """Say what became of the documents; empty when nothing did."""
        return in_words(self, _WORDS)

    def tick(self) -> None:
        """Bring ``seconds`` up to date."""
        self.seconds = round(time.monotonic() - self._began, 3)


def in_words(numbers: object, words: Mapping[str, str]) -> str:
    """Say which numbers are not 0; empty when all are.

    :param words: by name, what a number counts.
    """
    counted = ((getattr(numbers, name), said) for name, said in words.items())
    return ", ".join(f"{count:,} {said}" for count, said in counted if count)
