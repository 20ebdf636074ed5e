"""What Airflow does: runs of the DAG, retries of a task, tasks that are cleared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from movies_etl.counts import compared
from movies_etl.dead_letters import DeadLetters
from movies_etl.errors import MoviesEtlError
from movies_etl.index import Index
from movies_etl.init import State, open_window
from movies_etl.settlement import Counters
from movies_etl.starts import Reload
from movies_etl.streams import STREAMS, Stream
from movies_etl.sync import Parts, Requests, sync
from movies_etl.window import Window

from tests.simulation.tasks import Task
from tests.simulation.world import SECOND, Divergence, Killed

if TYPE_CHECKING:
    from tests.simulation.history import History

ResultT = TypeVar("ResultT")


def run(
    history: History,
    reload: Reload = "none",
    asked: Requests | None = None,
    retries: int | None = None,
) -> list[Counters] | None:
    """Do what a run of the DAG does; None when it came to no end."""
    history.runs += 1
    history.tally.runs += 1
    name = f"run {history.runs}"
    if retries is None:
        retries = history.world.random.choice((0, 1, 2))

    def opened(task: Task) -> Window:
        return open_window(
            task.source,
            task.client,  # type: ignore[arg-type]
            State(history.cursors, history.horizons),
            history.settings,
            reload,
        )

    window = _attempts(history, f"{name} init", None, opened, retries)
    if window is None:
        return None
    history.farthest = max(history.farthest, window.horizon)
    history.note("%s: %s", name, window)
    history.windows.append(window)
    return _streams(history, name, window, STREAMS, asked=asked, retries=retries)


def clean_run(history: History) -> int:
    """Do an undisturbed run; return how many documents it sent.

    :raises Divergence: it fails.
    """
    results = run(history, retries=0)
    if results is None:
        raise Divergence("an undisturbed run fails")
    return sum(counters.indexed + counters.conflicts for counters in results)


def clear(history: History, window: Window, first: str) -> None:
    """Clear the task of an earlier run, and those behind it: they are done again."""
    names = [stream.name for stream in STREAMS]
    history.note("cleared task %s of the run with %s", first, window)
    _streams(history, "cleared", window, STREAMS[names.index(first) :])


def _streams(
    history: History,
    name: str,
    window: Window,
    streams: Sequence[Stream],
    *,
    asked: Requests | None = None,
    retries: int = 0,
) -> list[Counters] | None:
    done = []
    for stream in streams:
        counters = _stream(history, name, window, stream, asked=asked, retries=retries)
        if counters is None:
            return None
        done.append(counters)
    return done


def _stream(
    history: History,
    name: str,
    window: Window,
    stream: Stream,
    *,
    asked: Requests | None,
    retries: int,
) -> Counters | None:
    counters = Counters()
    settings = history.settings

    def synced(task: Task) -> Counters:
        parts = Parts(
            source=task.source,
            index=Index(task.client, window.index, settings.patience),  # type: ignore[arg-type]
            letters=DeadLetters(task.client, settings.patience),  # type: ignore[arg-type]
            cursors=history.cursors,
            executor=task.executor,
            counters=counters,
            lock_wait=1.0,
        )
        whole = asked if asked is None or stream is STREAMS[0] else Requests(asked.page_size)
        sync(stream, window, parts, settings, whole)
        if stream is STREAMS[-1]:
            compared(window, parts, history.differences)
        return counters

    return _attempts(history, f"{name} {stream.name}", window, synced, retries)


def _attempts(
    history: History,
    name: str,
    window: Window | None,
    body: Callable[[Task], ResultT],
    retries: int,
) -> ResultT | None:
    for _ in range(retries + 1):
        result = _attempt(history, name, window, body)
        if result is not None:
            return result
        history.world.now += 10 * SECOND
    return None


def _attempt(
    history: History, name: str, window: Window | None, body: Callable[[Task], ResultT]
) -> ResultT | None:
    task = Task(history, name, window)
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
            task.source.lose()
