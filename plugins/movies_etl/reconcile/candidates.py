"""What a question found: ids of documents that seem not to be what they should be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Candidates:
    """Ids of documents, each of which is read again before anything is done.

    :param documents: what fuses are measured by: the documents of the index, or of a pass so far.
    :param looked_at: documents and rows that were compared.
    :param rewritten: documents that were loaded again before, for the same reason.
    :param missing: rows without a document.
    :param different: documents that are not what their row says.
    :param damaged: documents that are not what their row says though their checksum may be.
    :param surplus: documents without a row.
    :param letters: dead letters without a row, and without a document.
    """

    documents: int = 0
    looked_at: int = 0
    rewritten: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
