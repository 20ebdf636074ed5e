"""What the reconcile remembers between its runs; losing it costs a comparison of everything."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.state.comparison import TableStatistics
from movies_etl.state.cursors import Stamp
from movies_etl.state.database import Database
from movies_etl.state.fuse_list import Kind

_MODEL = ConfigDict(frozen=True, extra="forbid")


class Standing(BaseModel):
    """The rows of a link table that stood at the last look.

    :param ceiling: the oldest transaction that ran then.
    :param counts: rows written below the ceiling, by part of the documents.
    :param due: parts of which rows are gone, or were changed: their documents are to be compared.
    :param young: parts with rows that the first look did not count, as an older transaction ran.
    :param counted_from: with a ceiling at or above this transaction, a look counts those as well.
    """

    model_config = _MODEL

    ceiling: int
    counts: tuple[int, ...]
    due: tuple[int, ...] = ()
    young: tuple[int, ...] = ()
    counted_from: int = 0


class Sweep(BaseModel):
    """How far the rows were followed that were written since the last sweep.

    :param since: the ceiling of the last sweep: rows at or above it are followed.
    :param upto: the ceiling when this one began: the next one begins there.
    :param table: the table that is being followed; None between two sweeps.
    :param after: the last document that was compared for it.
    :param rewritten: documents that it had loaded again so far.
    """

    model_config = _MODEL

    since: int
    upto: int | None = None
    table: str | None = None
    after: str | None = None
    rewritten: int = 0


class Nowhere(BaseModel):
    """How far the links were followed that may lead to no row.

    :param keys: statistics of the tables that they lead to, when it began.
    :param table: the one whose links are being followed.
    :param after: the last document that was compared for it.
    :param rewritten: documents that were loaded again so far.
    """

    model_config = _MODEL

    keys: dict[str, TableStatistics]
    table: str | None = None
    after: str | None = None
    rewritten: int = 0


class Presence(BaseModel):
    """How far rows and documents were compared by their ids, where there were very many to list.

    :param first: the first id that is not compared yet; None at the beginning.
    :param looked_at: documents below it.
    :param deleted: documents that were deleted so far.
    """

    model_config = _MODEL

    first: str | None = None
    looked_at: int = 0
    deleted: int = 0


class Closing(BaseModel):
    """How far refused lists were looked through, whether they are of any use.

    :param digest: of the list that is being looked through, in the order of the digests.
    :param pieces: of it whose documents were all as they should be.
    """

    model_config = _MODEL

    digest: str = ""
    pieces: int = 0


class Mark(BaseModel):
    """A moment in the order in which shards write, and the transactions of that moment.

    :param places: of the newest document of each shard.
    :param ceiling: the oldest transaction that ran then.
    :param next: the transaction that would have begun next.
    """

    model_config = _MODEL

    places: tuple[int, ...]
    ceiling: int
    next: int


class WrittenDocuments(BaseModel):
    """Up to where written documents were compared once more.

    :param places: of each shard: what it wrote up to there was compared.
    :param newest: the moment of the last look at the links.
    :param waiting: an earlier such moment at which transactions were running: what was written
        before it is compared again until those are over.
    :param reached: of each shard: how far the comparison up to the newest moment has come; None
        where none is under way.
    :param rewritten: documents that the one under way had loaded again so far.
    """

    model_config = _MODEL

    places: tuple[int, ...]
    newest: Mark | None = None
    waiting: Mark | None = None
    reached: tuple[int, ...] | None = None
    rewritten: int = 0


class Pass(BaseModel):
    """A comparison of everything, range by range.

    :param began: the database's time when it did.
    :param first: the first id that is not compared yet; None at the beginning.
    :param looked_at: documents that were compared.
    :param rewritten: documents that differed, and were loaded again unless the index is outdated.
    :param maker: a digest of what made documents when it began.
    """

    model_config = _MODEL

    began: Stamp
    first: str | None = None
    looked_at: int = 0
    rewritten: int = 0
    maker: str | None = None


class ReconcileState(BaseModel):
    """How far the reconcile of one index has come.

    :param index: uuid of the concrete index.
    :param history: the history of that index.
    :param database: the database that it is compared with.
    :param verified_at: the database's time: every document was compared with its row since then.
    :param current: the pass that is under way; None between two.
    :param presence: a comparison of ids that is under way; None between two.
    :param closing: looks through refused lists that are under way, by kind of the lists.
    :param standing: links, by table.
    :param relinked: documents that were loaded again for the parts that are due.
    :param keys: statistics of the tables whose rows documents are linked to, at the last look for
        links that lead nowhere.
    :param nowhere: a look for those links that is under way; None between two.
    :param results: what each task did when it ran last.
    """

    model_config = _MODEL

    index: str
    history: str | None = None
    database: Database
    verified_at: Stamp | None = None
    current: Pass | None = None
    presence: Presence | None = None
    closing: dict[Kind, Closing] = {}
    standing: dict[str, Standing] = {}
    relinked: int = 0
    keys: dict[str, TableStatistics] = {}
    nowhere: Nowhere | None = None
    sweep: Sweep | None = None
    written: WrittenDocuments | None = None
    results: dict[str, dict[str, bool | int | float | None]] = {}

    def is_about(self, other: ReconcileState) -> bool:
        """Whether this and another state are about the same index and database.

        After a promotion or a restore the numbers of lost transactions may be given again.
        """
        same_history = None in (self.history, other.history) or self.history == other.history
        return (
            self.index == other.index
            and same_history
            and self.database.timeline == other.database.timeline
            and other.database.difference_from(self.database) is None
        )


class ReconcileStore(Protocol):
    """Keeps the state of one index's reconcile."""

    def load(self) -> ReconcileState | None:
        """Return it, None when there is none that can be read."""

    def save(self, state: ReconcileState) -> None:
        """Keep it."""


class LiveReconcile(ReconcileStore, Protocol):
    """Keeps the state of the index behind the alias, and those of other indexes beside it.

    Such an index is to take the alias, or was behind it and is kept.
    """

    def beside(self, index: str) -> ReconcileStore:
        """Return where the state of another index is kept.

        :param index: the concrete index.
        """

    def forget(self, index: str) -> None:
        """Delete the state of another index."""
