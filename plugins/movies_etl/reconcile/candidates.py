"""What a question found: ids of documents that seem not to be what they should be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Candidates:
    """Ids of documents, each of which is read again before anything is done.

    :param documents: how many documents were looked at: what fuses are measured by.
    :param missing: rows without a document.
    :param different: documents that are not what their row says.
    :param surplus: documents without a row.
    :param letters: dead letters without a row.
    """

    documents: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """All of them, each once; what is to be deleted comes first."""
        found = (*self.surplus, *self.missing, *self.different, *self.letters)
        return list(dict.fromkeys(found))
