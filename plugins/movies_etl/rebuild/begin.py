"""The beginning of a rebuild: everything is checked, then the index is made, then its cursors."""

from __future__ import annotations

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, family
from movies_etl.es.client import check_server
from movies_etl.es.index import Index
from movies_etl.es.mapping import check_file
from movies_etl.postgres import lock
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.make import made, shards_of
from movies_etl.rebuild.orphans import removed_orphans
from movies_etl.rebuild.plan import Asked, Plan
from movies_etl.rebuild.preflight import check_room, check_sample
from movies_etl.rebuild.taken import back, resumed
from movies_etl.state.cursors import Cursor, all_cursors
from movies_etl.sync.exchange import follow_alias, note_live

LOCK_WAIT_SECONDS = 60.0
EXCHANGE_WAIT_SECONDS = 60.0
"""Seconds to wait for a run that writes to the index, if cursors must be exchanged."""


def begin(begun: Beginning, asked: Asked) -> Plan:
    """Check everything and make the index, or take one that is there.

    :raises ConfigurationError: something does not fit; says what to fix. Nothing was changed.
    :raises WriterBusyError: another rebuild begins at this moment.
    """
    definition, client = begun.definition, begun.client
    lock.take(begun.source.server, f"{definition.alias} rebuild", wait=LOCK_WAIT_SECONDS)
    check_server(client)
    old = _replaced(begun, asked)
    if asked.rollback:
        return back(begun, old)
    described = admin.described(definition, begun.settings.include_dir)
    check_file(definition, described)
    check_sample(begun.source)
    half_made = removed_orphans(begun, keep=asked.resume)
    if half_made:
        return resumed(begun, old, half_made, family.files_of(described))
    if asked.resume:
        raise ConfigurationError(
            f"There is no half-made index of {definition.alias} to go on with. Trigger "
            f"{definition.reindex_dag} without resume."
        )
    shards = asked.shards or shards_of(definition, old, described)
    check_room(begun, old, described, shards)
    return made(begun, old, described, shards)


def _replaced(begun: Beginning, asked: Asked) -> Index:
    """Return the index that has the alias, or its name."""
    definition, client = begun.definition, begun.client
    if asked.take_over and client.indices.exists(index=definition.alias):
        plain = Index(client, definition, definition.alias)
        if not client.indices.exists_alias(name=definition.alias):
            return plain
    old = admin.live(client, definition)
    root = begun.state.cursors.load(definition.root.name)
    if old and not (root and root.index == old.uuid()):
        root = _after_a_swap_that_died(begun, old)
    if old is None or root is None or root.horizon is None or root.index != old.uuid():
        raise ConfigurationError(
            f"There is nothing to rebuild yet: the first load by {definition.sync_dag} is not "
            "done. It makes the index from the present files, so let it come to its end."
        )
    if difference := begun.source.identity()[1].difference_from(root.database):
        raise ConfigurationError(
            f"Nothing is rebuilt: {difference}. Run {definition.sync_dag} first; it decides what "
            "becomes of the index."
        )
    note_live(old)
    return old


def _after_a_swap_that_died(begun: Beginning, old: Index) -> Cursor | None:
    """Exchange what is kept, as ``init`` does; return the root stream's.

    :raises WriterBusyError: a run exchanges them at this moment, or writes already.
    """
    definition, server, store = begun.definition, begun.source.server, begun.state.cursors
    looks = begun.state.reconciled
    with (
        lock.held(server, old.uuid(), EXCHANGE_WAIT_SECONDS),
        lock.held(server, definition.alias, EXCHANGE_WAIT_SECONDS),
    ):
        cursors = all_cursors(store, definition.streams)
        cursors = follow_alias(store, looks, cursors, old, server)
    return cursors[definition.root.name]
