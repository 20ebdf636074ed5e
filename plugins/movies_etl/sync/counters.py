"""What a task did, in numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Counters:
    """What one task did.

    :param read: documents looked at.
    :param indexed: documents that Elasticsearch took.
    :param unchanged: documents left out because the index has them already.
    :param conflicts: documents for which the index had a newer one.
    :param refused: documents parked as dead letters.
    :param pages: pages of documents.
    :param seconds: from the task's beginning to the last cursor, over all attempts.
    """

    read: int = 0
    indexed: int = 0
    unchanged: int = 0
    conflicts: int = 0
    refused: int = 0
    pages: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def tick(self) -> None:
        """Bring ``seconds`` up to date."""
        self.seconds = round(time.monotonic() - self._began, 3)
