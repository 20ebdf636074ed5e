"""An executor without threads, for tasks that may be killed at any action of theirs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from movies_etl.errors import MoviesEtlError


class Killed(BaseException):
    """The task's process ended here: SIGKILL, so nothing of it runs any more."""


class Answer:
    """What the executor returns for a future: the call is made when somebody wants its result."""

    def __init__(self, executor: OneThread, call: Callable[..., Any], body: Any) -> None:
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


class OneThread(Executor):
    """Sends bodies at once, or only when they are waited for.

    :param at_once: asked for each body.

    ``waiting`` are bodies that were not sent yet; ``running`` is how many are being sent, one on
    top of the other.
    """

    def __init__(self, at_once: Callable[[], bool]) -> None:
        self._at_once = at_once
        self.running = 0
        self.waiting: list[Answer] = []

    def submit(self, call: Callable[..., Any], body: Any) -> Answer:  # type: ignore[override]
        answer = Answer(self, call, body)
        self.waiting.append(answer)
        if self._at_once():
            answer.run()
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Send everything, as leaving the block of an executor does."""
        del wait, cancel_futures
        while self.waiting:
            self.waiting[0].run()
