"""A model of PostgreSQL: transactions, visibility, row locks and clocks.

What is modelled: writes become visible at commit, all at once; a transaction holds the rows that
it wrote, so that nobody else writes them; savepoints have ids of their own (``xmin``) and may be
rolled back; PREPARE takes a transaction out of the list of sessions and into another list. Each
query of the program sees what is committed at its moment: one statement, one snapshot. Rows that
are deleted take their links with them; what is counted of that shows a while later, and is lost in
a crash.

**The assumption about stamps** (see docs/adr/0003): a row's stamp is not older
than its transaction's start by more than the margin. Here ``start`` is taken up to a part of the
margin before the transaction shows in the list of sessions, and a stamp may be older than the start
by the rest. The site stamps by a clock of its own, which never goes back; the database's may be set
back against it (``World.behind``), which makes stamps younger in its eyes, never older.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.deletions import Deletions
from tests.simulation.world import World, on_the_wall, utc

if TYPE_CHECKING:
    from tests.simulation.queries import SimulatedQueries

INFINITY = "infinity"
MINUS_INFINITY = "-infinity"
"""Compares lower than every digit, as it does in PostgreSQL."""

TABLES = ("film_work", "genre", "person", "genre_film_work", "person_film_work")
REFERRING = {
    "film_work": ("genre_film_work", "person_film_work"),
    "genre": ("genre_film_work",),
    "person": ("person_film_work",),
    "genre_film_work": (),
    "person_film_work": (),
}
"""The link tables whose rows are deleted with those of a table."""
ROLES = ("director", "actor", "writer")


class Film(NamedTuple):
    """A row of ``film_work``; ``stamp`` as text in the column's type, None for NULL.

    :param name: its title.
    """

    id: str
    stamp: str | None
    xmin: str
    name: str
    rating: float | str | None
    description: str | None


class Named(NamedTuple):
    """A row of ``genre`` or ``person``; only a person that is a document may have no name."""

    id: str
    stamp: str | None
    xmin: str
    name: str | None


class Link(NamedTuple):
    """A row of a link table."""

    id: str
    stamp: str | None
    xmin: str
    film: str
    other: str
    role: str | None


class Gone(NamedTuple):
    """A row that a transaction deletes."""

    id: str


Row = Film | Named | Link


class Transaction:
    """An open transaction.

    :param number: its id; those of its savepoints are greater.
    :param start: its ``now()``, microseconds.
    :param stamp: what it writes into ``modified``, as text.
    """

    def __init__(self, number: int, name: str, start: int, stamp: str) -> None:
        self.number = number
        self.name = name
        self.start = start
        self.stamp = stamp
        self.xmin = str(number)
        self.writes: list[tuple[str, Any]] = []
        self.savepoint: int | None = None
        self.prepared_at: int | None = None

    def own(self, table: str, key: str) -> Any | None:
        """Return the newest version of a row that this transaction wrote."""
        for where, row in reversed(self.writes):
            if where == table and row.id == key:
                return row
        return None


class Postgres:
    """The catalogue and everything that is open in it.

    ``born`` has the world's step at which each row was inserted, for the last time. ``log`` is what
    standbys get: the writes of each commit. ``committing`` are transactions that lie in the log and
    are not visible yet: a standby may show them before this server does.

    :param zone: of columns without time zone; None makes them ``timestamptz``.
    :param margin: microseconds by which stamps may be older than the list of sessions shows.
    """

    def __init__(self, world: World, *, zone: str | None, margin: int) -> None:
        self.world = world
        self.zone = zone
        self.margin = margin
        self.tables: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
        self.places: dict[str, set[tuple[str, str]]] = {table: set() for table in TABLES}
        self.born: dict[tuple[str, str], int] = {}
        self.open: list[Transaction] = []
        self.prepared: list[Transaction] = []
        self.committing: list[Transaction] = []
        self.log: list[list[tuple[str, Any]]] = []
        self.locks: dict[int, SimulatedQueries] = {}
        self.system_identifier = "7000000000000000001"
        self.deletions = Deletions(world, TABLES)
        self._number = self._ended = 700

    @property
    def next_number(self) -> int:
        """The id of the transaction that begins next."""
        return self._number + 1

    @property
    def unfinished(self) -> list[Transaction]:
        """Every transaction that is not visible and was not rolled back."""
        return [*self.open, *self.prepared, *self.committing]

    @property
    def ceiling(self) -> int:
        """The oldest transaction that runs, or the next one."""
        running = (one.number for one in self.unfinished)
        return min(running, default=self.next_number)

    @property
    def snapshot(self) -> str:
        """What is visible, as PostgreSQL writes it: subtransactions are not listed."""
        end = self._ended + 1
        running = sorted(one.number for one in self.unfinished if one.number < end)
        return f"{min(running, default=end)}:{end}:{','.join(map(str, running))}"

    # -- what the site does ----------------------------------------------------------------------

    def stamped(self, moment: int) -> str:
        """Write a moment as the columns' type keeps it."""
        return utc(moment) if self.zone is None else on_the_wall(moment, self.zone)

    def begin(self) -> Transaction:
        """Begin a transaction, which shows in the list of sessions a little after its start."""
        unseen = self.world.random.randint(0, self.margin // 2)
        early = self.world.random.randint(0, self.margin // 2)
        self._number += 1
        stamp = self.stamped(self.world.now - unseen - early)
        start = self.world.database_clock - unseen
        transaction = Transaction(self._number, f"t{self._number}", start, stamp)
        self.open.append(transaction)
        return transaction

    def is_locked(self, transaction: Transaction | None, table: str, key: str) -> bool:
        """Whether another transaction has written this row and not ended."""
        return any(
            where == table and row.id == key
            for other in self.unfinished
            if other is not transaction
            for where, row in other.writes
        )

    def seen(self, transaction: Transaction, table: str) -> dict[str, Any]:
        """Return a table as a transaction sees it: what is committed, and its own writes."""
        rows = dict(self.tables[table])
        rows.update((row.id, row) for where, row in transaction.writes if where == table)
        return {key: row for key, row in rows.items() if not isinstance(row, Gone)}

    def is_going(self, transaction: Transaction, table: str, key: str) -> bool:
        """Whether another transaction that has not ended deletes this row: no link may be added."""
        return any(
            where == table and row.id == key and isinstance(row, Gone)
            for other in self.unfinished
            if other is not transaction
            for where, row in other.writes
        )

    def delete(self, transaction: Transaction, table: str, key: str) -> bool:
        """Delete a row and its links, as this transaction sees them.

        :returns: whether it could: no other transaction has written them or refers to the row.
        """
        column = "film" if table == "film_work" else "other"
        links = [
            (where, row.id)
            for where in REFERRING[table]
            for row in self.seen(transaction, where).values()
            if getattr(row, column) == key
        ]
        is_referred_to = any(
            where in REFERRING[table] and getattr(row, column, None) == key
            for other in self.unfinished
            if other is not transaction
            for where, row in other.writes
        )
        doomed = [*links, (table, key)]
        if is_referred_to or any(self.is_locked(transaction, *one) for one in doomed):
            return False
        transaction.writes += [(where, Gone(one)) for where, one in doomed]
        return True

    def set_savepoint(self, transaction: Transaction) -> None:
        """Begin a subtransaction: rows that it writes carry an id of its own."""
        self._number += 1
        transaction.xmin = str(self._number)
        transaction.savepoint = len(transaction.writes)

    def roll_back_to_savepoint(self, transaction: Transaction) -> None:
        """Undo what was written since the savepoint, and give those rows free."""
        del transaction.writes[transaction.savepoint :]
        transaction.savepoint = None

    def begin_commit(self, transaction: Transaction) -> None:
        """Write a commit into the log; its session waits, say for a standby's confirmation."""
        self.log.append(transaction.writes)
        self.open.remove(transaction)
        self.committing.append(transaction)

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction's rows visible."""
        if transaction not in self.committing:
            self.log.append(transaction.writes)
        for table, row in transaction.writes:
            if isinstance(row, Gone):
                self.deletions.note(table, bool(self.tables[table].pop(row.id, None)))
            else:
                if row.id not in self.tables[table]:
                    self.born[table, row.id] = self.world.steps
                self.tables[table][row.id] = row
                self.places[table].add((row.stamp, row.id))
        self.roll_back(transaction)

    def truncate(self, table: str) -> None:
        """Take every row out of a table, and out of those that refer to it."""
        gone = [(one, Gone(key)) for one in (table, *REFERRING[table]) for key in self.tables[one]]
        self.log.append(gone)
        for one in (table, *REFERRING[table]):
            self.tables[one].clear()
            self.deletions.files[one] += 1
        self._number += 1
        self._ended = self._number

    def roll_back(self, transaction: Transaction) -> None:
        """End a transaction."""
        self._ended = max(self._ended, int(transaction.xmin))
        for held in (self.open, self.prepared, self.committing):
            if transaction in held:
                held.remove(transaction)

    def prepare(self, transaction: Transaction) -> None:
        """Take a transaction out of its session."""
        self.open.remove(transaction)
        transaction.prepared_at = self.world.database_clock
        self.prepared.append(transaction)
