"""Several servers asked side by side; one that is slow or away is named, and hides no other."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from typing import Any, Generic, NamedTuple, TypeVar

from movies_etl.errors import MoviesEtlError, on_one_line

log = logging.getLogger(__name__)

SERVER_SECONDS = 1.5
"""Seconds in which a server has to answer one request."""
ANSWER_SECONDS = 1.8
"""Seconds after which the page answers without the servers that did not: in two seconds at most."""
THREADS = 8
"""Threads per server: one that hangs holds up those that ask it, and no others."""

AnswerT = TypeVar("AnswerT")
_threads: defaultdict[str, ThreadPoolExecutor] = defaultdict(
    lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="movies_etl page")
)


class Answered(NamedTuple, Generic[AnswerT]):
    """What one server said.

    :param answer: None when there is a problem.
    :param problem: why there is no answer, in one line.
    """

    answer: AnswerT | None
    problem: str | None = None


def together(
    questions: Mapping[str, Callable[[], Any]], seconds: float | None = None
) -> dict[str, Answered[Any]]:
    """Ask at once; return within the time what each said.

    :param questions: by the name of the server that is asked, as people know it.
    :param seconds: for all of them; None is `ANSWER_SECONDS`.
    """
    seconds = ANSWER_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    asked = {name: _threads[name].submit(question) for name, question in questions.items()}
    return {name: _taken(name, one, deadline, seconds) for name, one in asked.items()}


def _taken(name: str, asked: Future[Any], deadline: float, seconds: float) -> Answered[Any]:
    try:
        return Answered(asked.result(max(deadline - time.monotonic(), 0)))
    except NotYetError:
        asked.cancel()
        return Answered(None, f"{name} did not answer within {seconds:.1f} s.")
    except MoviesEtlError as error:
        return Answered(None, on_one_line(error))
    except Exception as error:  # noqa: BLE001 - the other servers' answers are shown all the same
        return Answered(None, unforeseen(name, error))


def unforeseen(name: str, error: Exception) -> str:
    """Say that something cannot be read, and leave the reason, which nobody foresaw, in the log.

    :param name: of what was asked, as people know it.
    """
    log.error("%s could not be read", name, exc_info=error)
    return f"{name} could not be read; the log of Airflow's API server says why."
