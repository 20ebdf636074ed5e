"""What a question found: ids of documents that seem not to be what they should be."""

from __future__ import annotations

from dataclasses import dataclass, field

from movies_etl.sync.ids import Ids


@dataclass
class Candidates:
    """Ids of documents; each is read again before anything is done.

    :param documents: the number that fuses are measured by: all documents of the index, or those of
        a pass so far.
    :param looked_at: documents and rows that were compared.
    :param rewritten: documents that were loaded again before, for the same reason.
    :param deleted: documents that were deleted before, for the same reason.
    :param missing: rows without a document.
    :param different: documents that are not what their row says.
    :param damaged: documents that are not what their row says though their checksum may be.
    :param surplus: documents without a row.
    :param letters: dead letters without a row, and without a document.
    """

    documents: int = 0
    looked_at: int = 0
    rewritten: int = 0
    deleted: int = 0
    missing: Ids = field(default_factory=Ids)
    different: Ids = field(default_factory=Ids)
    damaged: Ids = field(default_factory=Ids)
    surplus: Ids = field(default_factory=Ids)
    letters: Ids = field(default_factory=Ids)

    @property
    def rewrites(self) -> int:
        """How many documents that exist are not what their row says."""
        return len(self.different) + len(self.damaged)
