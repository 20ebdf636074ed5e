"""What Airflow does with the DAGs of an index: their tasks, each tried again when it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.errors import MoviesEtlError
from movies_etl.follow.others import Feeding
from movies_etl.follow.run import Stores, follow
from movies_etl.postgres.replica import Replica
from movies_etl.postgres.source import Source
from movies_etl.reconcile.asked_for import ReconcileParams
from movies_etl.reconcile.context import loaded_context
from movies_etl.reconcile.each_run import run_stream
from movies_etl.reconcile.purge import approved, next_list, refused
from movies_etl.reconcile.run import TASKS, run_task
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.settings import Settings
from movies_etl.state.comparison import DifferenceStore
from movies_etl.state.reconcile import ReconcileStore
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import State, prepare_beside, prepare_run
from movies_etl.sync.resources import Resources
from movies_etl.sync.starting_points import Reload

from tests.support.divergence import Results
from tests.support.one_thread import Killed


def no_others(_: RunContext) -> Feeding:
    """Feed nothing: there is no index beside the live one."""
    yield from ()


class Task(Protocol):
    """One attempt of one task."""

    @property
    def source(self) -> Source: ...

    @property
    def client(self) -> Any: ...

    @property
    def executor(self) -> Executor: ...

    @property
    def replica(self) -> Replica | None: ...

    def end(self) -> None:
        """End the session, and with it its locks."""


TaskT = TypeVar("TaskT", bound=Task)
ResultT = TypeVar("ResultT")


class DagRun(ABC, Generic[TaskT]):
    """One run.

    :param name: for the story of a history.
    :param retries: of each task.
    """

    definition: IndexDefinition
    """The index that the DAG keeps equal."""
    note: Callable[..., None]
    """Takes a line of the history's story, and the values for its ``%s``."""
    state: State
    differences: DifferenceStore
    reconciled: ReconcileStore
    settings: Settings
    lock_wait: float
    """Seconds that a task waits for another writer."""
    tasks: list[TaskT]
    """Those at work, the one on top last."""
    vanished: list[TaskT]
    """Those whose worker is gone without PostgreSQL having noticed."""

    def __init__(self, name: str, retries: int) -> None:
        self.name = name
        self.retries = retries

    @abstractmethod
    def begun(self, name: str, context: RunContext | None) -> TaskT:
        """Begin a task."""

    @abstractmethod
    def killed(self, task: TaskT) -> bool:
        """Let a task that was killed die; say whether its session stays open."""

    def failed(self, name: str, error: MoviesEtlError) -> None:
        """Take note of a task that failed."""

    def feed_others(self, resources: Resources) -> None:
        """Feed the indexes beside the live one, where there may be any."""

    def before_retry(self) -> None:
        """Wait."""

    def init(self, reload: Reload = "none") -> RunContext | None:
        """Do the first task; None when it came to no good end."""

        def prepared(task: TaskT) -> RunContext:
            return prepare_run(task.source, task.client, self.state, self.settings, reload)

        return self._attempts("init", None, prepared)

    def init_beside(self) -> RunContext | None:
        """Do the first task of a scheduled run beside a task that follows; None: it needs a lock.

        It is not tried again.
        """

        def prepared(task: TaskT) -> RunContext | None:
            return prepare_beside(task.source, task.client, self.state, self.settings)

        return self._attempt(f"{self.name} init", None, prepared)

    def sync(
        self,
        context: RunContext,
        asked: RunParams | None = None,
        streams: Sequence[Stream] = (),
    ) -> Results | None:
        """Do the tasks of all streams, or of these; None when one came to no good end."""
        done = []
        for stream in streams or self.definition.streams:
            result = self._stream(stream, context, asked)
            if result is None:
                return None
            done.append(result)
        return done

    def _stream(
        self, stream: Stream, context: RunContext, asked: RunParams | None
    ) -> dict[str, Any] | None:
        counters = Counters()
        whole = (
            asked if asked is None or stream is self.definition.root else RunParams(asked.page_size)
        )

        def synced(task: TaskT) -> dict[str, Any]:
            resources = replace(self._resources(task, context), counters=counters)
            result = run_stream(stream, resources, self.settings, self.differences, whole)
            if stream is self.definition.streams[-1]:
                self.feed_others(resources)
            return result

        return self._attempts(stream.name, context, synced)

    def follow(self, context: RunContext) -> dict[str, Any] | None:
        """Do the task that goes on when the streams are done; None when it came to no good end."""
        stores = Stores(self.state.horizons, self.differences, no_others)

        def followed(task: TaskT) -> dict[str, Any]:
            return follow(self._resources(task, context), self.settings, stores)

        return self._attempts("follow", context, followed)

    def reconcile(self) -> Results | None:
        """Do the tasks of the reconcile; None when one came to no good end."""
        done = []
        for name in TASKS:
            if name == "contents" and not self.must_compare_everything():
                continue
            result = self._with_what_is_loaded(name, partial(self._reconciled, name))
            if result is None:
                return None
            done.append(result)
        return done

    def purge(self, *, approve: bool) -> Results | None:
        """Ask about the next list of documents, and do as a person answers.

        :returns: nothing where there is no list; None when a task came to no good end.
        """

        found = self._with_what_is_loaded("find", self._found)
        if not found:
            return None if found is None else []
        answer = partial(self._approved if approve else self._refused, found["digest"])
        result = self._with_what_is_loaded("purge", answer)
        return None if result is None else [result]

    def _found(self, resources: Resources) -> dict[str, Any]:
        one = next_list(resources, self.settings, self.name)
        return {"digest": one.digest} if one else {}

    def _approved(self, digest: str, resources: Resources) -> dict[str, Any]:
        return approved(resources, self.settings, digest, None).as_result()

    def _refused(self, digest: str, resources: Resources) -> dict[str, Any]:
        refused(resources, digest, None)
        return {}

    def must_compare_everything(self) -> bool:
        """Whether the pass over everything comes to these few documents.

        It must where it never came to its end; later, among millions, it is at others.
        """
        state = self.reconciled.load()
        return state is None or state.verified_at is None or state.current is not None

    def _reconciled(self, name: str, resources: Resources) -> dict[str, Any]:
        one = ReconcileTask(resources, self.settings, self.reconciled, ReconcileParams())
        return run_task(name, one)

    def _with_what_is_loaded(
        self, name: str, body: Callable[[Resources], dict[str, Any]]
    ) -> dict[str, Any] | None:
        """Do a task over the index that is loaded; nothing where none is."""

        def done(task: TaskT) -> dict[str, Any]:
            patience = self.settings.patience
            context = loaded_context(task.source, task.client, self.state.cursors, patience)
            return {} if context is None else body(self._resources(task, context))

        return self._attempts(name, None, done)

    def _resources(self, task: TaskT, context: RunContext) -> Resources:
        return Resources(
            source=task.source,
            client=task.client,
            context=context,
            cursors=self.state.cursors,
            executor=task.executor,
            patience=self.settings.patience,
            lock_wait=self.lock_wait,
            replica=task.replica,
        )

    def _attempts(
        self, task: str, context: RunContext | None, body: Callable[[TaskT], ResultT]
    ) -> ResultT | None:
        for _ in range(self.retries + 1):
            result = self._attempt(f"{self.name} {task}", context, body)
            if result is not None:
                return result
            self.before_retry()
        return None

    def _attempt(
        self, name: str, context: RunContext | None, body: Callable[[TaskT], ResultT]
    ) -> ResultT | None:
        task = self.begun(name, context)
        self.tasks.append(task)
        self.note("%s begins", name)
        vanishes = False
        try:
            try:
                result = body(task)
            except MoviesEtlError as error:
                self.note("%s fails: %s", name, repr(error))
                task.executor.shutdown()  # as leaving the executor's block does
                self.failed(name, error)
                return None
            else:
                self.note("%s ends: %s", name, result)
                return result
        except Killed:
            self.note("%s is killed", name)
            vanishes = self.killed(task)
            return None
        finally:
            self.tasks.remove(task)
            if vanishes:
                self.vanished.append(task)
            else:
                task.end()
