"""What happens to a task between any two of its actions: drawn beforehand, played when it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.histories.writes import WRITES, Write

EVENTS = (
    "kill",
    "kill, requests under way",
    "kill, session left open",
    "write",
    "commit",
    "lose the session",
    "be a zombie",
    "meet a rival",
    "replace the index",
    "busy",
    "unreachable",
    "no answer",
    "late",
    "refresh",
)
KILLS = EVENTS[:3]
KINDS = (
    "save cursor",
    "saved cursor",
    "bulk",
    "bulk",
    "answered bulk",
    "documents.sql",
    "mget",
)
"""Beginnings of actions around which a loop can go wrong."""
LOADING = ("documents.sql", "save cursor", "saved cursor", "bulk", "answered bulk")
"""Beginnings of actions between the reading of a page and the cursor that passes it."""


@dataclass(frozen=True)
class Happening:
    """Something that happens while a run is at work.

    :param action: how the action begins before which it happens; empty for any.
    :param times: it happens when a task comes to such an action for so many times.
    :param event: one of EVENTS.
    :param writes: what the site writes at that moment, where the event has to do with it.
    """

    action: str
    times: int
    event: str
    writes: tuple[Write, ...] = ()


def happenings(*events: str) -> st.SearchStrategy[Happening]:
    """Draw one of these events, at a certain kind of action or anywhere in a run."""
    writes = st.lists(WRITES, max_size=2).map(tuple)
    event = st.sampled_from(events)
    anywhere = st.builds(Happening, st.just(""), st.integers(1, 90), event, writes)
    somewhere = st.builds(Happening, st.sampled_from(KINDS), st.integers(1, 3), event, writes)
    return st.one_of(somewhere, anywhere).map(_where_it_matters)


def kills_of_a_load() -> st.SearchStrategy[Happening]:
    """Draw a kill between the reading of a page and the cursor that passes it."""
    return st.builds(
        Happening, st.sampled_from(LOADING), st.integers(1, 2), st.sampled_from(KILLS)
    ).map(_where_it_matters)


def _where_it_matters(one: Happening) -> Happening:
    """Let what concerns requests under way happen at a request that writes."""
    if one.event not in ("kill, requests under way", "late"):
        return one
    return replace(one, action="bulk", times=1 + one.times % 2)


class Fate:
    """Plays happenings as a run comes to them.

    :param happen: plays one; may raise :class:`Killed`.
    """

    def __init__(self, happen: Callable[[Happening], None]) -> None:
        self._happen = happen
        self._awaited: list[tuple[Happening, int]] = []

    @contextmanager
    def awaiting(self, awaited: Sequence[Happening]) -> Iterator[None]:
        """Let these happen in the block, and nothing that was awaited around it."""
        before, self._awaited = self._awaited, [(one, one.times) for one in awaited]
        try:
            yield
        finally:
            self._awaited = before

    def step(self, action: str) -> None:
        """Come to an action."""
        due = []
        awaited = []
        for one, times in self._awaited:
            left = times - action.startswith(one.action)
            if left:
                awaited.append((one, left))
            else:
                due.append(one)
        self._awaited = awaited
        for one in due:
            self._happen(one)
