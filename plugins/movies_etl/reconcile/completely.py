"""Everything at once: one index beside the catalogue, each document and each row.

A new index must pass it before it takes the place of the one that is searched.
"""

from __future__ import annotations

from movies_etl.es.inventory import DocumentInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.contents import Contents
from movies_etl.reconcile.strays import MAX_STRAYS
from movies_etl.state.reconcile import Pass
from movies_etl.sync.resources import Resources


def compare_completely(resources: Resources) -> Candidates:
    """Compare all rows with all documents, and write nothing.

    Rows that are refused are not missing, and what was written since its range was compared may
    differ again: what is found is for ``repair``, which reads it once more under the lock. 25,000
    films per second or more on two cores; the memory is that of one range.

    :param resources: ``context.index`` is the index, behind the alias or not.
    :raises MoviesEtlError: no answer, or one in part; nothing is known then.
    """
    found = Candidates(documents=resources.index.documents())
    contents = Contents(resources)
    now: Pass | None = Pass(began=resources.source.server.now())
    while now:
        now = contents.compare_next(now, found)
    found.surplus.update(DocumentInventory(resources.index).without_id(MAX_STRAYS))
    return found
