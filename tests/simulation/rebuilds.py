"""Rebuilds in a history: all of their tasks, each of which may die, with everything going on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.rebuild.begin import begin
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.gate import check as gate_check
from movies_etl.rebuild.load import load_range, of_range
from movies_etl.rebuild.loaded import loaded
from movies_etl.rebuild.plan import EVERYTHING, Asked, Plan, Runs, Stores
from movies_etl.rebuild.split import split
from movies_etl.rebuild.swap import swap
from movies_etl.sync.resources import Resources

from tests.simulation.check import check_live_documents
from tests.simulation.runs import SimulatedRun, run
from tests.simulation.staging import SETTLED, add_roots, free_rows, link_all, rest, write
from tests.simulation.tasks import Task
from tests.simulation.world import weighted
from tests.support.rebuild import MemoryPosition

if TYPE_CHECKING:
    from collections.abc import Callable

    from movies_etl.definitions.ranges import Range

    from tests.simulation.history import History


class SimulatedPosition(MemoryPosition):
    """The state of one task."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._world = history.world

    def save(self, position: str) -> None:
        self._world.step("save cursor of a range")
        super().save(position)


class SimulatedRebuild(SimulatedRun):
    """One run of the rebuild in a history.

    :param asked: what somebody asked for.
    """

    def __init__(self, history: History, asked: Asked, retries: int) -> None:
        history.tally.rebuilds += 1
        super().__init__(history, f"rebuild {history.tally.rebuilds}", retries)
        self._asked = asked
        self._stores = stores_of(history)
        self._states = history.rebuild_states
        self._states[self.name] = "running"

    def play(self, between: Callable[[], None]) -> bool:
        """Do all tasks; say whether the alias has moved.

        :param between: happens when the index was checked.
        """
        is_done = False
        try:
            is_done = self._is_done(between)
        finally:
            self._states[self.name] = "success" if is_done else "failed"
        return is_done

    def failed(self, name: str, error: MoviesEtlError) -> None:
        """Take note; that a rebuild is refused is no fault."""
        if not isinstance(error, ConfigurationError):
            super().failed(name, error)

    def _is_done(self, between: Callable[[], None]) -> bool:
        plan = self._attempts("prepare", None, self._begun)
        if plan is None or not self._is_loaded(plan):
            return False
        if self._attempts("check", plan.context, partial(self._checked, plan)) is None:
            return False
        between()
        return self._attempts("swap", plan.context, partial(self._swapped, plan)) is not None

    def _begun(self, task: Task) -> Plan:
        runs = Runs(self.name, self._states.get)
        client: Any = task.client
        return begin(Beginning(task.source, client, self._stores, self.settings, runs), self._asked)

    def _is_loaded(self, plan: Plan) -> bool:
        parts = self._attempts("split", plan.context, lambda task: split(task.source, plan))
        if parts is None:
            return False
        versions = []
        for part in parts:
            position = SimulatedPosition(self._history)
            load = partial(self._loaded, plan, part, position)
            result = self._attempts("load", plan.context, load)
            if result is None:
                return False
            versions.append(result["version"])
        done = partial(self._noted, plan, versions)
        return not plan.loads or self._attempts("check", plan.context, done) is not None

    def _loaded(
        self, plan: Plan, part: Range, position: SimulatedPosition, task: Task
    ) -> dict[str, Any]:
        own = of_range(self._beside(task, plan), position)
        return load_range(part, plan, self.name, own, self.settings)

    def _noted(self, plan: Plan, versions: list[int], task: Task) -> bool:
        loaded(self._candidate(task, plan), self.name, versions)
        return True

    def _checked(self, plan: Plan, task: Task) -> dict[str, Any]:
        return gate_check(self._candidate(task, plan), self._asked.checks)

    def _swapped(self, plan: Plan, task: Task) -> dict[str, Any]:
        return swap(self._candidate(task, plan))

    def _candidate(self, task: Task, plan: Plan) -> Candidate:
        return Candidate(plan, self._beside(task, plan), self._stores, self.settings)

    def _beside(self, task: Task, plan: Plan) -> Resources:
        client: Any = task.client
        return Resources(
            source=task.source,
            client=client,
            context=plan.context,
            cursors=self._stores.cursors.beside(plan.context.index),
            executor=task.executor,
            patience=self.settings.patience,
            lock_wait=self.lock_wait,
        )


def stores_of(history: History) -> Stores:
    """Return what is kept of all indexes."""
    return Stores(history.cursors, history.horizons, history.reconciled)


def rebuild(history: History, between: Callable[[], None] | None = None, **asked: Any) -> bool:
    """Make the index anew, or take the one before back; say whether the alias has moved.

    :param between: happens when the index was checked; by default anything, or nothing.
    """
    if "running" in history.rebuild_states.values():
        return False  # max_active_runs
    asked.setdefault("checks", history.world.pick((0, 0, EVERYTHING)))
    one = SimulatedRebuild(history, Asked(**asked), history.world.pick((0, 2)))
    return one.play(between or partial(_act, history))


def _act(history: History) -> None:
    for _ in range(history.world.pick((0, 0, 3))):
        history.act()


def rebuild_or_go_back(history: History) -> None:
    """Do one of what a person may trigger."""
    what = history.world.pick(("anew", "anew", "resume", "rollback"))
    rebuild(history, resume=what == "resume", rollback=what == "rollback")


def change_during_the_load(history: History) -> None:
    """Rows change when they are loaded, before the other tasks of the rebuild."""
    add_roots(history, 4)
    rest(history)
    run(history)
    history.note("scenario: a row changes when its range is loaded")
    history.world.meanwhile_at(
        "save cursor of a range", history.world.pick((1, 2, 3)), partial(_change, history)
    )
    rebuild(history, checks=0, between=_nothing)
    history.world.doom = None


def decide_slowly(history: History) -> None:
    """Links are deleted while a person decides about the swap."""
    if not history.untraced:
        return
    table = history.world.pick(history.shape.linked)
    add_roots(history, 3)
    link_all(history, table)
    rest(history)
    run(history)
    while history.node.late:
        history.node.arrive(history.node.late[0])
    history.note("scenario: a person decides slowly")
    moved = rebuild(history, checks=EVERYTHING, between=partial(_delete, history, table))
    if moved and history.world.hushed:
        check_live_documents(history)


def _change(history: History) -> None:
    for row in free_rows(history, history.shape.root):
        write(history, history.shape.root, row._replace(name=f"{row.id} changed"))
    history.world.now += SETTLED


def _delete(history: History, table: str) -> None:
    links = history.shape.link_table(table)
    transaction = history.postgres.begin()
    for link in free_rows(history, links)[:2]:
        history.postgres.delete(transaction, links, link.id)
    history.postgres.commit(transaction)
    history.world.now += SETTLED


def _nothing() -> None:
    pass


OF_REBUILDS = weighted((change_during_the_load, 1), (decide_slowly, 2), (rebuild_or_go_back, 1))
"""Of histories with rebuilds; what is deleted is only where the reconcile runs, too."""


def go_back_undisturbed(history: History) -> None:
    """Take the index before back, if one is kept that can be."""
    if history.cursors.indexes():
        rebuild(history, rollback=True)
