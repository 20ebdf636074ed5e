"""Writes that leave no trace in ``modified``: rows deleted, dated back, edited without a stamp.

They belong to histories in which the reconcile runs; without it nothing would find them.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.edits import LONG_AGO, Edits
from tests.simulation.postgres import REFERRING, TABLES, Link
from tests.simulation.postgres import Transaction as Tx
from tests.simulation.world import weighted

ROLES = ("actor", "writer", "director", None)


class UntracedEdits(Edits):
    """Writes rows at random, some of them without a trace; see :class:`Edits`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tables = [
            table for table in TABLES if table.partition("_")[0] in (*self._named, "film")
        ]
        self._lost: list[tuple[str, Any]] = []
        self._kinds += weighted((self.delete, 8), (self._recast, 3), (self._bring_back, 3))

    def _stamp(self, transaction: Tx, before: str | None = LONG_AGO) -> str | None:
        """Return a stamp that may be the row's old one, or one of long ago."""
        return before if self.world.chance(0.25) else super()._stamp(transaction, before)

    def delete(self, transaction: Tx, table: str | None = None) -> None:
        """Delete a row, and its links with it."""
        table = table or self.world.pick(self._tables)
        row = self._free(transaction, table)
        if row is not None and self.postgres.delete(transaction, table, row.id):
            self.note("%s: delete %s of %s", transaction.name, row.id, table)
            if REFERRING[table]:
                self._lost.append((table, row))

    def _recast(self, transaction: Tx) -> None:
        """Give a link of a person another role, its time untouched."""
        link = self._free(transaction, "person_film_work")
        if isinstance(link, Link):
            new = link._replace(role=self.world.pick(ROLES), xmin=transaction.xmin)
            self._put(transaction, "person_film_work", new)

    def _bring_back(self, transaction: Tx) -> None:
        """Insert a row again that was deleted, as it was: it is as old as before."""
        if not self._lost:
            return
        table, row = self.world.pick(self._lost)
        is_there = row.id in self.postgres.seen(transaction, table)
        if not is_there and not self.postgres.is_locked(transaction, table, row.id):
            self._put(transaction, table, row._replace(xmin=transaction.xmin))

    def truncate(self) -> None:
        """Empty a table at once, and import some of its rows as they were."""
        if any(one.writes for one in self.postgres.unfinished):
            return  # TRUNCATE waits for them
        table = self.world.pick(self._tables)
        rows = list(self.postgres.tables[table].values())
        self.postgres.truncate(table)
        self.note("truncate %s", table)
        if REFERRING[table] and self.world.chance(0.5):
            transaction = self.postgres.begin()
            for row in rows[self.random.randint(0, 1) :]:
                self._put(transaction, table, row._replace(xmin=transaction.xmin))
            self.postgres.commit(transaction)
