"""Runs of the program over the real servers, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from movies_etl.rebuild.beside import feed_others
from movies_etl.rebuild.plan import Asked, Stores
from movies_etl.state.notices import Notices
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.prepare import State
from movies_etl.sync.resources import Resources
from movies_etl.sync.starting_points import Reload

from tests.histories.fate import Fate
from tests.histories.tasks import FatefulCursors, Surroundings, Task
from tests.simulation.check import MOST_DELETED
from tests.support.dag_run import DagRun
from tests.support.divergence import Divergence, Results
from tests.support.rebuild import MemoryPosition
from tests.support.rebuild_run import RebuildRun
from tests.support.site import MemoryDifference, MemoryHorizons, MemoryNotices, MemoryReconcile


@dataclass(frozen=True)
class Trigger:
    """How a run is started.

    :param retries: of each task.
    :param threads: send from threads; then nothing may disturb the run.
    :param at_once: send bodies when they are full, or only when they are waited for.
    :param follows: go on for a while when the streams are done.
    """

    reload: Reload = "none"
    asked: RunParams | None = None
    retries: int = 0
    threads: bool = False
    at_once: bool = True
    follows: bool = False


class Program:
    """Does what the DAG does.

    :param note: takes what happens, for the story of a history.
    """

    def __init__(self, around: Surroundings, note: Callable[[str], None]) -> None:
        self.around = around
        self.cursors = FatefulCursors()
        self.cursors.fate = around.fate
        self.horizons = MemoryHorizons()
        self.differences = MemoryDifference()
        self.reconciled = MemoryReconcile()
        self.tasks: list[Task] = []
        self.vanished: list[Task] = []
        self.rebuild_states: dict[str, str] = {}
        self.runs = 0
        self.kills = 0
        self.note = note
        self.leave_session_open = False
        self.is_damaged = False

    def run(self, trigger: Trigger) -> Results | None:
        """Do one run; return each stream's result, None when a task came to no good end."""
        self.runs += 1
        one = RealRun(self, trigger)
        context = one.init(trigger.reload)
        done = _within_the_fuse(None if context is None else one.sync(context, trigger.asked))
        if done and context and trigger.follows:
            one.follow(context)
        return done

    def reconcile(self) -> Results | None:
        """Do a run of the reconcile; None when a task came to no good end."""
        return _within_the_fuse(RealRun(self, Trigger()).reconcile())

    def purge(self, *, approve: bool) -> Results | None:
        """Answer for the next list; nothing where there is none, None at no good end."""
        return RealRun(self, Trigger()).purge(approve=approve)

    def rebuild(self, trigger: Trigger, asked: Asked) -> bool:
        """Make the index anew, or take the one before back; say whether the alias has moved.

        Nothing is done where a rebuild is under way: its DAG has one run at a time.
        """
        if "running" in self.rebuild_states.values():
            return False
        return RealRebuild(self, trigger, asked).play(between=lambda: None)

    @property
    def stores(self) -> Stores:
        """What is kept of all indexes."""
        return Stores(self.cursors, self.horizons, self.reconciled)


def _within_the_fuse(results: Results | None) -> Results | None:
    """Return what tasks did that need no answer of a person.

    :raises Divergence: one deleted so many documents that it should have asked.
    """
    for result in results or ():
        if (deleted := result.get("deleted", 0)) > MOST_DELETED:
            raise Divergence(f"{deleted} documents are deleted, nobody was asked")
    return results


class RealRun(DagRun[Task]):
    """One run of the program."""

    lock_wait = 0.0

    def __init__(self, program: Program, trigger: Trigger) -> None:
        super().__init__(f"run {program.runs}", trigger.retries)
        self._program = program
        self._trigger = trigger
        self.definition = program.around.definition
        self.note = lambda line, *values: program.note(line % values)
        self.state = State(
            program.cursors, program.horizons, program.reconciled, Notices(MemoryNotices())
        )
        self.differences = program.differences
        self.reconciled = program.reconciled
        self.settings = program.around.settings
        self.tasks = program.tasks
        self.vanished = program.vanished

    def must_compare_everything(self) -> bool:
        """Whether it must: what was done to the index is found within a day."""
        return self._program.is_damaged or super().must_compare_everything()

    def feed_others(self, resources: Resources) -> None:
        if self._program.cursors.indexes():
            feed_others(resources, self.settings, self._program.stores)

    def begun(self, name: str, context: RunContext | None) -> Task:
        del context
        how = self._trigger
        return Task(self._program.around, name, threads=how.threads, at_once=how.at_once)

    def killed(self, task: Task) -> bool:
        program = self._program
        program.kills += 1
        vanishes, program.leave_session_open = program.leave_session_open, False
        task.die()
        return vanishes


class FatefulPosition(MemoryPosition):
    """The state of a task that comes to its fate before each save."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def save(self, position: str) -> None:
        self._fate.step("save cursor of a range")
        super().save(position)


class RealRebuild(RebuildRun[Task], RealRun):
    """One run of the rebuild.

    :param asked: what somebody asked for.
    """

    def __init__(self, program: Program, trigger: Trigger, asked: Asked) -> None:
        super().__init__(program, trigger)
        self.name = f"rebuild {len(program.rebuild_states) + 1}"
        self.asked = asked
        self.stores = program.stores
        self.states = program.rebuild_states

    def position(self) -> MemoryPosition:
        return FatefulPosition(self._program.around.fate)
