"""Rebuilds in a history: all of their tasks, each of which may die, with everything going on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from movies_etl.rebuild.plan import EVERYTHING, Asked, Stores

from tests.simulation.check import check_live_documents
from tests.simulation.runs import SimulatedRun, run
from tests.simulation.shapes import row as new_row
from tests.simulation.staging import SETTLED, add_roots, free_row, free_rows, link_all, rest, write
from tests.simulation.tasks import Task
from tests.simulation.world import weighted
from tests.support.rebuild import MemoryPosition
from tests.support.rebuild_run import RebuildRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import History


class SimulatedPosition(MemoryPosition):
    """The state of one task."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._world = history.world

    def save(self, position: str) -> None:
        self._world.step("save cursor of a range")
        super().save(position)


class SimulatedRebuild(RebuildRun[Task], SimulatedRun):
    """One run of the rebuild in a history.

    :param asked: what somebody asked for.
    """

    def __init__(self, history: History, asked: Asked, retries: int) -> None:
        history.tally.rebuilds += 1
        super().__init__(history, f"rebuild {history.tally.rebuilds}", retries)
        self.asked = asked
        self.stores = stores_of(history)
        self.states = history.rebuild_states

    def position(self) -> MemoryPosition:
        return SimulatedPosition(self._history)


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
    """Links are deleted while a person decides about the swap.

    One of them may be younger than a transaction that runs all the time.
    """
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
    if history.world.chance(0.5):
        history.postgres.begin()
        _link_another(history, table)
    moved = rebuild(history, checks=EVERYTHING, between=partial(_delete, history, table))
    if moved and history.world.hushed:
        check_live_documents(history)


def _change(history: History) -> None:
    for row in free_rows(history, history.shape.root):
        write(history, history.shape.root, row._replace(name=f"{row.id} changed"))
    history.world.now += SETTLED


def _link_another(history: History, table: str) -> None:
    """Link a document of long ago with a row of its own, beside what runs."""
    shape, root = history.shape, free_row(history, history.shape.root)
    if root is not None:
        key = f"{table[0]}{history.runs}-another"
        write(history, table, new_row(table, key, key))
        write(history, shape.link_table(table), shape.link(f"l-{root.id}-{key}", root.id, key))


def _delete(history: History, table: str) -> None:
    links = history.shape.link_table(table)
    rows = free_rows(history, links)
    transaction = history.postgres.begin()
    for link in dict.fromkeys([*rows[:1], *rows[-1:]]):
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
        rebuild(history, between=_nothing, rollback=True)
