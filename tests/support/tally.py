"""What was done in histories, for the line at the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Counts.

    ``late`` are requests that were carried out with nobody waiting for them; ``rebuilds`` those
    that moved the alias.
    """

    histories: int = 0
    steps: int = 0
    runs: int = 0
    kills: int = 0
    late: int = 0
    recreated: int = 0
    rebuilds: int = 0

    def __str__(self) -> str:
        return (
            f"{self.histories} histories, {self.steps} steps, {self.runs} runs, {self.kills} kills,"
            f" {self.late} late requests, {self.recreated} indexes recreated,"
            f" {self.rebuilds} rebuilds"
        )
