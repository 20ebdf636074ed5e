"""What Airflow does: runs of the DAG, retries of a task, tasks that are cleared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from movies_etl.definitions.definition import Stream
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import MoviesEtlError
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import run_stream
from movies_etl.sync.starting_points import Reload

from tests.simulation.tasks import Task
from tests.simulation.world import SECOND, Divergence, Killed

if TYPE_CHECKING:
    from tests.simulation.history import History

ResultT = TypeVar("ResultT")
Results = list[dict[str, Any]]
"""What the tasks of a run return, in the order of its streams."""


def run(
    history: History,
    reload: Reload = "none",
    asked: RunParams | None = None,
    retries: int | None = None,
) -> Results | None:
    """Do what a run of the DAG does; None when it came to no end."""
    history.runs += 1
    history.tally.runs += 1
    name = f"run {history.runs}"
    if retries is None:
        retries = history.world.random.choice((0, 1, 2))

    def opened(task: Task) -> RunContext:
        return prepare_run(
            task.source,
            task.client,  # type: ignore[arg-type]
            State(history.cursors, history.horizons),
            history.settings,
            reload,
        )

    context = _attempts(history, f"{name} init", None, opened, retries)
    if context is None:
        return None
    history.farthest = max(history.farthest, context.horizon)
    history.note("%s: %s", name, context)
    history.windows.append(context)
    return _streams(history, name, context, MOVIES.streams, asked=asked, retries=retries)


def clean_run(history: History) -> int:
    """Do an undisturbed run; return how many documents it sent.

    :raises Divergence: it fails.
    """
    results = run(history, retries=0)
    if results is None:
        raise Divergence("an undisturbed run fails")
    return sum(result["indexed"] + result["conflicts"] for result in results)


def clear(history: History, context: RunContext, first: str) -> None:
    """Clear the task of an earlier run, and those behind it: they are done again."""
    names = [stream.name for stream in MOVIES.streams]
    history.note("cleared task %s of the run with %s", first, context)
    _streams(history, "cleared", context, MOVIES.streams[names.index(first) :])


def _streams(
    history: History,
    name: str,
    context: RunContext,
    streams: Sequence[Stream],
    *,
    asked: RunParams | None = None,
    retries: int = 0,
) -> Results | None:
    done = []
    for stream in streams:
        result = _stream(history, name, context, stream, asked=asked, retries=retries)
        if result is None:
            return None
        done.append(result)
    return done


def _stream(
    history: History,
    name: str,
    context: RunContext,
    stream: Stream,
    *,
    asked: RunParams | None,
    retries: int,
) -> dict[str, Any] | None:
    counters = Counters()
    settings = history.settings

    def synced(task: Task) -> dict[str, Any]:
        resources = Resources(
            source=task.source,
            client=task.client,  # type: ignore[arg-type]
            context=context,
            cursors=history.cursors,
            executor=task.executor,
            patience=settings.patience,
            counters=counters,
            lock_wait=1.0,
        )
        whole = asked if asked is None or stream is MOVIES.root else RunParams(asked.page_size)
        return run_stream(stream, resources, settings, history.differences, whole)

    return _attempts(history, f"{name} {stream.name}", context, synced, retries)


def _attempts(
    history: History,
    name: str,
    context: RunContext | None,
    body: Callable[[Task], ResultT],
    retries: int,
) -> ResultT | None:
    for _ in range(retries + 1):
        result = _attempt(history, name, context, body)
        if result is not None:
            return result
        history.world.now += 10 * SECOND
    return None


def _attempt(
    history: History, name: str, context: RunContext | None, body: Callable[[Task], ResultT]
) -> ResultT | None:
    task = Task(history, name, context)
    history.tasks.append(task)
    history.note("%s begins", name)
    vanished = False
    try:
        try:
            result = body(task)
        except MoviesEtlError as error:
            history.note("%s fails: %s", name, repr(error))
            while task.executor.waiting:  # as leaving the executor's block does
                task.executor.waiting[0].run()
            if history.world.calm:
                raise Divergence(f"{name} fails undisturbed: {error!r}") from error
            return None
        else:
            history.note("%s ends: %s", name, result)
            return result
    except Killed:
        history.note("%s is killed", name)
        history.tally.kills += 1
        vanished = history.world.chance(0.2)
        task.die(history.world)
        return None
    finally:
        history.tasks.remove(task)
        if vanished:
            history.vanished.append(task)
        else:
            task.session.lose()
