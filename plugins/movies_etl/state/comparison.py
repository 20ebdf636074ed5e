"""What is remembered of the last comparison of both sides' counts."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.state.cursors import Stamp
from movies_etl.state.visible import Visible

_MODEL = ConfigDict(frozen=True, extra="forbid")


class TableStatistics(BaseModel):
    """What PostgreSQL counts of one table: a hint that rows were deleted.

    :param deleted: rows that were ever deleted, those of rolled back transactions included.
    :param files: numbers of the table's files; other ones mean TRUNCATE or a rewrite.
    :param since: when counting began; with another value earlier counts say nothing.
    """

    model_config = _MODEL

    deleted: int
    files: str
    since: str

    def deleted_since(self, before: TableStatistics) -> int | None:
        """Return how many rows were deleted since then; None where that cannot be told."""
        is_same = (self.files, self.since) == (before.files, before.since)
        return self.deleted - before.deleted if is_same and self.deleted >= before.deleted else None


class Comparison(BaseModel):
    """What a comparison found.

    :param difference: rows - documents - rows never indexed because of a letter.
    :param at: the database's time when its run began.
    :param rows: of the root table.
    :param surplus: documents without a row that were found and left, because a person is asked.
    :param statistics: of the root table, before its ids were compared with the index; None while
        documents are there that were to be deleted.
    :param index: uuid of the index that was compared; empty in a comparison that an older version
        of the program kept.
    :param found: documents that a task which follows has deleted since: ``statistics`` count their
        rows, too, sooner or later.
    :param visible: what was visible before the rows were counted; None where that is not known.
    """

    model_config = _MODEL

    difference: int
    at: Stamp
    rows: int = 0
    surplus: int = 0
    statistics: TableStatistics | None = None
    index: str = ""
    found: int = 0
    visible: Visible | None = None

    def tells_of(self, now: TableStatistics | None) -> bool:
        """Whether these statistics are those of the comparison, but for what was found since."""
        known = self.statistics
        if now is None or known is None:
            return now is known
        deleted = now.deleted_since(known)
        return deleted is not None and deleted <= self.found


class DifferenceStore(Protocol):
    """Keeps the last comparison between runs."""

    def load(self) -> Comparison | None:
        """Return it, None when nothing was compared yet."""

    def save(self, comparison: Comparison) -> None:
        """Keep it."""
