"""A model of a streaming standby: commits come to it in the order of the log, a while later."""

from __future__ import annotations

from typing import Any

from movies_etl.errors import SourceUnavailableError
from movies_etl.postgres.replica import Replica
from movies_etl.settings import Settings

from tests.simulation.postgres import Gone, Postgres
from tests.simulation.queries import SimulatedQueries

SETTINGS = Settings(replica_conn_id="movies_replica", replica_wait=1)


class Standby(Postgres):
    """The catalogue as it was at a place of the primary's log; nobody writes to it.

    ``replayed`` is that place. ``is_away`` lets nobody connect, or ask anything.
    """

    def __init__(self, primary: Postgres) -> None:
        super().__init__(primary.world, zone=primary.zone, margin=primary.margin)
        self.primary = primary
        self.system_identifier = primary.system_identifier
        self.replayed = 0
        self.is_away = False

    def replay(self, commits: int | None = None) -> None:
        """Replay so many commits, or all that there are."""
        waiting = self.primary.log[self.replayed :]
        for writes in waiting if commits is None else waiting[:commits]:
            for table, row in writes:
                if isinstance(row, Gone):
                    self.tables[table].pop(row.id, None)
                else:
                    self.tables[table][row.id] = row
            self.replayed += 1


class StandbyQueries(SimulatedQueries):
    """A session of the standby, which gets on while it is asked, as chance has it."""

    def __init__(self, standby: Standby, name: str) -> None:
        super().__init__(standby, name)
        self._standby = standby

    def _move(self, action: str) -> None:
        super()._move(f"{action} on the replica")
        world = self._standby.world
        if self._standby.is_away:
            raise SourceUnavailableError(f"the standby is away at {action}")
        if world.calm:
            self._standby.replay()
        elif world.chance(0.3):
            self._standby.replay(world.random.randint(1, 4))

    def _replayed(self, place: int) -> list[tuple[Any, ...]]:
        return [(True, True, 1, self._standby.replayed >= place)]


class SimulatedReplica(Replica):
    """The program's own waiting for a standby, and what it does without one."""

    def __init__(self, standby: Standby, name: str) -> None:
        super().__init__(lambda: None, SETTINGS)  # type: ignore[arg-type, return-value]
        self._standby = standby
        self._session = name

    def _open(self) -> StandbyQueries:
        return StandbyQueries(self._standby, self._session)
