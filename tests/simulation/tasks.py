"""The program's tasks in a world: an executor without threads, cursors that are checked, runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from movies_etl.errors import MoviesEtlError
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.run_context import RunContext

from tests.simulation.check import check_cursor
from tests.simulation.client import SimulatedClient
from tests.simulation.queries import SimulatedQueries, source_over
from tests.simulation.world import Killed, World

if TYPE_CHECKING:
    from tests.simulation.history import History


class Answer:
    """What the executor returns for a future: the call is made when the world wants it."""

    def __init__(self, executor: SimulatedExecutor, call: Callable[..., Any], body: Any) -> None:
        self._executor = executor
        self._call = call
        self._body = body
        self._outcome: Any = None
        self._error: MoviesEtlError | None = None
        self._is_done = False

    def run(self) -> None:
        """Make the call; a kill ends the whole task, as the thread ends with its process."""
        self._executor.waiting.remove(self)
        self._executor.running += 1
        try:
            self._outcome = self._call(self._body)
        except MoviesEtlError as error:  # any other is no outcome, but a fault
            self._error = error
        finally:
            self._executor.running -= 1
        self._is_done = True

    def leave(self) -> None:
        """Let the request be under way although its task is dead."""
        with suppress(Killed):
            self.run()

    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._is_done

    def result(self) -> Any:
        """Wait for the outcome."""
        if self in self._executor.waiting:
            self.run()
        if self._error:
            raise self._error
        return self._outcome


class SimulatedExecutor(Executor):
    """Runs bodies at once, when they are waited for, or in between, in any order.

    :param senders: how many may be at work at once, one on top of the other.
    """

    def __init__(self, world: World, senders: int) -> None:
        self.world = world
        self.senders = senders
        self.running = 0
        self.waiting: list[Answer] = []

    def submit(self, call: Callable[..., Any], body: Any) -> Answer:  # type: ignore[override]
        answer = Answer(self, call, body)
        self.waiting.append(answer)
        if self.world.hushed or self.world.chance(0.4):
            answer.run()
        return answer

    def run_one(self) -> None:
        """Run one of the bodies that wait, if a sender is free."""
        if self.waiting and self.running < self.senders:
            self.world.random.choice(self.waiting).run()


class Cursors:
    """Keeps cursors as text, as Variables do, and looks at each that a task saves."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.texts: dict[str, str] = {}
        self._saved: dict[str, tuple[str, Cursor]] = {}

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
        if task and task.context:
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
        self.source = source_over(self.session)
        self.client = SimulatedClient(
            history.node, 0.0 if history.world.calm or history.world.hushed else history.faults
        )
        self.executor = SimulatedExecutor(history.world, settings.senders)

    def die(self, world: World) -> None:
        """Let some of the requests that were in flight be under way for longer than the task."""
        self.client.dead = True
        for answer in list(self.executor.waiting):
            if world.chance(0.5):
                answer.leave()
