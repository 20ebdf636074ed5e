"""What is kept follows the alias: a rebuild or a rollback gave it to an index with its own."""

from __future__ import annotations

import logging

from movies_etl.es.admin import live
from movies_etl.es.family import build_of, family, note
from movies_etl.es.index import Index
from movies_etl.postgres import lock
from movies_etl.state.cursors import Cursor, LiveCursors, all_cursors
from movies_etl.state.reconcile import LiveReconcile
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 10.0
"""Seconds to wait for a task that writes to the former index."""


def follow_alias(
    store: LiveCursors,
    looks: LiveReconcile,
    cursors: dict[str, Cursor | None],
    index: Index,
    session: lock.Lockable,
) -> dict[str, Cursor | None]:
    """Exchange the live cursors for those of the index with the alias, if it has its own.

    So are the looks of the reconcile, and the index is noted as live. What is kept of the former
    index lies beside then, so that it can be fed and go back. The root stream's cursor changes
    last: of a task that dies before, everything is done again by the next one. The locks of the
    alias and of the index are held.

    :param cursors: the live ones.
    :returns: the live ones after that.
    :raises WriterBusyError: a task writes to the former index.
    """
    definition = index.definition
    root = cursors[definition.root.name]
    uuid = index.uuid()
    if (root and root.index == uuid) or index.name not in store.indexes():
        return cursors
    own = all_cursors(store.beside(index.name), definition.streams)
    if any(cursor is None or cursor.index != uuid for cursor in own.values()):
        return cursors
    if root:
        lock.take(session, root.index, wait=LOCK_WAIT_SECONDS)
        if former := _named(index, root.index):
            for name, cursor in reversed([*cursors.items()]):
                if cursor and cursor.index == root.index:
                    store.beside(former).save(name, cursor)
            _keep_look(looks, former, root.index)
    note_live(index)
    _take_look(looks, index.name)
    for name, cursor in reversed([*own.items()]):
        if cursor:
            store.save(name, cursor)
    store.forget(index.name)
    log.info("The cursors are those of %s, which has alias %s", index.name, definition.alias)
    return own


def note_live(index: Index) -> None:
    """Note that an index has the alias: one that had it is never taken for half-made."""
    build = build_of(index)
    if build and build.state != "live":
        note(index, build.model_copy(update={"state": "live"}))


def _keep_look(looks: LiveReconcile, former: str, uuid: str) -> None:
    """Keep the look of the reconcile at the former index beside: it may be taken back."""
    last = looks.load()
    if last and last.index == uuid:
        looks.beside(former).save(last)


def _take_look(looks: LiveReconcile, name: str) -> None:
    """Let the reconcile go on from the last look at the index that has the alias."""
    own, last = looks.beside(name).load(), looks.load()
    if own:
        results = last.results if last else {}
        looks.save(own.model_copy(update={"results": results}))
        looks.forget(name)


def _named(index: Index, uuid: str) -> str | None:
    """Return the name of the index of the same alias with this uuid, None when it is gone."""
    for name in family(index.client, index.definition):
        if Index(index.client, index.definition, name, index.patience).uuid() == uuid:
            return name
    return None


def is_replaced(resources: Resources) -> bool:
    """Whether a rebuild or a rollback gave the alias to another index than the run began with."""
    definition, context = resources.definition, resources.context
    index = live(resources.client, definition, resources.patience)
    if index is None or index.name == context.index:
        return False
    build = build_of(index)
    if build is None or build.replaces != context.index:
        return False
    log.info(
        "Alias %s leads to %s since this run began. The next run goes on with it",
        definition.alias,
        index.name,
    )
    return True
