"""The site's writers: transactions of any length, begun and ended in any order."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.edits import Edits
from tests.simulation.postgres import Postgres
from tests.simulation.postgres import Transaction as Tx
from tests.simulation.shapes import Shape
from tests.simulation.untraced import UntracedEdits
from tests.simulation.world import MINUTE, World, weighted

MOST_OPEN = 3
LONGEST_PREPARED = 50 * MINUTE
"""A prepared transaction older than an hour is not waited for; its rows need a reconcile."""


class Writers:
    """Writes to the catalogue at random.

    :param shape: of the index that is made of it.
    :param note: takes what was done, for the trace: a line, and the values for its ``%s``.
    :param untraced: whether some of it leaves no trace in ``modified``.
    """

    def __init__(
        self, postgres: Postgres, shape: Shape, note: Callable[..., None], *, untraced: bool
    ) -> None:
        self.postgres = postgres
        self.world: World = postgres.world
        self.random = self.world.random
        self.note = note
        self.actions = weighted(
            (self.write_at_once, 8),
            (self.begin, 4),
            (self.write, 6),
            (self.commit, 4),
            (self.roll_back, 1),
            (self.savepoint, 2),
            (self.prepare, 1),
        )
        self._edits = (
            UntracedEdits(postgres, shape, note) if untraced else Edits(postgres, shape, note)
        )
        if isinstance(self._edits, UntracedEdits):
            self.actions += weighted((self._edits.truncate, 1))
        self.found = self._edits.found

    def act(self) -> None:
        """Do one thing."""
        self.world.pick(self.actions)()

    def settle_down(self) -> None:
        """End every transaction."""
        for transaction in (*self.postgres.open, *self.postgres.prepared):
            self._end(transaction)
        for transaction in [*self.postgres.committing]:
            self._commit(transaction)

    def hurry(self, until: int) -> None:
        """End what would be prepared for too long at a time to come."""
        for transaction in list(self.postgres.prepared):
            if until - transaction.start > LONGEST_PREPARED:
                self._end(transaction)

    # -- transactions ----------------------------------------------------------------------------

    def _any_open(self) -> Tx | None:
        return self.world.pick(self.postgres.open) if self.postgres.open else None

    def write_at_once(self) -> None:
        transaction = self.postgres.begin()
        self._edits.write(transaction)
        self._commit(transaction)

    def begin(self) -> None:
        if len(self.postgres.open) < MOST_OPEN:
            transaction = self.postgres.begin()
            self.note("%s: begin, stamp %s", transaction.name, transaction.stamp)
            self._edits.write(transaction)

    def write(self) -> None:
        if transaction := self._any_open():
            self._edits.write(transaction)

    def commit(self) -> None:
        waiting = self.postgres.open + self.postgres.prepared
        if waiting:
            self._commit(self.world.pick(waiting))

    def _commit(self, transaction: Tx) -> None:
        self.note("%s: commit", transaction.name)
        self.postgres.commit(transaction)

    def roll_back(self) -> None:
        waiting = self.postgres.open + self.postgres.prepared
        if waiting:
            transaction = self.world.pick(waiting)
            self.note("%s: rollback", transaction.name)
            self.postgres.roll_back(transaction)

    def _end(self, transaction: Tx) -> None:
        if self.world.chance(0.8):
            self._commit(transaction)
        else:
            self.note("%s: rollback", transaction.name)
            self.postgres.roll_back(transaction)

    def savepoint(self) -> None:
        transaction = self._any_open()
        if transaction is None:
            return
        if transaction.savepoint is None:
            self.note("%s: savepoint", transaction.name)
            self.postgres.set_savepoint(transaction)
            self._edits.write(transaction)
        else:
            self.note("%s: rollback to savepoint", transaction.name)
            self.postgres.roll_back_to_savepoint(transaction)

    def prepare(self) -> None:
        transaction = self._any_open()
        if transaction and self.world.database_clock - transaction.start < LONGEST_PREPARED:
            self.note("%s: prepare transaction", transaction.name)
            self.postgres.prepare(transaction)
