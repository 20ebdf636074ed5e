"""The program's tasks in a world: senders in one thread, and cursors that are checked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.run_context import RunContext

from tests.simulation.check import check_cursor, check_deletion, check_rewrite
from tests.simulation.client import SimulatedClient
from tests.simulation.queries import SimulatedQueries, source_over
from tests.simulation.standby import SimulatedReplica
from tests.simulation.world import World
from tests.support.one_thread import OneThread

if TYPE_CHECKING:
    from tests.simulation.history import History


class SimulatedExecutor(OneThread):
    """Runs bodies at once, when they are waited for, or in between, in any order.

    :param senders: how many may be at work at once, one on top of the other.
    """

    def __init__(self, world: World, senders: int) -> None:
        super().__init__(lambda: world.hushed or world.chance(0.4))
        self._random = world.random
        self._senders = senders

    def run_one(self) -> None:
        """Run one of the bodies that wait, if a sender is free."""
        if self.waiting and self.running < self._senders:
            self._random.choice(self.waiting).run()


class BesideCursors:
    """Keeps the cursors of an index beside the live one, as text."""

    def __init__(self, world: World) -> None:
        self.texts: dict[str, str] = {}
        self._world = world

    def load(self, stream: str) -> Cursor | None:
        self._world.step(f"load cursor {stream} beside")
        text = self.texts.get(stream)
        return None if text is None else Cursor.from_json(text, where=stream)

    def save(self, stream: str, cursor: Cursor) -> None:
        self._world.step(f"save cursor {stream} beside")
        self.texts[stream] = cursor.to_json()
        self._world.step(f"saved cursor {stream} beside")


class Cursors:
    """Keeps cursors as text, as Variables do, and looks at each that a task saves."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.texts: dict[str, str] = {}
        self._saved: dict[str, tuple[str, Cursor]] = {}
        self._others: dict[str, BesideCursors] = {}

    def beside(self, index: str) -> BesideCursors:
        return self._others.setdefault(index, BesideCursors(self.history.world))

    def indexes(self) -> list[str]:
        return sorted(name for name, cursors in self._others.items() if cursors.texts)

    def forget(self, index: str) -> None:
        for stream in [*self.beside(index).texts]:
            self.history.world.step(f"delete cursor {stream} beside")
            self._others[index].texts.pop(stream)

    def held(self, stream: str) -> Cursor | None:
        """Return what is kept, as it was saved where nobody changed it since."""
        text = self.texts.get(stream)
        if text is None:
            return None
        saved = self._saved.get(stream)
        return saved[1] if saved and saved[0] is text else Cursor.from_json(text, where=stream)

    def load(self, stream: str) -> Cursor | None:
        self.history.world.step(f"load cursor {stream}")
        text = self.texts.get(stream)
        return None if text is None else Cursor.from_json(text, where=stream)

    def save(self, stream: str, cursor: Cursor) -> None:
        self.history.world.step(f"save cursor {stream}")
        task = self.history.tasks[-1] if self.history.tasks else None
        if task and not task.name.endswith(" init"):  # which may put a cursor back
            check_cursor(self.history, task, stream, cursor)
        text = cursor.to_json()
        self.texts[stream] = text
        self._saved[stream] = text, cursor
        self.history.note("cursor %s: %s", stream, text)
        self.history.world.step(f"saved cursor {stream}")


class Horizons:
    """Keeps the last measurement."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.known = Known()

    def load(self) -> Known:
        self.world.step("load horizon")
        return self.known

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        self.world.step("save horizon")
        self.known = Known(horizon, epochs)


class Task:
    """One attempt of one task: its session, its client and its senders."""

    def __init__(self, history: History, name: str, context: RunContext | None) -> None:
        self.name = name
        self.context = context
        settings: Settings = history.settings
        self.session = SimulatedQueries(history.postgres, name, privileged=history.privileged)
        self.source = source_over(self.session, history.shape.definition, text_ids=True)
        standby = history.standby
        self.replica = SimulatedReplica(standby, f"{name} on the replica") if standby else None
        self.client = SimulatedClient(
            history.node, 0.0 if history.world.calm or history.world.hushed else history.faults
        )
        self.client.deleted = lambda index, key: check_deletion(history, self, index, key)
        self.deleted: Counter[int] = Counter()
        if history.untraced:
            self.client.rewritten = lambda index: check_rewrite(history, self, index)
        self.rewritten: Counter[int] = Counter()
        self.executor = SimulatedExecutor(history.world, settings.senders)

    def die(self, world: World) -> None:
        """Let some of the requests that were in flight be under way for longer than the task."""
        self.client.dead = True
        for answer in list(self.executor.waiting):
            if world.chance(0.5):
                answer.leave()

    def end(self) -> None:
        """End the session, and with it its locks."""
        self.session.lose()
        if self.replica:
            self.replica.close()
