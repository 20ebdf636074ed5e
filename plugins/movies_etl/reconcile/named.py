"""Documents that somebody named, to be told why a film is not found."""

from __future__ import annotations

from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.sync.ids import in_pages


def compare_named(task: ReconcileTask) -> None:
    """Compare the documents that were asked for as whole texts, and no others."""
    found = Candidates(documents=task.resources.index.documents())
    comparer = Comparer(task.resources)
    for ids in in_pages(dict.fromkeys(task.asked.ids), COMPARED_TOGETHER):
        comparer.compare_texts(ids, found)
    task.repair(found)
