"""What was done in many histories, for the line at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from tests.support import tally


@dataclass
class Tally(tally.Tally):
    """Counts of simulated histories.

    ``zoned`` are histories whose columns have no time zone, ``clock_steps`` how often the
    database's clock was set.
    """

    zombies: int = 0
    rivals: int = 0
    clock_steps: int = 0
    zoned: int = 0
    divergences: int = 0
    diverged: list[int] = field(default_factory=list)

    def __iadd__(self, other: Tally) -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def __str__(self) -> str:
        return (
            f"{self.histories} histories ({self.zoned} without time zone), {self.steps} steps, "
            f"{self.runs} runs, {self.kills} kills, {self.zombies} zombies, {self.rivals} rivals, "
            f"{self.late} late requests, {self.recreated} indexes recreated, "
            f"{self.clock_steps} settings of the clock, {self.divergences} divergences"
        )
