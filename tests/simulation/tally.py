"""What was done in many histories, for the line at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from tests.support import tally


@dataclass
class Tally(tally.Tally):
    """Counts of simulated histories.

    ``of_persons`` are histories of that index, the others are of films; ``untraced`` those with
    writes that leave no trace in ``modified``, and with runs of the reconcile. ``rebuilds`` are
    runs that make an index anew, whatever became of them. ``zoned`` are histories whose columns
    have no time zone, ``clock_steps`` how often the database's clock was set. ``beside`` are runs
    that began beside a task that follows, and went on when that had died or ended.
    """

    of_persons: int = 0
    untraced: int = 0
    reconciled: int = 0
    rebuilds: int = 0
    beside: int = 0
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
            f"{self.histories} histories ({self.of_persons} of persons, {self.untraced} with "
            f"untraced writes, {self.zoned} without time zone), {self.steps} steps, "
            f"{self.runs} runs, {self.reconciled} reconciles, "
            f"{self.rebuilds} rebuilds, {self.beside} runs beside others, {self.kills} kills, "
            f"{self.zombies} zombies, {self.rivals} rivals, "
            f"{self.late} late requests, {self.recreated} indexes recreated, "
            f"{self.clock_steps} settings of the clock, {self.divergences} divergences"
        )
