"""What PostgreSQL says of deleted rows: counts that come late and are lost, numbers of files."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.world import SECOND, World


class Deletions:
    """What PostgreSQL counts of deleted rows, by table.

    :param world: its clock says when a count comes.
    """

    def __init__(self, world: World, tables: Iterable[str]) -> None:
        self._world = world
        self.files = dict.fromkeys(tables, 1)
        self.since = 1
        self._noted: list[tuple[int, str]] = []

    def note(self, table: str, is_deleted: bool) -> None:
        """Note a row; the counts have it after ten seconds at most."""
        if is_deleted:
            told = self._world.now + self._world.random.randint(0, 10 * SECOND)
            self._noted.append((told, table))

    def crash(self) -> None:
        """Lose everything that was counted, as a server does that crashes."""
        self._noted.clear()
        self.since += 1

    def count(self, table: str) -> int:
        """Return how many rows were deleted, as far as the counts have them."""
        return sum(told <= self._world.now and one == table for told, one in self._noted)
