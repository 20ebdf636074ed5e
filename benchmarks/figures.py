"""Several measurements of one thing: the median stands for them, the spread says how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Figure:
    """What was measured, once a round."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """Take the values of the rounds, in their order."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.rounds)

    def text(self, digits: int = 0) -> str:
        """Return the median and, of several rounds, the least and the greatest."""
        shown = [f"{value:,.{digits}f}" for value in (self.median, *self._spread())]
        return shown[0] if len(shown) == 1 else f"{shown[0]} ({shown[1]} - {shown[2]})"

    def _spread(self) -> tuple[float, ...]:
        return (min(self.rounds), max(self.rounds)) if len(self.rounds) > 1 else ()


@dataclass(frozen=True)
class Load:
    """What one first load took.

    :param at: seconds.
    :param task: CPU seconds of the loading program.
    :param postgres: CPU seconds of PostgreSQL.
    :param elasticsearch: CPU seconds of Elasticsearch.
    :param peak: the program's peak memory in MB; 0 where it says nothing.
    """

    at: float
    task: float
    postgres: float
    elasticsearch: float
    peak: float


@dataclass
class Part:
    """One part of the benchmark's result.

    :param title: a heading.
    :param rows: what was measured, in words, and its figure or figures.
    :param summary: by name, for the JSON line.
    :param notes: what a reader has to know, and what was skipped.
    :param bars: for the chart: label, films/s, and CPU µs per film of the pipeline, of PostgreSQL,
        of Elasticsearch.
    """

    title: str
    columns: tuple[str, ...] = ("", "median (spread)")
    rows: list[tuple[str, ...]] = field(default_factory=list)
    summary: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bars: list[tuple[str, float, float, float, float]] = field(default_factory=list)
