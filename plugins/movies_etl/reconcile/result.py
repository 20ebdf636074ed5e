"""What a task of the reconcile found and did, in numbers and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.repair import Repaired
from movies_etl.sync.counters import in_words

_WORDS = {
    "missing": "missing",
    "different": "different",
    "surplus": "without a row",
    "repaired": "loaded",
    "deleted": "deleted",
    "asked": "left to a person",
    "unanswered": "questions without an answer in time",
}
"""What was found and done, by field of the result."""


@dataclass
class Result:
    """What a task of the reconcile found and did.

    :param looked_at: documents and rows that were compared.
    :param missing: rows without a document.
    :param different: documents that are not what their row says.
    :param surplus: documents without a row.
    :param repaired: documents that were loaded.
    :param deleted: documents that were deleted.
    :param asked: documents that a person is asked about, because so many differ, or has refused.
    :param unanswered: questions that took PostgreSQL too long; the next run asks them again.
    :param rebuild: whether the index is outdated: very many documents that differ are left.
    :param seconds: seconds that it took.
    :param verified_age_seconds: since then every document was compared; None before the first pass.
    """

    looked_at: int = 0
    missing: int = 0
    different: int = 0
    surplus: int = 0
    repaired: int = 0
    deleted: int = 0
    asked: int = 0
    unanswered: int = 0
    rebuild: bool = False
    seconds: float = 0.0
    verified_age_seconds: float | None = None

    def as_result(self) -> dict[str, Any]:
        """Return what a task returns."""
        return asdict(self)

    def in_words(self) -> str:
        """Say what was found and done."""
        found = in_words(self, _WORDS) or "nothing to correct"
        return f"{self.looked_at:,} looked at in {self.seconds:.1f} s: {found}"

    def add(self, found: Candidates, done: Repaired) -> None:
        """Add what a question found, and what became of it."""
        self.looked_at += found.looked_at
        self.missing += len(found.missing)
        self.different += found.rewrites
        self.surplus += len(found.surplus)
        self.repaired += done.counters.indexed
        self.deleted += done.counters.deleted
        self.asked += done.listed + done.set_aside
