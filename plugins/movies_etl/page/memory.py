"""What Airflow remembers of an index: its cursors, its runs, what its tasks returned."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from elasticsearch import Elasticsearch
from pydantic import BaseModel, ConfigDict

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.source import Source
from movies_etl.state.comparison import Comparison
from movies_etl.state.cursors import Cursor
from movies_etl.state.reconcile import ReconcileState

POSTGRES = "PostgreSQL"
ELASTICSEARCH = "Elasticsearch"
AIRFLOW = "Airflow's database"


class Run(BaseModel):
    """A run of a sync DAG; times are None as long as they have not come.

    :param state: ``queued``, ``running``, ``success`` or ``failed``.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None


class Memory(NamedTuple):
    """What Airflow remembers of one index.

    :param cursors: by stream; None of a stream that was never loaded.
    :param comparison: the last comparison of counts.
    :param reconcile: how far the reconcile has come.
    :param paused: whether the schedule is stopped; None when Airflow does not know the DAG.
    :param runs: the newest runs, the newest first.
    :param held_by: what held the horizon at the newest run that measured it, in words.
    """

    cursors: Mapping[str, Cursor | None]
    comparison: Comparison | None = None
    reconcile: ReconcileState | None = None
    paused: bool | None = False
    runs: tuple[Run, ...] = ()
    held_by: str | None = None

    @property
    def ended(self) -> Run | None:
        """The newest run that is over."""
        return next((run for run in self.runs if run.ended), None)

    @property
    def running(self) -> Run | None:
        """The run that is under way."""
        return next((run for run in self.runs if run.state == "running"), None)


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
