"""The gate before a swap: the new index has caught up, and every document is what its row says.

What cannot be corrected keeps the alias where it is.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from movies_etl.definitions.ranges import Range, ranges
from movies_etl.errors import ConfigurationError, RefusedDocumentsError
from movies_etl.es import family
from movies_etl.es.client import translated_errors
from movies_etl.postgres.inventory import RowInventory
from movies_etl.rebuild.candidate import Candidate, at_this_moment, catch_up
from movies_etl.rebuild.carry import carry_settings
from movies_etl.rebuild.correct import MAX_NAMED, correct
from movies_etl.rebuild.plan import EVERYTHING
from movies_etl.rebuild.searches import compare_searches
from movies_etl.rebuild.since import compare_since, first_look, keep, noted_before
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.completely import compare_completely
from movies_etl.reconcile.contents import Contents
from movies_etl.reconcile.presence import presence
from movies_etl.state.reconcile import Pass, ReconcileState, WrittenDocuments
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

COMPARED_TOGETHER = 50_000
"""Documents per range where only a share is compared; the last read of a range may add some."""
MAX_RANGES = 1_000

COUNT_AFTER_SECONDS = (0.0, 0.5, 2.0)
"""When documents are counted: a count may lack some for a moment, so a bad one is asked again."""

FEWER_DOCUMENTS = 100
FEWER_SHARE = 0.05
"""If more documents than this, and more than this share, are missing, the swap is refused: nobody
asked for an emptier index."""


def check(candidate: Candidate, checks: int) -> dict[str, Any]:
    """Catch up, compare, correct; refuse what must not take the alias.

    :param checks: per cent of the documents whose checksums are compared.
    :returns: the figures.
    :raises ConfigurationError: the new index has too few documents, or some stay wrong.
    :raises RefusedDocumentsError: it refuses documents that the present one has.
    """
    try:
        figures = _checked(candidate, checks)
    except (ConfigurationError, RefusedDocumentsError):
        _note(candidate, "failed")  # then it is not fed any more
        raise
    _note(candidate, "loaded")
    log.info("Index %s is ready: %s", candidate.resources.index.name, figures)
    return figures


def _note(candidate: Candidate, state: family.BuildState) -> None:
    """Write the state of an index that never had the alias."""
    index = candidate.resources.index
    build = family.build_of(index)
    if candidate.plan.loads and build and build.state != "live":
        family.note(index, build.model_copy(update={"state": state}))


def _checked(candidate: Candidate, checks: int) -> dict[str, Any]:
    began = time.monotonic()
    plan, settings = candidate.plan, candidate.settings
    before = noted_before(candidate.resources)
    passes = catch_up(candidate)
    resources = at_this_moment(candidate)
    found, look = _compared(candidate, resources, checks, before)
    correct(candidate, resources, found)
    keep(candidate, look)
    counts = check_documents(candidate, resources)
    if plan.loads:
        _check_refused(candidate, resources)
    else:
        carry_settings(candidate)
    _wait_for_copies(resources)
    searches = compare_searches(settings.include_dir, candidate.old, resources.index)
    return {
        "passes": passes,
        "missing": len(found.missing),
        "surplus": len(found.surplus),
        "different": found.rewrites,
        "compared": found.looked_at,
        **counts,
        "searches": searches,
        "seconds": round(time.monotonic() - began, 3),
    }


def _compared(
    candidate: Candidate, resources: Resources, checks: int, before: WrittenDocuments
) -> tuple[Candidates, ReconcileState]:
    """Compare everything, or the ids of everything and the checksums of a share.

    Of an index that takes the alias back: the ids, and what changed since it had the alias.

    :param before: noted before the index caught up.
    :returns: what was found, and the look to be kept.
    """
    plan = candidate.plan
    if not plan.loads:
        found = presence(resources)
        return found, compare_since(candidate, resources, found, before)
    look = first_look(resources, before)
    if plan.resumes or checks >= EVERYTHING:
        began = resources.source.server.now()
        return compare_completely(resources), look.model_copy(update={"verified_at": began})
    found = presence(resources)
    _compare_share(resources, checks, found)
    return found, look


def _compare_share(resources: Resources, checks: int, found: Candidates) -> None:
    rows, contents = RowInventory(resources.source), Contents(resources)
    parts = min(resources.source.count() // COMPARED_TOGETHER, MAX_RANGES)
    for part in _chosen(ranges(rows.bounds(parts)), checks):
        now: Pass | None = Pass(began=resources.source.server.now(), first=part.first)
        while now and not (part.before and now.first and now.first >= part.before):
            now = contents.compare_next(now, found)


def _chosen(parts: list[Range], checks: int) -> list[Range]:
    """Return a share of the ranges, in their order, at least one if any is to be compared."""
    number = -(-len(parts) * checks // EVERYTHING)
    return [parts[place] for place in sorted(random.sample(range(len(parts)), number))]


def check_documents(candidate: Candidate, resources: Resources) -> dict[str, int]:
    """Refuse an index of far fewer documents than the present one."""
    for pause in COUNT_AFTER_SECONDS:
        time.sleep(pause)
        before, now = candidate.old.documents(), resources.index.documents()
        is_enough = before - now <= max(FEWER_DOCUMENTS, FEWER_SHARE * before)
        if is_enough or candidate.plan.takes_over:
            return {"documents": now, "documents_before": before}
    raise ConfigurationError(
        f"Index {resources.index.name} does not take the alias: it has {now} documents and "
        f"{candidate.old.name} has {before}. If so many rows were deleted, let "
        f"{resources.definition.purge_dag} delete their documents first; then clear this task."
    )


def _check_refused(candidate: Candidate, resources: Resources) -> None:
    """Refuse an index that has dead letters of documents that the present one accepted."""
    refused = resources.letters.ids()
    here = resources.index.stored(sorted(refused))
    there = candidate.old.stored(sorted(refused - here.keys()))
    if there and not candidate.plan.takes_over:
        letters = resources.letters
        raise RefusedDocumentsError(
            f"Index {resources.index.name} does not take the alias: it refuses {len(there)} "
            f"documents that {candidate.old.name} has, such as "
            f"{', '.join(sorted(there)[:MAX_NAMED])}. {letters.name} says why. Fix "
            f"elasticsearch/{resources.definition.name}.json or the rows, and trigger a new "
            "rebuild."
        )


def _wait_for_copies(resources: Resources) -> None:
    """Wait until the copies are made, as far as the cluster makes any."""
    client = resources.client.options(request_timeout=resources.patience + 30)
    with translated_errors():
        health = client.cluster.health(
            index=resources.index.name,
            wait_for_no_initializing_shards=True,
            wait_for_events="languid",
            timeout=f"{max(int(resources.patience), 1)}s",
        )
    if health["timed_out"]:
        log.warning(
            "Copies of %s are still being made: searches may be slower for a while",
            resources.index.name,
        )
