"""A sync DAG run through Airflow, without a scheduler."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from movies_etl.definitions.definition import IndexDefinition
from sqlalchemy import delete, select


class Run:
    """A run that has ended.

    :param run: as Airflow returns it.
    :param streams: the names of the index's streams.
    """

    def __init__(self, run: Any, streams: list[str]) -> None:
        found = {task: run.get_task_instance(task) for task in ("init", *streams, "follow")}
        tasks = {task: instance for task, instance in found.items() if instance}
        self._streams = streams
        self.state = str(run.state)
        self.states = {task: str(found.state) for task, found in tasks.items()}
        self.tries = {task: found.try_number for task, found in tasks.items()}
        self.results = {
            task: found.xcom_pull(task_ids=task, run_id=run.run_id) for task, found in tasks.items()
        }

    def counters(self, name: str) -> list[int]:
        """Return one counter of each stream."""
        return [self.results[stream][name] for stream in self._streams]


class SyncDag:
    """The sync DAG of an index over a test's servers."""

    def __init__(self, definition: IndexDefinition) -> None:
        self.definition = definition
        self._streams = [stream.name for stream in definition.streams]

    def run(self, conf: Mapping[str, object] | None = None) -> Run:
        """Run the DAG, read anew as by every task: dag.test() leaves a run's params in it."""
        folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
        dag = DagBag(dag_folder=folder).dags[self.definition.sync_dag]
        return Run(dag.test(run_conf=dict(conf or {})), self._streams)

    def variables(self) -> dict[str, tuple[str, str]]:
        """Return value and description of the program's Variables, of all indexes."""
        with create_session() as session:
            found = session.scalars(select(Variable).where(Variable.key.startswith("movies_etl")))
            return {one.key: (one.val, one.description or "") for one in found}

    def remember(self, variables: Mapping[str, str]) -> None:
        """Write Variables."""
        with create_session() as session:
            for key, value in variables.items():
                Variable.set(key, value, session=session)

    def forget(self) -> None:
        """Delete the program's Variables."""
        with create_session() as session:
            session.execute(delete(Variable).where(Variable.key.startswith("movies_etl")))
