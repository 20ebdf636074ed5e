"""What Airflow does: runs of the DAG, retries of a task, tasks that are cleared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest import mock

from movies_etl.errors import MoviesEtlError
from movies_etl.rebuild.beside import feed_others
from movies_etl.rebuild.plan import Stores
from movies_etl.reconcile import task as reconcile_task
from movies_etl.state.notices import Notices
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.prepare import State
from movies_etl.sync.resources import Resources
from movies_etl.sync.starting_points import Reload

from tests.simulation.tasks import Task
from tests.simulation.world import SECOND
from tests.support.dag_run import DagRun
from tests.support.divergence import Divergence, Results, documents_sent
from tests.support.site import MemoryNotices

if TYPE_CHECKING:
    from tests.simulation.history import History


class SimulatedRun(DagRun[Task]):
    """One run in a history."""

    lock_wait = 1.0

    def __init__(self, history: History, name: str, retries: int = 0) -> None:
        super().__init__(name, retries)
        self._history = history
        self.definition = history.shape.definition
        self.state = State(
            history.cursors, history.horizons, history.reconciled, Notices(MemoryNotices())
        )
        self.differences = history.differences
        self.reconciled = history.reconciled
        self.settings = history.settings
        self.tasks = history.tasks
        self.vanished = history.vanished
        self.note = history.note

    def must_compare_everything(self) -> bool:
        """Whether it must: what was done to the index is found within a day."""
        is_last = self._history.world.calm and self._history.is_damaged
        return is_last or super().must_compare_everything()

    def begun(self, name: str, context: RunContext | None) -> Task:
        return Task(self._history, name, context)

    def _reconciled(self, name: str, resources: Resources) -> dict[str, Any]:
        history = self._history
        is_patient = history.world.calm or history.world.hushed
        seconds = reconcile_task.PATIENT_SECONDS if is_patient else history.patience
        with mock.patch.object(reconcile_task, "PATIENT_SECONDS", seconds):
            return super()._reconciled(name, resources)

    def killed(self, task: Task) -> bool:
        self._history.tally.kills += 1
        vanishes = self._history.world.chance(0.2)
        task.die(self._history.world)
        return vanishes

    def feed_others(self, resources: Resources) -> None:
        history = self._history
        if history.cursors.indexes():
            stores = Stores(history.cursors, history.horizons, history.reconciled)
            feed_others(resources, self.settings, stores)

    def failed(self, name: str, error: MoviesEtlError) -> None:
        if self._history.world.calm:
            raise Divergence(f"{name} fails undisturbed: {error!r}") from error

    def before_retry(self) -> None:
        self._history.world.now += 10 * SECOND


def run(
    history: History,
    reload: Reload = "none",
    asked: RunParams | None = None,
    retries: int | None = None,
) -> Results | None:
    """Do what a run of the DAG does; None when it came to no end."""
    history.runs += 1
    history.tally.runs += 1
    if retries is None:
        retries = history.world.random.choice((0, 1, 2))
    one = SimulatedRun(history, f"run {history.runs}", retries)
    context = _begun(history, one, reload)
    if context is None:
        return None
    done = one.sync(context, asked)
    if done and history.follows and not history.world.calm and history.world.chance(0.2):
        one.follow(context)
    return done


def _begun(history: History, one: SimulatedRun, reload: Reload = "none") -> RunContext | None:
    return _noted(history, one, one.init(reload))


def _noted(history: History, one: SimulatedRun, context: RunContext | None) -> RunContext | None:
    if context is not None:
        history.farthest = max(history.farthest, context.horizon)
        history.note("%s: %s", one.name, context)
        history.windows.append(context)
    return context


def run_and_follow(history: History, happening: Callable[[], None]) -> bool:
    """Do a run that goes on for three seconds; say whether it came to a good end.

    That is less than the margin, so what was read above the horizon is not read once more.

    :param happening: called before it goes on.
    """
    history.runs += 1
    one = SimulatedRun(history, f"run {history.runs}")
    one.settings = one.settings.model_copy(update={"follow_seconds": 3.0, "poll_seconds": 0.3})
    context = _begun(history, one)
    if context is None or one.sync(context) is None:
        return False
    happening()
    return one.follow(context) is not None


def begun_beside(history: History) -> Callable[[], Results | None] | None:
    """Begin a run beside a task that follows; None where it may not begin so.

    :returns: does what is left of it.
    """
    history.runs += 1
    one = SimulatedRun(history, f"run {history.runs} beside")
    context = _noted(history, one, one.init_beside())
    return None if context is None else lambda: one.sync(context)


def reconcile(history: History) -> Results | None:
    """Do what a run of the reconcile does; None when it came to no end."""
    history.tally.reconciled += 1
    return SimulatedRun(history, f"reconcile {history.tally.reconciled}").reconcile()


def purge(history: History, *, approve: bool) -> Results | None:
    """Ask about a list and do as is answered; nothing where there is none, None at no good end."""
    return SimulatedRun(history, "purge").purge(approve=approve)


def clean_run(history: History) -> int:
    """Do an undisturbed run; return how many documents it sent.

    :raises Divergence: it fails.
    """
    return documents_sent(run(history, retries=0))


def clear(history: History, context: RunContext, first: str) -> None:
    """Clear the task of an earlier run, and those behind it: they are done again."""
    streams = history.shape.definition.streams
    names = [stream.name for stream in streams]
    history.note("cleared task %s of the run with %s", first, context)
    SimulatedRun(history, "cleared").sync(context, streams=streams[names.index(first) :])
