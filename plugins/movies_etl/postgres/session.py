"""The session with PostgreSQL: it waits for an answer, but not forever.

TCP notices a server whose machine is lost. It does not notice one that hangs while its machine goes
on (a stopped process, a disk that never answers): the kernel there confirms everything it is sent.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

MAX_ANSWER_SECONDS = 600.0
"""Seconds within which PostgreSQL answers a statement; a page takes less, and after one
that took long pages become smaller."""

CANCEL_SECONDS = 5.0
"""Seconds to wait for a statement to be cancelled."""

AnswerT = TypeVar("AnswerT")


class NoAnswerError(psycopg.OperationalError):
    """PostgreSQL took too long to answer."""


class Session(psycopg.Connection[Any]):
    """A connection that is closed when a statement has no answer in time."""

    _answer_seconds: float | None = None
    _last_answer: float | None = None

    def expect_answers(self, *, within: float | None = None, until: float | None = None) -> None:
        """Wait for the statements to come no longer than this.

        :param within: seconds for each of them; None is ``MAX_ANSWER_SECONDS``.
        :param until: the moment, by the monotonic clock, at which the time of all of them ends.
        """
        self._answer_seconds, self._last_answer = within, until

    def wait(
        self,
        gen: Generator[Any, Any, AnswerT],
        *arguments: Any,  # noqa: ANN401 - the driver's own, from version to version
        **named: Any,  # noqa: ANN401
    ) -> AnswerT:
        """Wait for the driver. It wakes up several times per second; the deadline is checked then.

        :raises NoAnswerError: it did not come in time; it is cancelled and the session closed.
        """
        try:
            return super().wait(self._in_time(gen), *arguments, **named)
        except NoAnswerError:
            with suppress(psycopg.Error):  # else it would go on, and keep the session's locks
                self.cancel_safe(timeout=CANCEL_SECONDS)
            self.close()
            raise

    def _in_time(self, answer: Generator[Any, Any, AnswerT]) -> Generator[Any, Any, AnswerT]:
        seconds = MAX_ANSWER_SECONDS if self._answer_seconds is None else self._answer_seconds
        now = time.monotonic()
        if self._last_answer is not None:
            seconds = max(min(seconds, self._last_answer - now), 0)
        deadline = now + seconds
        try:
            wanted = next(answer)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= deadline:
                    msg = f"no answer within {round(seconds, 1):g} s"
                    raise NoAnswerError(msg)
                wanted = answer.send(ready)
        except StopIteration as end:
            answered: AnswerT = end.value
            return answered
