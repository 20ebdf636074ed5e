"""The last day: what runs sent, left out, refused and deleted, how fast, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page.asking import together
from movies_etl.page.memory import AIRFLOW, Finished, Servers

DAY = timedelta(days=1)
CHART_STEP = timedelta(minutes=15)
"""What one bar of a chart stands for."""

COUNTED = ("indexed", "unchanged", "refused", "deleted")
"""Counters of tasks that are added up; the first counts documents that Elasticsearch took."""


class Piece(BaseModel):
    """What the runs did that ended within a piece of the day.

    :param start: of the minutes.
    :param rate: documents sent per second of those tasks that sent any; 0 when none was sent.
    :param longest: seconds that the longest run took.
    """

    start: datetime
    runs: int = 0
    failed: int = 0
    indexed: int = 0
    unchanged: int = 0
    refused: int = 0
    deleted: int = 0
    rate: float = 0.0
    longest: float = 0.0


class Day(BaseModel):
    """The last day of one index.

    :param pieces: without gaps, the oldest first.
    :param total: of all of them.
    :param problem: why there is no answer.
    """

    index: str
    noun: str
    nouns: str
    pieces: list[Piece] = []
    total: Piece | None = None
    problem: str | None = None


def last_day(definition: IndexDefinition, servers: Servers, now: datetime | None = None) -> Day:
    """Return what the runs of the last day did."""
    now = now or datetime.now(UTC)
    start = _begin(now - DAY) + CHART_STEP
    said = together({AIRFLOW: lambda: servers.finished(definition, start)})[AIRFLOW]
    ended: list[Finished] = said.answer or []
    pieces = []
    while start <= now:
        within = [
            one for one in ended if one.run.ended and start <= one.run.ended < start + CHART_STEP
        ]
        pieces.append(_piece(start, within))
        start += CHART_STEP
    return Day(
        index=definition.name,
        noun=definition.noun,
        nouns=definition.nouns,
        pieces=pieces,
        total=_piece(now - DAY, ended),
        problem=said.problem,
    )


def _begin(moment: datetime) -> datetime:
    """Return the beginning of the minutes that a moment lies in."""
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % CHART_STEP


def _piece(start: datetime, runs: Iterable[Finished]) -> Piece:
    piece, seconds = Piece(start=start), 0.0
    for run, results in runs:
        piece.runs += 1
        piece.failed += run.state == "failed"
        if run.started and run.ended:
            piece.longest = max(piece.longest, (run.ended - run.started).total_seconds())
        for result in results.values():
            for name in COUNTED:
                setattr(piece, name, getattr(piece, name) + int(_number(result, name)))
            if _number(result, "indexed"):
                seconds += _number(result, "seconds")
    piece.rate = piece.indexed / seconds if seconds else 0.0
    return piece


def _number(result: Mapping[str, Any], name: str) -> float:
    """Return a counter of a task; 0 where it has none, or what is no number."""
    value = result.get(name)
    return value if isinstance(value, int | float) else 0
