"""Corrects what differs in the index that is to take the alias, behind the reconcile's fuses.

Differences are candidates, as there: each is read again under the lock of the index.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice

from movies_etl.errors import ConfigurationError, WriterBusyError
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.refusals import without_refused_deletions
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.fuses import too_many_deletions, too_many_rewrites
from movies_etl.reconcile.repair import carry_out
from movies_etl.sync.counters import Counters
from movies_etl.sync.ids import Ids, in_pages
from movies_etl.sync.resources import Resources

MAX_LOOKS = 5
"""How often what differs is read again and compared."""

MAX_NAMED = 5


def correct(candidate: Candidate, resources: Resources, found: Candidates) -> None:
    """Read candidates again until none differs any more.

    :raises ConfigurationError: so many are wrong that a person must decide, or some stay wrong.
    """
    found = without_refused_deletions(candidate, found)
    _check_number(candidate, found)
    for _ in range(MAX_LOOKS):
        own = replace(resources, counters=Counters())
        if (done := carry_out(own, candidate.settings, found)).left:
            raise WriterBusyError(
                f"Another task feeds {resources.index.name}; {done.left} documents are left to be "
                "corrected. The next attempt goes on."
            )
        found = _compared_again(resources, found)
        if not (found.missing or found.rewrites):
            return
    raise ConfigurationError(
        f"Index {resources.index.name} does not take the alias: after {MAX_LOOKS} looks "
        f"{', '.join(islice(found.different or found.missing, MAX_NAMED))} still differ from their "
        "rows. Does documents.sql make the same text each time?"
    )


def _compared_again(resources: Resources, found: Candidates) -> Candidates:
    """Return the documents that were loaded again and still differ."""
    again, comparer = Candidates(documents=found.documents), Comparer(resources)
    loaded = chain(found.missing, found.different, found.damaged)
    for ids in in_pages(loaded, COMPARED_TOGETHER):
        comparer.compare(ids, again)
    return again


def _check_number(candidate: Candidate, found: Candidates) -> None:
    """Refuse an index if so much of it is wrong that the reconcile would ask a person.

    Documents that the live index lacks, too, were deleted there behind the same fuses.
    """
    undecided = Ids()
    for ids in in_pages(found.surplus, COMPARED_TOGETHER):
        undecided.update(candidate.old.stored(ids))
    definition = candidate.resources.definition
    if over := too_many_deletions(replace(found, surplus=undecided)):
        raise ConfigurationError(
            f"Index {candidate.resources.index.name} does not take the alias: {over}. If so many "
            f"were deleted, let {definition.purge_dag} delete them from {candidate.old.name} "
            f"first ({definition.reconcile_dag} finds them); then clear this task."
        )
    if over := too_many_rewrites(found):
        raise ConfigurationError(
            f"Index {candidate.resources.index.name} does not take the alias: {over}. Look at "
            f"sql/{definition.name}/documents.sql, or trigger a new rebuild."
        )
