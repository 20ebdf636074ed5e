"""Which row versions above the horizon a task that goes on has compared already.

While a transaction is open, the horizon stays, and whatever is written meanwhile stands above it:
each cycle reads those rows again, and once more when the horizon passes them. The same row version
as before is left out then: its documents have had it since, because no other task writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from movies_etl.postgres.source import Row

MAX_COMPARED_ROWS = 50_000
"""Row versions that are remembered for each feed, some 200 bytes each: 10 MB. What is beyond is
compared anew in each cycle."""


class Place(NamedTuple):
    """Where rows were read.

    :param part: of the table: above the horizon, or what no position in time reaches.
    """

    table: str
    part: str


class Compared:
    """What one stream has compared since its task took the writer's lock."""

    def __init__(self) -> None:
        self._known: defaultdict[Place, dict[str, str]] = defaultdict(dict)
        self._next: defaultdict[Place, dict[str, str]] = defaultdict(dict)

    def knows(self, place: Place) -> bool:
        """Whether rows of a place were compared."""
        return bool(self._known.get(place))

    def begin(self, place: Place) -> None:
        """Begin to read a place; what a reading that was cut short found is forgotten."""
        self._next.pop(place, None)

    def fresh(self, place: Place, rows: Sequence[Row]) -> list[Row]:
        """Return those of these rows that are other versions than were compared."""
        known = self._known[place]
        return [row for row in rows if known.get(row.id) != row.xmin]

    def note(self, place: Place, rows: Sequence[Row]) -> None:
        """Remember rows whose documents are compared, and sent where they differ."""
        found = self._next[place]
        found.update((row.id, row.xmin) for row in rows[: MAX_COMPARED_ROWS - len(found)])

    def end(self, place: Place) -> None:
        """Forget the rows that are not there any more: the place was read to its end."""
        self._known[place] = self._next.pop(place, {})
