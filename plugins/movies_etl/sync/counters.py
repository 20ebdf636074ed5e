"""What a task did, in numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any


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
    :param unknown: ids that were asked for and that there are not.
    :param looks: looks for changes of a task that follows.
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

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def as_result(self) -> dict[str, Any]:
        """Return what a task returns: the numbers, unknown ids and looks where there are any."""
        result = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("unknown", "looks"):
            if not result[name]:
                del result[name]
        return result

    @property
    def progress(self) -> int:
        """What grows while PostgreSQL answers: documents read, and looks for changes."""
        return self.read + self.looks

    def tick(self) -> None:
        """Bring ``seconds`` up to date."""
        self.seconds = round(time.monotonic() - self._began, 3)
