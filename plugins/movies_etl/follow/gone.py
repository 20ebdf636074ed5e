"""Rows that are gone, looked for only in those ranges of ids whose number of rows changed."""

from __future__ import annotations

from movies_etl.definitions.ranges import ranges
from movies_etl.es.inventory import DocumentInventory
from movies_etl.postgres.inventory import RowInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.each_run import CHEAP_ROWS
from movies_etl.reconcile.presence import compare_range
from movies_etl.steps import Steps
from movies_etl.sync.resources import Resources

MAX_RANGES = 1000

MAX_CHANGED_RANGES = 50
"""Ranges that are compared; of some 100 documents each while there are 100,000."""


class Gone:
    """Finds documents whose rows have gone since it noted how many rows there were.

    It sees no row that went while another one came into the same range: what it does not find is
    left to a search of everything.

    ``is_noted``: the rows of the ranges are counted, or are too many to be.
    """

    def __init__(self, resources: Resources) -> None:
        self._documents = DocumentInventory(resources.index)
        self._rows = RowInventory(resources.source)
        self._bounds: list[str] = []
        self._noted: list[int] = []
        self.is_noted = False

    def note(self, rows: int) -> Steps[None]:
        """Note how many rows each range has.

        :param rows: about as many as there are; very many are not counted.
        """
        self._noted, self.is_noted = [], False
        if rows <= CHEAP_ROWS and not self._rows.share_ids:
            self._bounds = self._rows.bounds(min(rows // 100, MAX_RANGES))
            yield None
            self._noted = self._rows.counts(self._bounds)
        self.is_noted = True

    def find(self) -> Steps[list[str]]:
        """Return documents whose rows seem to have gone; none where too much has changed."""
        if not self._noted:
            return []
        counts = self._rows.counts(self._bounds)
        yield None
        parts = zip(ranges(self._bounds), counts, self._noted, strict=True)
        changed = [part for part, now, before in parts if now != before]
        found = Candidates()
        for part in changed if len(changed) <= MAX_CHANGED_RANGES else ():
            yield from compare_range(part, self._rows, self._documents, found)
        self._noted = counts
        return [*found.surplus]
