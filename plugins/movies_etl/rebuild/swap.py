"""The swap: one request gives the alias to the other index; the one before is kept, and fed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, family
from movies_etl.postgres import lock
from movies_etl.rebuild.aliases import keep_letters, move
from movies_etl.rebuild.beside import fed_indexes, feed
from movies_etl.rebuild.candidate import Candidate, at_this_moment, catch_up
from movies_etl.rebuild.carry import carry_settings
from movies_etl.rebuild.gate import check_documents
from movies_etl.rebuild.refusals import carry_refused_deletions
from movies_etl.rebuild.since import compare_again
from movies_etl.state.cursors import all_cursors
from movies_etl.sync.exchange import follow_alias

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 600.0
"""Seconds to wait for a task that writes to the old index, or for the start of a run."""

SHORT_LOOK_SECONDS = 5.0
"""A look at what is gone that takes less holds up nobody when it is repeated under the locks."""
SHORTER = 0.7
"""A look that takes more of the time of the one before does not become shorter."""
MAX_LOOKS = 5

LONGEST_LOOK_SECONDS = 30.0
"""No longer one is repeated under the locks."""


def swap(candidate: Candidate) -> dict[str, Any]:
    """Give the alias, and every other one of the old index, to the new one.

    From that request on searches see the new index, with everything that the old one had.

    A task that dies behind that request leaves what is kept of both indexes to the next one that
    follows the alias: its own next attempt, or the next run of the sync.

    :returns: the index, the one before, and those that were removed.
    :raises ConfigurationError: the alias leads elsewhere, or Elasticsearch refuses; nothing was
        changed.
    """
    resources, old = candidate.resources, candidate.old
    definition, server, index = resources.definition, resources.source.server, resources.index
    lock.take(server, resources.context.uuid, resources.lock_wait)
    if admin.live_name(resources.client, definition) == index.name:
        log.info("%s has alias %s already", index.name, definition.alias)
        lock.take(server, definition.alias, LOCK_WAIT_SECONDS)
    else:
        took = looked_until_short(partial(_look, candidate))
        _while_nobody_writes(candidate, looks_again=took < LONGEST_LOOK_SECONDS)
        log.info("Alias %s leads to %s, before to %s", definition.alias, index.name, old.name)
    state = candidate.state
    cursors = all_cursors(state.cursors, definition.streams)
    cursors = follow_alias(state.cursors, state.reconciled, cursors, index, server)
    root = cursors[definition.root.name]
    if root and root.index == resources.context.uuid:
        state.forget(index.name)  # an attempt may have died just before
    removed = _remove_old_ones(candidate)
    return {"index": index.name, "before": old.name, "removed": removed}


def looked_until_short(look: Callable[[], None]) -> float:
    """Look again and again, until that is short or gets no shorter.

    Each look has to see only what changed since the one before.

    :returns: the seconds that the last one took.
    """
    took = float("inf")
    for _ in range(MAX_LOOKS):
        began, before = time.monotonic(), took
        look()
        took = time.monotonic() - began
        if took < SHORT_LOOK_SECONDS or took > SHORTER * before:
            break
    return took


def _look(candidate: Candidate) -> None:
    catch_up(candidate)
    compare_again(candidate)


def _while_nobody_writes(candidate: Candidate, *, looks_again: bool) -> None:
    """Load the last changes and move the aliases, while no task writes to the old index.

    :param looks_again: compare once more what is gone. It is left out where it takes long: it would
        make runs fail. The reconcile goes on from the look before.
    """
    resources = candidate.resources
    server = resources.source.server
    if not candidate.plan.takes_over:
        lock.take(server, candidate.old.uuid(), LOCK_WAIT_SECONDS)
    lock.take(server, resources.definition.alias, LOCK_WAIT_SECONDS)
    _check_alias(candidate)
    feed(at_this_moment(candidate), candidate.settings)
    if looks_again:
        compare_again(candidate)
    else:
        log.warning(
            "What is deleted at this moment is found by the next run of %s: a last look would hold "
            "up the sync for too long",
            resources.definition.reconcile_dag,
        )
    check_documents(candidate, resources)
    carry_settings(candidate)
    carry_refused_deletions(candidate)
    keep_letters(candidate)
    move(candidate)


def _check_alias(candidate: Candidate) -> None:
    found = admin.live_name(candidate.resources.client, candidate.resources.definition)
    if found != candidate.plan.replaces:
        raise ConfigurationError(
            f"Alias {candidate.resources.definition.alias} leads to {found}, but this run began "
            f"with {candidate.plan.replaces}. Nothing was changed; trigger a new run."
        )


def _remove_old_ones(candidate: Candidate) -> list[str]:
    """Remove kept indexes until only as many are left as the setting says, the oldest first.

    The one that had the alias until now goes last, whatever its age: after a rollback it is older
    than the one that was rolled back.
    """
    resources, cursors = candidate.resources, candidate.state.cursors
    client, definition = resources.client, resources.definition
    kept = fed_indexes(client, definition, cursors, live=resources.index.name, ready=("live",))
    kept.sort(key=lambda name: name == candidate.plan.replaces)
    removed = kept[: max(len(kept) - candidate.settings.keep_indices, 0)]
    for name in removed:
        log.info("Removing %s: %d old indexes are kept", name, candidate.settings.keep_indices)
        family.remove(client, name)
        candidate.state.forget(name)
    return removed
