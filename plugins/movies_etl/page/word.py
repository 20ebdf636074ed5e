"""The one word at the top: up to date, behind, not moving and why. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel

from movies_etl.page.memory import PATIENT, Memory

PERIODS = 3
"""Scheduled runs without progress after which a slower schedule counts as not moving, too."""


class Word(BaseModel):
    """How an index stands, in a word and a sentence.

    :param headline: ``Up to date``, ``43 s behind``, ``Not moving since ...``.
    :param because: the reason, and the next step; empty where there is none.
    """

    state: Literal["current", "behind", "stuck", "loading", "unknown"]
    headline: str
    because: str = ""


class Standing(NamedTuple):
    """What a word is decided by.

    :param lags: of each stream, in seconds; None before its first load is complete.
    :param waiting: rows after the cursor of each stream; None where that is not known.
    :param holder: what keeps the horizon back, in words.
    :param now: the database's time.
    :param period: between two scheduled runs; None when there are none.
    :param problems: what could not be read and decides.
    :param has_index: the alias leads to an index.
    """

    lags: Sequence[float | None]
    waiting: Sequence[int | None]
    memory: Memory
    holder: str | None
    now: datetime
    period: timedelta | None
    problems: Sequence[str]
    has_index: bool = True


def word_of(seen: Standing) -> Word:
    """Say how an index stands."""
    if seen.problems:
        because = " ".join(seen.problems)
        return Word(state="unknown", headline="Not known at the moment", because=because)
    known = [lag for lag in seen.lags if lag is not None]
    if len(known) < len(seen.lags):
        return Word(state="loading", headline="Not loaded yet", because=_reason(seen))
    if not seen.has_index:
        return Word(state="stuck", headline="Searches find nothing", because=_of_the_alias(seen))
    lag = max(known)
    is_late = timedelta(seconds=lag) > max(PATIENT, PERIODS * (seen.period or timedelta(0)))
    because = _reason(seen) if is_late else _of_a_failure(seen.memory)
    if not any(seen.waiting):
        return Word(state="current", headline="Up to date", because=because)
    if is_late and not _is_moving(seen):
        confirmed = seen.now - timedelta(seconds=lag)
        since = max(confirmed, min(seen.memory.moved or confirmed, seen.now))
        headline = f"Not moving since {since:%Y-%m-%d %H:%M:%S} UTC"
        return Word(state="stuck", headline=headline, because=because)
    return Word(state="behind", headline=f"{duration(lag)} behind", because=because)


def _of_the_alias(seen: Standing) -> str:
    said = "The alias leads to no index: the next run makes one and loads everything."
    return f"{said} {_reason(seen)}" if seen.memory.paused is not False else said


def _is_moving(seen: Standing) -> bool:
    """Whether there is progress; while the horizon is held, runs end and confirm nothing."""
    if not seen.holder:
        return seen.memory.is_moving(seen.now)
    moved = seen.memory.moved
    return moved is not None and seen.now - moved < PATIENT


def _reason(seen: Standing) -> str:
    """Return why nothing moves, or what moves it."""
    memory, running = seen.memory, seen.memory.running
    first = memory.runs[0] if memory.runs else None
    reasons = (
        (
            memory.paused is None,
            "Airflow does not know the DAG: look for an import error, and for the dag-processor.",
        ),
        (
            _is_moving(seen) and not seen.holder,
            f"A run is under way: {running and running.run_id}.",
        ),
        (memory.paused, "The DAG is paused: switch it on under Dags."),
        (
            seen.holder,
            f"Held by {seen.holder}. Rows that changed since are searchable, but not confirmed.",
        ),
        (running, _of_a_run_that_hangs(seen)),
        (_of_a_failure(memory), _of_a_failure(memory)),
        (memory.held_by, f"The last run was held by {memory.held_by}."),
        (
            first and first.state == "queued",
            "A run is queued and does not begin: look whether the scheduler runs.",
        ),
        (
            seen.period is None,
            "There is no schedule (MOVIES_ETL_SCHEDULE is empty): trigger a run.",
        ),
    )
    said = (reason for is_so, reason in reasons if is_so)
    return next(said, "No run begins: look whether the scheduler runs.")


def _of_a_run_that_hangs(seen: Standing) -> str:
    running, moved = seen.memory.running, seen.memory.moved
    if running is None:
        return ""
    quiet = duration((seen.now - moved).total_seconds()) if moved else "its beginning on"
    return (
        f"Run {running.run_id} is under way, and has saved nothing for {quiet}: the log of its "
        "running task says what it waits for. Mark it as failed under Dags: the next run goes on."
    )


def _of_a_failure(memory: Memory) -> str:
    ended = memory.ended
    if ended is None or ended.state != "failed":
        return ""
    return f"The last run failed ({ended.run_id}): the log of its failed task has the reason."


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
