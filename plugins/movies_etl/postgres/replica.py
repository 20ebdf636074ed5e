"""Reads from a replica: a standby builds pages and documents, the primary decides everything.

The lock, the clock, the horizon and what is visible are asked of the primary. Then its log ends at
some place, and whatever it has shown to anybody lies below. A standby that has replayed the log up
to there shows all of it: what is read there is not older than anything that was read before, on
either server. docs/adr/0010 has the proof.

A standby that is away, behind, promoted or of another timeline is no error: the primary is read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

from movies_etl.definitions.definition import Feed
from movies_etl.errors import ConfigurationError, SourceUnavailableError, on_one_line
from movies_etl.postgres.assembly import Assembled
from movies_etl.postgres.queries import Queries
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Row, Source
from movies_etl.settings import Settings, variable

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.02
"""Seconds between two looks how far the replica is."""

REST_SECONDS = 60.0
"""Seconds for which a replica that failed is left alone."""


class LogEnd(NamedTuple):
    """Where the primary's log ends.

    :param place: in bytes.
    """

    timeline: int
    place: Decimal


class Replica:
    """A standby of the primary, for the life of a task.

    :param connect: opens a session in autocommit.
    :param settings: ``replica_conn_id`` names it, ``replica_wait`` is how long it may take.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], settings: Settings) -> None:
        self._connect = connect
        self._settings = settings
        self.name = settings.replica_conn_id
        self._queries: Queries | None = None
        self._rests_until = 0.0

    def check(self, primary: Source) -> None:
        """Refuse a connection that leads elsewhere; warn of a replica that cannot be read now.

        :raises ConfigurationError: as :meth:`caught_up`.
        """
        try:
            self._following(primary).has_caught_up()
        except SourceUnavailableError as error:
            self._give_up(error)

    def caught_up(self, primary: Source) -> Source:
        """Return what to read: this replica, once it shows all that the primary shows now.

        The writer's lock is held, and the horizon measured.

        :returns: the primary where the replica cannot be read, or not in time.
        :raises ConfigurationError: the connection does not lead to a standby of the primary, or the
            role may not see what it has to.
        """
        if time.monotonic() < self._rests_until:
            return primary
        try:
            source = self._following(primary)
            self._wait(source)
        except SourceUnavailableError as error:
            self._give_up(error)
            return primary
        return source

    def rest(self) -> None:
        """Read the primary for a while: reading the replica has failed."""
        self._rests_until = time.monotonic() + REST_SECONDS
        self.close()

    def close(self) -> None:
        """Close the session, if there is one."""
        if self._queries:
            self._queries.close()
            self._queries = None

    def _give_up(self, error: SourceUnavailableError) -> None:
        log.warning("%s Pages and documents are read from the primary.", on_one_line(error))
        self.rest()

    def _following(self, primary: Source) -> ReplicaSource:
        end = LogEnd(*primary.queries.rows("log_end.sql")[0])
        return ReplicaSource(self._opened(primary), primary, self.name, end)

    def _wait(self, source: ReplicaSource) -> None:
        deadline = time.monotonic() + self._settings.replica_wait
        while not source.has_caught_up():
            if time.monotonic() >= deadline:
                raise SourceUnavailableError(
                    f"The replica (connection {self.name}) has not replayed within "
                    f"{self._settings.replica_wait:g} s ({variable('replica_wait')}) what the "
                    "primary had written by then."
                )
            time.sleep(LOOK_SECONDS)

    def _opened(self, primary: Source) -> Queries:
        if self._queries is None:
            self._queries = self._open()
            try:
                self._queries.run("session.sql")
                _check_database(self._queries, primary, self.name)
            except BaseException:
                self.close()
                raise
        return self._queries

    def _open(self) -> Queries:
        settings = self._settings
        folder = settings.include_dir / "sql"
        return Queries(self._connect(), folder, settings.schema_name, self.name)


