"""The gate before a swap: the new index has caught up, and every document is what its row says.

Differences are candidates, as in the reconcile: each is read again under the lock of the new index.
What cannot be corrected keeps the alias where it is.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from movies_etl.definitions.ranges import Range, ranges
from movies_etl.errors import ConfigurationError, RefusedDocumentsError, WriterBusyError
from movies_etl.es import carried, family
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.postgres import lock
from movies_etl.postgres.inventory import READ_TOGETHER, RowInventory
from movies_etl.rebuild.beside import beside_context, feed
from movies_etl.rebuild.plan import EVERYTHING, Plan, Stores
from movies_etl.rebuild.searches import compare_searches
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import Comparer
from movies_etl.reconcile.completely import compare_completely
from movies_etl.reconcile.contents import Contents
from movies_etl.reconcile.fuses import too_many_deletions, too_many_rewrites
from movies_etl.reconcile.presence import presence
from movies_etl.reconcile.repair import carry_out
from movies_etl.settings import Settings
from movies_etl.state.cursors import all_cursors
from movies_etl.state.reconcile import Pass
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import known_before, measure
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import check_context

log = logging.getLogger(__name__)

SHORT_PASS_SECONDS = 15.0
"""A pass of the streams that takes less has caught up."""
MAX_PASSES = 100

COMPARED_TOGETHER = 5 * READ_TOGETHER
"""Documents of a range where a share is compared: some more are, up to the end of the last read."""
MAX_RANGES = 1_000
MAX_LOOKS = 5
"""How often what differs is read again and compared."""

FEWER_DOCUMENTS = 100
FEWER_SHARE = 0.05
"""More documents fewer than this, and than this share: nobody asked for an emptier index."""
NAMED = 5


@dataclass(frozen=True)
class Candidate:
    """The index that is to take the alias, with all that its check needs.

    :param resources: of this index.
    :param state: the live cursors, and horizons.
    """

    plan: Plan
    resources: Resources
    state: Stores
    settings: Settings

    @property
    def old(self) -> Index:
        """The index that has the alias."""
        of = self.resources
        return Index(of.client, of.definition, self.plan.replaces, of.patience)


def loaded(candidate: Candidate, run_id: str, versions: Sequence[int]) -> None:
    """Note that every range is loaded: final settings, versions, state.

    :param versions: the highest one of each range.
    """
    resources, index = candidate.resources, candidate.resources.index
    lock.take(resources.source.server, resources.context.uuid, resources.lock_wait)
    check_context(resources)
    build = family.build_of(index)
    if build is None or build.run != run_id or build.state == "live":
        raise ConfigurationError(
            f"Index {index.name} is not this run's any more: another one goes on with it, or it "
            "had the alias already. Nothing was done."
        )
    by_hand, file = {}, build.settings or {}
    if not candidate.plan.takes_over:
        old = family.build_of(candidate.old)
        by_hand = carried.changed_by_hand(
            candidate.old.settings(), file, old.settings if old else None
        )
    with translated_errors():
        index.client.indices.put_settings(
            index=index.name, settings=carried.after_loading(file, by_hand)
        )
    index.refresh()
    for name, cursor in all_cursors(resources.cursors, resources.definition.streams).items():
        if cursor:
            sent = max([cursor.version, *versions])
            resources.cursors.save(name, cursor.moved(version=sent, open=True))
    family.note(index, build.model_copy(update={"state": "loaded"}))


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
        _note(candidate, "failed")  # so that it is fed no more
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
    passes = catch_up(candidate)
    resources = at_this_moment(candidate)
    found = _compared(resources, plan, checks)
    correct(candidate, resources, found)
    counts = check_documents(candidate, resources)
    if plan.loads:
        _check_refused(candidate, resources)
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


def at_this_moment(candidate: Candidate) -> Resources:
    """Return the resources with the horizon and the versions of this moment.

    :raises ConfigurationError: the index cannot be fed.
    """
    resources, state = candidate.resources, candidate.state
    source = resources.source
    _, database = source.identity()
    root = resources.cursors.load(resources.definition.root.name)
    measured = measure(source, candidate.settings, known_before(state.horizons, root, database))
    moment = resources.context.model_copy(
        update={"database": database, "m2m_start": measured.now, "horizon": measured.horizon}
    )
    context = beside_context(source, resources.index, resources.cursors, moment)
    if context is None or context.uuid != resources.context.uuid:
        raise ConfigurationError(
            f"Index {resources.index.name} was changed, or lost its cursors, since this run began. "
            "Trigger a new one."
        )
    return replace(resources, context=context)


def catch_up(candidate: Candidate) -> int:
    """Feed the index until a pass is short; return how many it took."""
    for number in range(1, MAX_PASSES + 1):
        began = time.monotonic()
        feed(at_this_moment(candidate), candidate.settings)
        if time.monotonic() - began < SHORT_PASS_SECONDS:
            return number
    raise ConfigurationError(
        f"Index {candidate.resources.index.name} does not catch up: more changes than it is loaded "
        "with. Try again when the site writes less (clear this task)."
    )


def correct(candidate: Candidate, resources: Resources, found: Candidates) -> None:
    """Read candidates again until none differs any more.

    :raises ConfigurationError: so many are wrong that it is no coincidence, or some stay so.
    """
    _check_number(candidate, found)
    for _ in range(MAX_LOOKS):
        own = replace(resources, counters=Counters())
        if (done := carry_out(own, candidate.settings, found)).left:
            raise WriterBusyError(
                f"Another task feeds {resources.index.name}; {done.left} documents are left to be "
                "corrected. The next attempt goes on."
            )
        ids = [*found.missing, *found.different, *found.damaged]
        if not ids:
            return
        found = Candidates(documents=found.documents)
        Comparer(resources).compare(ids, found)
    raise ConfigurationError(
        f"Index {resources.index.name} does not take the alias: after {MAX_LOOKS} looks "
        f"{', '.join(islice(found.different or found.missing, NAMED))} still differ from their "
        "rows. Does documents.sql make the same text each time?"
    )


def _check_number(candidate: Candidate, found: Candidates) -> None:
    """Refuse an index in which very much is wrong though it was loaded just now.

    An index that is taken back may have missed many deletions; its number of documents is compared.
    """
    over = too_many_rewrites(found)
    if candidate.plan.loads:
        over = over or too_many_deletions(found)
    if over:
        definition = candidate.resources.definition
        raise ConfigurationError(
            f"Index {candidate.resources.index.name} does not take the alias: {over}. If rows were "
            "deleted while it was loaded, trigger a new rebuild; else look at "
            f"sql/{definition.name}/documents.sql."
        )


def _compared(resources: Resources, plan: Plan, checks: int) -> Candidates:
    """Compare everything, or the ids of everything and the checksums of a share.

    Of an index that is taken back, ids are compared: the reconcile finds what else it lacks.
    """
    if plan.loads and (plan.resumes or checks >= EVERYTHING):
        return compare_completely(resources)
    found = presence(resources)
    if plan.loads:
        rows, contents = RowInventory(resources.source), Contents(resources)
        parts = min(resources.source.count() // COMPARED_TOGETHER, MAX_RANGES)
        for part in _chosen(ranges(rows.bounds(parts)), checks):
            now: Pass | None = Pass(began=resources.source.server.now(), first=part.first)
            while now and not (part.before and now.first and now.first >= part.before):
                now = contents.compare_next(now, found)
    return found


def _chosen(parts: list[Range], checks: int) -> list[Range]:
    """Return a share of the ranges, in their order, at least one if any is to be compared."""
    number = -(-len(parts) * checks // EVERYTHING)
    return [parts[place] for place in sorted(random.sample(range(len(parts)), number))]


def check_documents(candidate: Candidate, resources: Resources) -> dict[str, int]:
    """Refuse an index of far fewer documents than the present one."""
    before, now = candidate.old.documents(), resources.index.documents()
    if before - now > max(FEWER_DOCUMENTS, FEWER_SHARE * before) and not candidate.plan.takes_over:
        raise ConfigurationError(
            f"Index {resources.index.name} does not take the alias: it has {now} documents and "
            f"{candidate.old.name} has {before}. If so many rows were deleted, let "
            f"{resources.definition.name}_purge delete their documents first; then clear this task."
        )
    return {"documents": now, "documents_before": before}


def _check_refused(candidate: Candidate, resources: Resources) -> None:
    """Refuse an index that has letters of documents that the present one took."""
    refused = resources.letters.ids()
    here = resources.index.stored(sorted(refused))
    there = candidate.old.stored(sorted(refused - here.keys()))
    if there and not candidate.plan.takes_over:
        letters = resources.letters
        raise RefusedDocumentsError(
            f"Index {resources.index.name} does not take the alias: it refuses {len(there)} "
            f"documents that {candidate.old.name} has, such as "
            f"{', '.join(sorted(there)[:NAMED])}. {letters.name} says why. Fix "
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
