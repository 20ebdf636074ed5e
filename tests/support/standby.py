"""A streaming standby of a test's PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from local.postgres import SUPERUSER, Postgres
from local.processes import wait_until
from tests.support.servers import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from local.postgres_place import Place


class Standby(Postgres):
    """A copy of a server, made when it is started first, which replays what is written there.

    :param options: settings on top of those of the primary.
    """

    def __init__(self, primary: Postgres, data: Path, options: dict[str, str]) -> None:
        super().__init__(data, port=free_port(), options={**primary.options, **options})
        self.primary = primary

    def ask(self, query: str, *parameters: object) -> Any:
        """Return the one value that a query has."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            ((value,),) = connection.execute(query, parameters).fetchall()
        return value

    def pause(self) -> None:
        """Replay nothing more; what arrives is kept."""
        self.ask("SELECT pg_wal_replay_pause()")
        self._wait_for("pg_get_wal_replay_pause_state() = 'paused'")

    def resume(self) -> None:
        """Replay again."""
        self.ask("SELECT pg_wal_replay_resume()")

    def come_along(self) -> None:
        """Wait until it receives, and has replayed, what the primary has written by now."""
        with psycopg.connect(self.primary.dsn(), autocommit=True) as connection:
            connection.execute("SELECT pg_current_xact_id()")  # a commit, which is flushed soon
            ((end,),) = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
        self._wait_for("pg_last_wal_replay_lsn() >= %s::pg_lsn", end)
        self._wait_for("EXISTS (SELECT FROM pg_stat_wal_receiver)")

    def promote(self) -> None:
        """Make it a server of its own."""
        assert self.ask("SELECT pg_promote()")

    def _wait_for(self, condition: str, *parameters: object) -> None:
        wait_until(
            lambda: bool(self.ask(f"SELECT {condition}", *parameters)), seconds=60, what=condition
        )

    def _initialise(self, place: Place) -> None:
        port = str(self.primary.port)
        source = ("-h", "127.0.0.1", "-p", port, "-U", SUPERUSER)
        self._run("pg_basebackup", *source, "-D", place.cluster, "-R", "-c", "fast", "--no-sync")
