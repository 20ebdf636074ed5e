"""Documents that somebody named, to find out why a film is not found."""

from __future__ import annotations

from movies_etl.errors import ConfigurationError, WriterBusyError
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.sync.ids import in_pages

MAX_NAMED = 100_000
"""Documents that one run compares because somebody named them: half a minute."""


def compare_named(task: ReconcileTask) -> None:
    """Compare the documents that were asked for as whole texts, and no others.

    :raises ConfigurationError: they are too many for one run.
    :raises WriterBusyError: some are left. No later run knows their names, so the next attempt goes
        on: what is done does not differ any more.
    """
    named = [*dict.fromkeys(task.asked.ids)]
    if len(named) > MAX_NAMED:
        raise ConfigurationError(
            f"Param ids names {len(named)} {task.resources.definition.nouns}; one run compares "
            f"{MAX_NAMED}. Nothing was done; trigger several runs, or one with param full."
        )
    found = Candidates(documents=task.documents)
    comparer = Comparer(task.resources)
    for ids in in_pages(named, COMPARED_TOGETHER):
        comparer.compare_texts(ids, found)
    if left := task.repair(found).left:
        raise WriterBusyError(
            f"{left} of the {task.resources.definition.nouns} that were named are not corrected "
            "yet: another task was writing, or they take longer than one attempt. What is done is "
            "done; the next attempt does the rest."
        )