class ReplicaSource(Source):
    """The catalogue on a replica: rows and documents are its own, the server is the primary.

    :param queries: over a session of the replica.
    :param name: its Airflow connection.
    :param end: of the primary's log, up to which it must have replayed.
    """

    def __init__(self, queries: Queries, primary: Source, name: str, end: LogEnd) -> None:
        super().__init__(queries, primary.server, primary.definition, primary.layout)
        self._primary = primary
        self._name = name
        self._end = end

    def has_caught_up(self) -> bool:
        """Whether everything up to the end of the primary's log can be seen.

        :raises SourceUnavailableError: this is no standby (any more), or it does not follow the
            primary.
        :raises ConfigurationError: the role may not see which timeline is followed.
        """
        in_recovery, is_receiving, timeline, is_replayed = self.queries.rows(
            "replayed.sql", place=self._end.place
        )[0]
        if not in_recovery:
            raise SourceUnavailableError(
                f"Connection {self._name} leads to no standby: it was promoted, or never was one. "
                f"Point it to a standby, or leave {variable('replica_conn_id')} empty."
            )
        if not is_receiving:
            raise SourceUnavailableError(
                f"The replica (connection {self._name}) receives nothing from its primary."
            )
        if timeline is None:
            raise ConfigurationError(
                f"The role of connection {self._name} does not see which timeline the replica "
                "follows, so nothing tells what it has replayed. On the primary: GRANT "
                "pg_read_all_stats to it."
            )
        if timeline != self._end.timeline:
            raise SourceUnavailableError(
                f"The replica (connection {self._name}) follows timeline {timeline}, the primary "
                f"(connection movies_postgres) writes {self._end.timeline}: a server was promoted, "
                "and one of the two connections leads to another branch."
            )
        return bool(is_replayed)

    def lasting(self, feed: Feed, rows: Sequence[Row]) -> list[Row]:
        """Return the row versions that the primary shows, too.

        A standby may show a commit before the primary does, and then somebody reads the row there
        as it was before.
        """
        if not rows:
            return []
        ids = [row.id for row in rows]
        shown = set(self._primary.queries.rows("feed/versions.sql", self._names(feed), ids=ids))
        return [row for row in rows if (row.id, row.xmin) in shown]

    def documents(self, ids: Sequence[str]) -> tuple[int, Generator[list[Assembled], None, None]]:
        """Build whole documents; see :meth:`Source.documents`.

        :returns: their version by the primary's clock; pieces of what was a standby's still after
            its snapshot.
        """
        version, pieces = super().documents(ids)
        return version, self._checked(pieces)

    def _checked(
        self, pieces: Generator[list[Assembled], None, None]
    ) -> Generator[list[Assembled], None, None]:
        with closing(pieces):
            for documents in pieces:
                self.has_caught_up()
                yield documents


def _check_database(queries: Queries, primary: Source, name: str) -> None:
    """Refuse another database than the primary's.

    :raises ConfigurationError: it is another one, or it cannot be told.
    """
    ((database, oid, _version, _in_recovery),) = queries.rows("identity.sql")
    cluster = Server(queries).cluster()
    theirs = primary.server.identity().database
    if cluster is None or theirs.system_identifier is None:
        raise ConfigurationError(
            f"Nothing tells whether connection {name} leads to a standby of the server of "
            "connection movies_postgres. On the primary: GRANT EXECUTE ON FUNCTION "
            "pg_control_system(), pg_control_checkpoint() to the roles of both."
        )
    if (cluster.system_identifier, oid) != (theirs.system_identifier, theirs.oid):
        raise ConfigurationError(
            f"Connection {name} leads to database {database} of cluster "
            f"{cluster.system_identifier}, connection movies_postgres to {theirs.name} of "
            f"{theirs.system_identifier}: a replica is a standby of the same server. Point it to "
            f"one, or leave {variable('replica_conn_id')} empty."
        )
