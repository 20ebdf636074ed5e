"""Indexes beside the live one: which are fed, and feeding them by the ordinary streams."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator
from dataclasses import replace

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import MoviesEtlError, WriterBusyError, on_one_line
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.family import exists, family, is_concrete, remove
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source
from movies_etl.rebuild.plan import Stores
from movies_etl.settings import Settings
from movies_etl.state.cursors import CursorStore, LiveCursors, all_cursors
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import in_steps, sync
from movies_etl.sync.versions import first_version

log = logging.getLogger(__name__)


def fed_indexes(
    client: Elasticsearch,
    definition: IndexDefinition,
    cursors: LiveCursors,
    *,
    live: str,
    ready: Collection[str] = ("loaded", "live"),
) -> list[str]:
    """Return the indexes without the alias that are complete and have cursors, the oldest first.

    :param live: the index with the alias.
    :param ready: states in which one is complete; one that does not say had the alias once.
    """
    names = cursors.indexes()
    if not names:
        return []
    found = family(client, definition)
    return [
        name
        for name in names
        if name in found
        and name != live
        and ((build := found[name]) is None or build.state in ready)
    ]


def forget_deleted(client: Elasticsearch, definition: IndexDefinition, state: Stores) -> None:
    """Forget the indexes that somebody deleted: their cursors, letters, and what was seen of them.

    A closed index still exists.
    """
    for name in state.cursors.indexes():
        if is_concrete(definition, name) and not exists(client, name):
            log.warning("Index %s is gone: its cursors and dead letters are removed", name)
            remove(client, name)
            state.forget(name)


def beside_context(
    source: Source, index: Index, cursors: CursorStore, context: RunContext
) -> RunContext | None:
    """Return what a task needs to feed an index; None, with the reason in the log, where it cannot.

    :param cursors: the index's.
    :param context: with the database and the horizon of this moment.
    """
    uuid, history = index.uuid(), index.history()
    known = all_cursors(cursors, source.definition.streams).values()
    of_index = [cursor for cursor in known if cursor and cursor.index == uuid]
    reason = None if len(of_index) == len(known) else "its cursors are gone, or another index's"
    if history and any(cursor.history not in (None, history) for cursor in of_index):
        reason = reason or "it was restored, or a shard of it was lost"
    for cursor in of_index:
        reason = reason or context.database.difference_from(cursor.database)
    if reason:
        log.warning("Index %s is not fed any more: %s", index.name, reason)
        return None
    return context.model_copy(
        update={
            "index": index.name,
            "uuid": uuid,
            "history": history,
            "beside": True,
            "version": first_version(source.server.clock(), of_index, is_fresh=False),
        }
    )


def feed(resources: Resources, settings: Settings) -> None:
    """Take the lock, and load what changed in every stream into the index of these resources."""
    own = replace(resources, counters=Counters())
    for stream in own.definition.streams:
        sync(stream, own, settings)


def feed_others(resources: Resources, settings: Settings, state: Stores) -> None:
    """Feed every index beside the live one; an error there fails no run.

    :param resources: of the live index.
    """
    for _ in feed_others_in_steps(resources, settings, state):
        pass


def feed_others_in_steps(
    resources: Resources, settings: Settings, state: Stores
) -> Generator[None, None, None]:
    """Do the same batch by batch. Closed between two batches, it ends cleanly."""
    definition, live = resources.definition, resources.context.index
    try:
        forget_deleted(resources.client, definition, state)
        names = fed_indexes(resources.client, definition, state.cursors, live=live)
    except MoviesEtlError as error:
        log.warning("Indexes beside %s were not looked for: %s", live, on_one_line(error))
        return
    for name in names:
        try:
            yield from _feed_one(resources, settings, state.cursors.beside(name), name)
        except WriterBusyError:
            log.info("Index %s is fed by another task", name)
        except MoviesEtlError as error:
            said = on_one_line(error)
            log.warning("Index %s, beside the live one, was not fed: %s", name, said)


def _feed_one(
    resources: Resources, settings: Settings, cursors: CursorStore, name: str
) -> Generator[None, None, None]:
    source = resources.source
    index = Index(resources.client, resources.definition, name, resources.patience)
    context = beside_context(source, index, cursors, resources.context)
    if context is None:
        return
    DeadLetters(resources.client, resources.definition, resources.patience, of=name).create()
    own = replace(
        resources,
        context=context,
        cursors=cursors,
        counters=Counters(),
        lock_wait=0,
        is_quiet=True,
    )
    for stream in own.definition.streams:
        yield from in_steps(stream, own, settings)
    done = own.counters.outcomes() or "nothing to load"
    log.info("Index %s is fed, too: %s", name, done)
