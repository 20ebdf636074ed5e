"""The swap: one request gives the alias to the other index; the one before is kept, and fed."""

from __future__ import annotations

import logging
import time
from typing import Any

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, carried, family
from movies_etl.es.client import translated_errors
from movies_etl.es.dead_letters import DeadLetters, letters_of
from movies_etl.postgres import lock
from movies_etl.rebuild.beside import fed_indexes, feed
from movies_etl.rebuild.candidate import Candidate, at_this_moment, catch_up
from movies_etl.rebuild.carry import carry_settings
from movies_etl.rebuild.gate import check_documents
from movies_etl.rebuild.since import compare_again, hand_over
from movies_etl.state.cursors import all_cursors
from movies_etl.sync.exchange import follow_alias

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 600.0
"""Seconds to wait for a task that writes to the old index, or for the start of a run."""

SHORT_LOOK_SECONDS = 5.0
"""If a look at what is gone took less than this, it is repeated under the locks."""


def swap(candidate: Candidate) -> dict[str, Any]:
    """Give the alias, and every other one of the old index, to the new one.

    From that request on searches see the new index, with everything that the old one had.

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
        catch_up(candidate)
        began = time.monotonic()
        compare_again(candidate)
        is_short = time.monotonic() - began < SHORT_LOOK_SECONDS
        _while_nobody_writes(candidate, looks_again=is_short)
        log.info("Alias %s leads to %s, before to %s", definition.alias, index.name, old.name)
    cursors = all_cursors(candidate.state.cursors, definition.streams)
    follow_alias(candidate.state.cursors, cursors, index, server)
    hand_over(candidate)
    removed = _remove_old_ones(candidate)
    return {"index": index.name, "before": old.name, "removed": removed}


def _while_nobody_writes(candidate: Candidate, *, looks_again: bool) -> None:
    """Load the last changes and move the aliases, while no task writes to the old index.

    :param looks_again: compare what is gone once more; what takes long would hold up the runs.
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
    check_documents(candidate, resources)
    carry_settings(candidate)
    _keep_letters(candidate)
    _move(candidate)


def _check_alias(candidate: Candidate) -> None:
    found = admin.live_name(candidate.resources.client, candidate.resources.definition)
    if found != candidate.plan.replaces:
        raise ConfigurationError(
            f"Alias {candidate.resources.definition.alias} leads to {found}, but this run began "
            f"with {candidate.plan.replaces}. Nothing was changed; trigger a new run."
        )


def _keep_letters(candidate: Candidate) -> None:
    """Copy the letters of the live index to an index of its own, where there is none yet."""
    resources = candidate.resources
    client, definition = resources.client, resources.definition
    letters = definition.dead_letters
    with translated_errors():
        is_index = client.indices.exists(index=letters) and not client.indices.exists_alias(
            name=letters
        )
    if not is_index:
        return
    kept = DeadLetters(client, definition, resources.patience, of=candidate.plan.replaces)
    kept.create()
    DeadLetters(client, definition, resources.patience).copy_to(kept)


def _move(candidate: Candidate) -> None:
    """Move all aliases in one request.

    The index is noted as live before: one that had the alias is never taken for half-made.
    """
    resources, old, index = candidate.resources, candidate.old, candidate.resources.index
    build = family.build_of(index) or family.Build(state="live", run="")
    live = {"state": "live", "replaces": old.name}
    actions = _to_take_over(candidate) if candidate.plan.takes_over else moved(candidate)
    family.note(index, build.model_copy(update=live))
    try:
        with translated_errors():
            resources.client.indices.update_aliases(actions=actions)
    except ConfigurationError:  # refused, so nothing was moved
        family.note(index, build)
        raise


def moved(candidate: Candidate) -> list[dict[str, Any]]:
    """Return the actions that move every alias, and that of the letters."""
    old, index = candidate.old, candidate.resources.index
    return [*carried.moved_aliases(old, index), *_letters(candidate)]


def _to_take_over(candidate: Candidate) -> list[dict[str, Any]]:
    index, alias = candidate.resources.index, candidate.resources.definition.alias
    with translated_errors():
        aliases = index.client.indices.get_alias(index=alias)[alias]["aliases"]
    return [
        {"remove_index": {"index": alias}},
        {"add": {"index": index.name, "alias": alias, "is_write_index": True}},
        *({"add": {"index": index.name, "alias": name, **of}} for name, of in aliases.items()),
        *_letters(candidate),
    ]


def _letters(candidate: Candidate) -> list[dict[str, Any]]:
    """Return the actions that make the letters' name lead to those of the new index."""
    client, name = candidate.resources.client, candidate.resources.definition.dead_letters
    to = {"add": {"index": letters_of(candidate.resources.index.name), "alias": name}}
    with translated_errors():
        if not client.indices.exists(index=name):
            return [to]
        if not client.indices.exists_alias(name=name):
            return [{"remove_index": {"index": name}}, to]
        before = client.indices.get_alias(name=name)
    return [*({"remove": {"index": one, "alias": name}} for one in before), to]


def _remove_old_ones(candidate: Candidate) -> list[str]:
    """Remove the kept indexes that are more than are to be kept, the oldest first.

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
