"""What Airflow remembers of an index: its cursors, its runs, what its tasks returned."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from elasticsearch import Elasticsearch
from pydantic import BaseModel, ConfigDict

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.state.comparison import Comparison
from movies_etl.state.cursors import Cursor
from movies_etl.state.reconcile import ReconcileState

POSTGRES = "PostgreSQL"
ELASTICSEARCH = "Elasticsearch"
AIRFLOW = "Airflow's database"

PATIENT = timedelta(minutes=5)
"""Time without progress after which the page says that an index, or a run of it, does not move."""


class Run(BaseModel):
    """A run of a sync DAG; times are None as long as they have not come.

    :param state: ``queued``, ``running``, ``success`` or ``failed``.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None


class TasksSeen(NamedTuple):
    """Tasks of a run that are in the same state.

    :param task: their id.
    :param state: Airflow's word; None of what is not due yet.
    :param number: how many they are, where the task is mapped.
    :param since: when the first of them began.
    :param is_mapped: they are parts of a mapped task.
    """

    task: str
    state: str | None
    number: int = 1
    since: datetime | None = None
    is_mapped: bool = False


class Rebuild(NamedTuple):
    """A run of a rebuild DAG, and its tasks."""

    run: Run
    tasks: tuple[TasksSeen, ...]


class Memory(NamedTuple):
    """What Airflow remembers of one index.

    :param cursors: by stream; None of a stream that was never loaded.
    :param comparison: the last comparison of counts.
    :param reconcile: how far the reconcile has come.
    :param paused: whether the schedule is stopped; None when Airflow does not know the DAG.
    :param runs: the newest runs, and all that are under way, the newest first.
    :param held_by: what held the horizon at the newest run that measured it, in words.
    :param rebuild: the newest run that makes the index anew.
    :param fed: indexes without the alias that have cursors.
    :param problems: why cursors or runs cannot be told: nothing follows from what is missing then.
    :param unread: what else could not be read, and why.
    """

    cursors: Mapping[str, Cursor | None]
    comparison: Comparison | None = None
    reconcile: ReconcileState | None = None
    paused: bool | None = False
    runs: tuple[Run, ...] = ()
    held_by: str | None = None
    rebuild: Rebuild | None = None
    fed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def ended(self) -> Run | None:
        """The newest run that is over."""
        return next((run for run in self.runs if run.ended), None)

    @property
    def running(self) -> Run | None:
        """The run that is under way; where runs go on, the oldest of them: the others stand by."""
        return next((run for run in reversed(self.runs) if run.state == "running"), None)

    @property
    def moved(self) -> datetime | None:
        """The last moment at which a cursor is known to have moved; None without any.

        A cursor's version is the time of a reading. While a task has it open, it is a bound that
        lies up to a minute ahead.
        """
        cursors = [cursor for cursor in self.cursors.values() if cursor]
        read = [datetime.fromtimestamp(one.version / 1_000_000, UTC) for one in cursors]
        confirmed = [parse(one.horizon) for one in cursors if one.horizon]
        return max([*read, *confirmed], default=None)

    def is_moving(self, now: datetime) -> bool:
        """Whether a run is under way that has begun, or saved a cursor, a short time ago."""
        if self.running is None:
            return False
        moments = (self.moved, self.running.started)
        last = max((one for one in moments if one), default=now)
        return now - last < PATIENT


class Finished(NamedTuple):
    """A run that is over, with what its tasks returned by task."""

    run: Run
    results: Mapping[str, Mapping[str, Any]]


class Servers(Protocol):
    """The servers that the page asks; every answer comes in seconds or is an error."""

    def catalogue(self, definition: IndexDefinition) -> AbstractContextManager[Source]:
        """Connect to PostgreSQL."""

    def elasticsearch(self) -> AbstractContextManager[Elasticsearch]:
        """Give out a client that repeats nothing."""

    def memory(self, definition: IndexDefinition) -> Memory:
        """Return what Airflow remembers."""

    def finished(self, definition: IndexDefinition, since: datetime) -> list[Finished]:
        """Return the runs that ended since a moment, the oldest first."""
