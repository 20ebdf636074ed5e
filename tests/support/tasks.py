"""The tasks of a sync DAG as Airflow calls them, without Airflow's database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from movies_etl.airflow import follow_task as follow_task_module
from movies_etl.airflow import servers
from movies_etl.airflow import tasks as airflow_tasks
from movies_etl.airflow.dags import NEVER
from movies_etl.airflow.follow_task import follow_task
from movies_etl.airflow.tasks import init_task, sync_task
from movies_etl.definitions.definition import Stream

from tests.support.rebuild import stores_of
from tests.support.site import MemoryDifference, Site


class Tasks:
    """The tasks of an index over a test's servers, with state that a test can look at.

    :param site: whose index it is, and whose cursors and horizon are kept.
    :param ports: of PostgreSQL and of Elasticsearch, or of what stands before them.
    """

    def __init__(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, ports: tuple[int, int], **settings: str
    ) -> None:
        self._site = site
        self._definition = site.definition
        self._monkeypatch = monkeypatch
        self.difference = MemoryDifference()
        monkeypatch.setattr(airflow_tasks, "spare_the_collector", lambda: None)
        self.connect("movies_postgres", "postgres", ports[0], login="postgres", schema="movies")
        self.connect(
            "movies_elasticsearch", "elasticsearch", ports[1], extra={"request_timeout": 2}
        )
        self.configure(**{"horizon_margin": "0", "patience": "20"} | settings)

    def connect(self, name: str, kind: str, port: int, **fields: object) -> None:
        """Give an Airflow connection."""
        text = json.dumps({"conn_type": kind, "host": "127.0.0.1", "port": port} | fields)
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)

    def configure(self, **settings: str) -> None:
        """Give settings of the program."""
        for name, value in settings.items():
            self._monkeypatch.setenv(f"MOVIES_ETL_{name.upper()}", value)

    def init(self, **params: object) -> dict[str, Any]:
        """Do what the first task does; return the context."""
        return self._init("manual", params)

    def init_on_schedule(self) -> dict[str, Any]:
        """Do what it does in a run that nobody triggered; return the context."""
        return self._init("scheduled", {})

    def _init(self, run_type: str, params: dict[str, object]) -> dict[str, Any]:
        with self._stores():
            init = init_task(self._definition, NEVER).function
            run = SimpleNamespace(run_type=run_type, conf={})
            context: dict[str, Any] = init(params, "test", dag_run=run)
        return context

    def sync(self, stream: Stream, context: dict[str, Any], **params: object) -> dict[str, Any]:
        """Do what the task of a stream does; return its result."""
        return self._sync(stream, context, "manual", params)

    def sync_on_schedule(self, stream: Stream, context: dict[str, Any]) -> dict[str, Any]:
        """Do what it does in a run that nobody triggered; return its result."""
        return self._sync(stream, context, "scheduled", {})

    def _sync(
        self, stream: Stream, context: dict[str, Any], run_type: str, params: dict[str, object]
    ) -> dict[str, Any]:
        with self._stores():
            sync = sync_task(self._definition, stream).function
            run = SimpleNamespace(run_type=run_type, conf=params)
            result: dict[str, Any] = sync(context, params, "test", dag_run=run)
        return result

    def follow(self, context: dict[str, Any]) -> dict[str, Any]:
        """Do what the task that goes on does; return its result."""
        with self._stores():
            follow = follow_task(self._definition).function
            result: dict[str, Any] = follow(context, "test")
        return result

    def run(self, **params: object) -> dict[str, dict[str, Any]]:
        """Do what a run of the DAG does; return the tasks' results."""
        context = self.init(**params)
        return {
            stream.name: self.sync(stream, context, **params) for stream in self._definition.streams
        }

    @contextmanager
    def _stores(self) -> Iterator[None]:
        """Keep the state with the site in place of Airflow's Variables."""
        with self._monkeypatch.context() as patches:
            for name, store in {
                "VariableCursorStore": self._site.cursors,
                "VariableHorizonStore": self._site.horizons,
                "VariableNoticeStore": self._site.notices,
                "VariableReconcileStore": self._site.reconciled,
                "VariableLayoutStore": self._site.layouts,
                "VariableDifferenceStore": self.difference,
            }.items():
                patches.setattr(airflow_tasks, name, lambda _, store=store: store)
            for name, followed in {
                "VariableHorizonStore": self._site.horizons,
                "VariableDifferenceStore": self.difference,
                "stores_of": stores_of(self._site),
            }.items():
                patches.setattr(follow_task_module, name, lambda _, kept=followed: kept)
            patches.setattr(servers, "VariableCursorStore", lambda _: self._site.cursors)
            patches.setattr(airflow_tasks, "stores_of", lambda _: stores_of(self._site))
            yield
