"""The server behind the catalogue: which one it is, its clock, what is open, the writer's lock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import psycopg

from movies_etl.errors import ConfigurationError, SourceUnavailableError
from movies_etl.postgres.horizon import Activity, Epoch, Holder, Prepared
from movies_etl.postgres.lock import LockHolder
from movies_etl.postgres.queries import Queries
from movies_etl.state.database import Database
from movies_etl.state.visible import Cluster


class Identity(NamedTuple):
    """Which server and database this is.

    :param version: PostgreSQL's version as a number, for example 180006.
    """

    version: int
    database: Database


class Server:
    """What the program asks of PostgreSQL itself; see :class:`Queries` for the errors.

    :param ignored_roles: roles whose transactions never write and hold no horizon.
    """

    def __init__(self, queries: Queries, ignored_roles: Sequence[str] = ()) -> None:
        self.queries = queries
        self._ignored_roles = list(ignored_roles)

    def identity(self) -> Identity:
        """Return which server and database this is.

        :raises SourceUnavailableError: the server is a standby, for now or for good.
        """
        ((name, oid, version, in_recovery),) = self.queries.rows("identity.sql")
        if in_recovery:
            raise SourceUnavailableError(
                "Connection movies_postgres leads to a standby: nothing there tells which "
                "transactions are still open, nor keeps a second writer away. Point it to the "
                "primary, or wait for its promotion."
            )
        cluster = self.cluster_at_opening
        database = Database(
            name=name,
            system_identifier=cluster and cluster.system_identifier,
            timeline=cluster and cluster.timeline,
            oid=oid,
        )
        return Identity(int(version), database)

    @cached_property
    def cluster_at_opening(self) -> Cluster | None:
        """What :meth:`cluster` said first: a session stays with its cluster to its end."""
        return self.cluster()

    def cluster(self) -> Cluster | None:
        """Return which cluster this is and what is visible; None where the role may not know."""
        try:
            (row,) = self.queries.rows("cluster.sql")
        except ConfigurationError as error:
            if not isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise
            return None
        return Cluster(*row)

    def now(self) -> str:
        """Read the clock; ISO 8601, UTC."""
        ((now,),) = self.queries.rows("now.sql")
        return str(now)

    def clock(self) -> int:
        """Read the clock in microseconds: the version of what is read after it."""
        ((clock,),) = self.queries.rows("clock.sql")
        return int(clock)

    def snapshot(self) -> str:
        """Return what is visible, as a text; while it stays the same, nothing became visible."""
        ((snapshot,),) = self.queries.rows("snapshot.sql")
        return str(snapshot)

    def activity(self) -> Activity:
        """Look at what is open in the database; see ``include/sql/activity.sql``."""
        ((now, oldest, hidden, *holder),) = self.queries.rows(
            "activity.sql", ignored_roles=self._ignored_roles
        )
        return Activity(now, oldest, hidden, Holder(*holder) if holder[0] else None)

    def prepared_transactions(self) -> list[Prepared]:
        """Return the prepared transactions, the oldest first."""
        return [Prepared(*row) for row in self.queries.rows("prepared.sql")]

    def virtual_transactions(self) -> Epoch:
        """Return the open transactions by names that every role may see."""
        ((now, transactions),) = self.queries.rows(
            "virtual_transactions.sql", ignored_roles=self._ignored_roles
        )
        return Epoch(now=now, transactions=tuple(transactions))

    def lock(self, key: int) -> bool:
        """Take the writer's lock for the rest of the session, if it is free."""
        ((taken,),) = self.queries.rows("lock.sql", key=key)
        return bool(taken)

    def wait_for_lock(self, key: int, seconds: float) -> bool:
        """Take the writer's lock for the rest of the session as soon as it is free.

        :returns: whether it was in time.
        """
        try:
            self.queries.rows("lock_wait.sql", key=key, milliseconds=max(int(seconds * 1e3), 1))
        except SourceUnavailableError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return self._has(key)  # it may have been given at the very moment the time was over
            raise
        return True

    def _has(self, key: int) -> bool:
        ((has,),) = self.queries.rows("held.sql", key=key)
        return bool(has)

    def is_awaited(self, key: int) -> bool:
        """Whether another session waits for this lock."""
        ((awaited,),) = self.queries.rows("awaited.sql", key=key)
        return bool(awaited)

    def unlock(self, key: int) -> None:
        """Undo one taking of the writer's lock."""
        self.queries.rows("unlock.sql", key=key)

    def lock_holder(self, key: int) -> LockHolder | None:
        """Return the session that holds the writer's lock, None when it is free."""
        for row in self.queries.rows("lock_holder.sql", key=key):
            return LockHolder(*row)
        return None

    def indexes(self) -> list[tuple[str, list[str]]]:
        """Return table and columns of each usable index of the catalogue's schema."""
        rows = self.queries.rows("indexes.sql", schema=self.queries.schema)
        return [(table, columns) for table, columns in rows]
