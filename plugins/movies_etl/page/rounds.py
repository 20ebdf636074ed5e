"""A question of two rounds: what Airflow remembers, then what both servers say to that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page import asking
from movies_etl.page.asking import Answered, together
from movies_etl.page.memory import AIRFLOW, Memory, Servers


class Said(NamedTuple):
    """What the servers said.

    :param memory: empty where Airflow did not answer; ``is_remembered`` tells whether it has all
        cursors and runs.
    :param answers: by the name of the server; None of one that did not answer.
    :param problems: servers that did not answer, and cursors and runs that could not be read.
    """

    memory: Memory
    is_remembered: bool
    answers: Mapping[str, Any]
    problems: list[str]


def in_two_rounds(
    definition: IndexDefinition,
    servers: Servers,
    questions: Mapping[str, Callable[[Memory], Any]],
) -> Said:
    """Ask Airflow, then the other servers side by side, all within `ANSWER_SECONDS`.

    Airflow has half of that at most.

    :param questions: by the name of the server; each is given what Airflow remembers.
    """
    began = time.monotonic()
    told: Answered[Memory] = together(
        {AIRFLOW: lambda: servers.memory(definition)}, asking.ANSWER_SECONDS / 2
    )[AIRFLOW]
    memory = told.answer or Memory({}, paused=None)
    said = together(
        {name: _about(memory, question) for name, question in questions.items()},
        asking.ANSWER_SECONDS - (time.monotonic() - began),
    )
    return Said(
        memory=memory,
        is_remembered=told.answer is not None and not memory.problems,
        answers={name: one.answer for name, one in said.items()},
        problems=[
            *memory.problems,
            *(one.problem for one in (told, *said.values()) if one.problem),
        ],
    )


def _about(memory: Memory, question: Callable[[Memory], Any]) -> Callable[[], Any]:
    return lambda: question(memory)
