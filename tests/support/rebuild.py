"""A rebuild as its DAG does it, task by task, without Airflow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from movies_etl.definitions.ranges import Range
from movies_etl.errors import IndexUnavailableError, SourceUnavailableError, WriterBusyError
from movies_etl.postgres.source import Source
from movies_etl.rebuild.begin import begin
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.beside import feed_others
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.gate import check
from movies_etl.rebuild.load import load_range, of_range
from movies_etl.rebuild.loaded import loaded
from movies_etl.rebuild.plan import EVERYTHING, Asked, Plan, Runs, Stores
from movies_etl.rebuild.split import split
from movies_etl.rebuild.swap import swap
from movies_etl.reconcile.each_run import run_stream
from movies_etl.sync.resources import Resources

from tests.support.site import Site

T = TypeVar("T")

RETRIES = 10
"""Attempts of a task, as its DAG has it."""


class MemoryPosition:
    """The state of one task."""

    def __init__(self) -> None:
        self.kept: str | None = None
        self.saves = 0

    def load(self) -> str | None:
        return self.kept

    def save(self, position: str) -> None:
        self.kept = position
        self.saves += 1


def stores_of(site: Site) -> Stores:
    """Return what is kept of a site's indexes."""
    return Stores(site.cursors, site.horizons, site.reconciled)


def behind(site: Site) -> str:
    """Return the index behind the alias."""
    (name,) = site.client.indices.get_alias(name=site.definition.alias)
    return str(name)


def run(site: Site) -> dict[str, int]:
    """Do what a run of the sync does; return how many documents each task looked at."""
    site.reconnect()
    context = site.open()
    read = {}
    for stream in site.definition.streams:
        with site.resources(context) as resources:
            result = run_stream(stream, resources, site.settings, site.difference)
            read[stream.name] = result["read"]
            if stream is site.definition.streams[-1]:
                feed_others(resources, site.settings, stores_of(site))
    site.reconnect()
    return read


def until_done(task: Callable[[], T]) -> T:
    """Do a task as Airflow does it: again when a server was lost, or another task was at work."""
    for _ in range(RETRIES):
        try:
            return task()
        except (SourceUnavailableError, IndexUnavailableError, WriterBusyError):
            continue
    raise AssertionError("it comes to no end")


def documents(site: Site, index: str) -> dict[str, Any]:
    site.client.indices.refresh(index=index)
    hits = site.client.search(index=index, size=1000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


@contextmanager
def searching(site: Site) -> Iterator[list[int]]:
    """Count the documents behind the alias all the time."""
    counts: list[int] = []
    errors: list[Exception] = []
    ended = threading.Event()
    client, alias = site.client, site.definition.alias

    def search() -> None:
        while not ended.is_set():
            try:
                answer = client.search(index=alias, size=0, track_total_hits=True)
            except Exception as error:  # noqa: BLE001 - any is a finding
                errors.append(error)
            else:
                counts.append(answer["hits"]["total"]["value"])

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join()
    assert errors == []


@dataclass
class Rebuild:
    """One run of the DAG over a site.

    :param states: of the runs that Airflow knows.
    """

    site: Site
    run_id: str = "manual__1"
    asked: Asked = field(default_factory=Asked)
    states: dict[str, str] = field(default_factory=dict)
    positions: dict[Range, MemoryPosition] = field(default_factory=dict)

    def begin(self) -> Plan:
        site = self.site
        site.reconnect()  # its session has the locks of its last run
        with self._source() as source:
            runs = Runs(self.run_id, self.states.get)
            begun = Beginning(source, site.client, stores_of(self.site), site.settings, runs)
            return begin(begun, self.asked)

    def split(self, plan: Plan) -> list[Range]:
        with self._source() as source:
            return split(source, plan)

    def load(self, plan: Plan, part: Range) -> dict[str, Any]:
        position = self.positions.setdefault(part, MemoryPosition())
        with self._resources(plan) as resources:
            own = of_range(resources, position)
            return load_range(part, plan, self.run_id, own, self.site.settings)

    def load_all(self, plan: Plan) -> list[dict[str, Any]]:
        return [self.load(plan, part) for part in self.split(plan)]

    def loaded(self, plan: Plan, results: list[dict[str, Any]]) -> None:
        with self._candidate(plan) as candidate:
            loaded(candidate, self.run_id, [one["version"] for one in results])

    def check(self, plan: Plan) -> dict[str, Any]:
        with self._candidate(plan) as candidate:
            return check(candidate, self.asked.checks)

    def swap(self, plan: Plan) -> dict[str, Any]:
        self.site.reconnect()
        with self._candidate(plan) as candidate:
            return swap(candidate)

    def until_checked(self) -> Plan:
        """Do everything but the swap."""
        plan = self.begin()
        results = self.load_all(plan)
        if plan.loads:
            self.loaded(plan, results)
        self.check(plan)
        return plan

    def run(self) -> dict[str, Any]:
        """Do what the DAG does; return what the swap returns."""
        return self.swap(self.until_checked())

    @contextmanager
    def _source(self) -> Iterator[Source]:
        with psycopg.connect(self.site.reading_dsn, autocommit=True) as session:
            yield Source.opened(session, self.site.definition, self.site.settings)

    @contextmanager
    def _resources(self, plan: Plan) -> Iterator[Resources]:
        with self._source() as source, ThreadPoolExecutor(2) as executor:
            yield Resources(
                source=source,
                client=self.site.client,
                context=plan.context,
                cursors=self.site.cursors.beside(plan.context.index),
                executor=executor,
                patience=self.site.settings.patience,
                lock_wait=10,  # a session that was just closed may still have the lock
                replica=self.site.replica,
            )

    @contextmanager
    def _candidate(self, plan: Plan) -> Iterator[Candidate]:
        with self._resources(plan) as resources:
            yield Candidate(plan, resources, stores_of(self.site), self.site.settings)


__all__ = [
    "EVERYTHING",
    "Asked",
    "MemoryPosition",
    "Plan",
    "Rebuild",
    "behind",
    "documents",
    "run",
    "stores_of",
    "until_done",
]
