"""The version protocol: which version a document gets, and which documents are trusted.

Each document carries an external version: the database's clock in microseconds, read before the
snapshot that the document was built from. Elasticsearch rejects a lower one, so an older reading
never overwrites a newer one. Three things could break that order, and each has its answer here:

* The clock is behind what was sent (a clock step, a failover). The first version of a run is then
  one more than the highest version in any cursor: :func:`first_version`.
* A task dies, and nobody knows the highest version it sent. So a cursor says before versions are
  sent how high they may become; the next task starts above that: :meth:`Versions.reserve`. TiDB's
  timestamp oracle saves the upper bound of what it may hand out in the same way.
* A request of a dead task arrives late, after the next task found a document unchanged. Documents
  below ``trusted_from`` are sent again even if they look unchanged:
  :meth:`Versions.after_unclean_end`.

Nothing here asks a server. ADR 2 has the reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple, Self

from movies_etl.state.cursors import Cursor

log = logging.getLogger(__name__)

RESERVED_MICROSECONDS = 60_000_000
"""How far ahead of the clock a cursor reserves versions: a task saves it again at least after this
time."""

MAX_READINGS_AHEAD = 1000
"""While versions run ahead of the clock, this many batches may be sent before the cursor must be
saved again."""


class Reservation(NamedTuple):
    """What a cursor says of versions.

    :param version: the highest version sent; while ``open``, the upper bound of those sent.
    :param open: documents may have been sent since the last clean end.
    :param trusted_from: the version below which the index is not trusted.
    """

    version: int
    open: bool
    trusted_from: int


def first_version(clock: int, cursors: Collection[Cursor | None], *, is_fresh: bool) -> int:
    """Return the lowest version of a run: the clock, or one above all that may have been sent.

    A task that died may have sent versions that the clock has not reached yet; the clock is right
    then, and catches up. The same is assumed where a cursor was deleted.

    :param clock: the database's, in microseconds.
    :param cursors: of all streams; None where one is missing.
    :param is_fresh: there was neither index nor letters, so nothing was sent.
    """
    unknown = 0 if is_fresh else clock + RESERVED_MICROSECONDS
    highest = max(cursor.version if cursor else unknown for cursor in cursors)
    if highest > clock + RESERVED_MICROSECONDS:
        log.warning(
            "The database's clock is %.1f s behind the newest document; versions go on from there",
            (highest - clock) / 1e6,
        )
    return max(clock, highest + 1)


def at_the_beginning(first: int, cursors: Mapping[str, Cursor | None]) -> Reservation:
    """Return the version fields of a cursor that is reset.

    Positions are forgotten; what a dead task may have sent is not.

    :param first: the run's first version.
    :param cursors: of all streams, as found; a missing one may have been open.
    """
    known = [cursor for cursor in cursors.values() if cursor]
    is_unclean = any(cursor is None or cursor.open for cursor in cursors.values())
    trusted_from = max((cursor.trusted_from for cursor in known), default=0)
    return Reservation(
        version=_highest(first, known),
        open=False,
        trusted_from=max(trusted_from, first) if is_unclean else trusted_from,
    )


def _highest(first: int, cursors: Collection[Cursor]) -> int:
    return max([first - 1, *(cursor.version for cursor in cursors)])


class Versions:
    """The versions of one task.

    :param reading: the first reading gets a version above this.
    :param trusted_from: the version below which the index is not trusted.

    ``reading`` is the version of the newest reading.
    """

    def __init__(self, reading: int, trusted_from: int) -> None:
        self.reading = reading
        self.trusted_from = trusted_from
        self._sent = reading
        self._reserved_to = 0
        self._is_open = False

    @classmethod
    def after_clean_end(cls, first: int, cursors: Collection[Cursor]) -> Self:
        """Begin where no task died: no request can be under way.

        :param first: the run's first version.
        :param cursors: of all streams.
        """
        return cls(_highest(first, cursors), max(cursor.trusted_from for cursor in cursors))

    @classmethod
    def after_unclean_end(cls, first: int, cursors: Collection[Cursor], clock: int) -> Self:
        """Begin where a task died: its last request may arrive only now.

        It would change a document after this task found it unchanged. Documents that were written
        since cannot be changed by it, so only those are trusted.

        :param clock: the database's, read after the writer's lock was taken.
        """
        reading = max(_highest(first, cursors), clock)
        return cls(reading, reading + 1)

    def next_reading(self, clock: int) -> int:
        """Return the version of a reading whose clock was read before its snapshot."""
        self.reading = max(self.reading + 1, clock)
        return self.reading

    def is_trusted(self, version: int) -> bool:
        """Whether no late request can change a document of this version."""
        return version >= self.trusted_from

    @property
    def is_open(self) -> bool:
        """Whether the cursor says that this task may end uncleanly."""
        return self._is_open

    def about_to_send(self) -> bool:
        """Note that the newest reading is sent; say whether the cursor must be saved before."""
        self._sent = self.reading
        if self.reading <= self._reserved_to:
            return False
        self._is_open = True
        return True

    def reserve(self, clock: int) -> Reservation:
        """Return what the cursor must say when it is saved now.

        :param clock: the database's; versions that are ahead of it go on one by one.
        """
        if not self._is_open:
            return Reservation(self._sent, open=False, trusted_from=self.trusted_from)
        half = max(clock + RESERVED_MICROSECONDS // 2, self.reading + MAX_READINGS_AHEAD // 2)
        if self._reserved_to < half:  # else what was reserved lasts: the same need not be saved
            self._reserved_to = max(
                clock + RESERVED_MICROSECONDS, self.reading + MAX_READINGS_AHEAD
            )
        return Reservation(self._reserved_to, open=True, trusted_from=self.trusted_from)

    def close(self) -> None:
        """Note that everything that was sent is settled."""
        self._is_open = False
        self._reserved_to = 0
