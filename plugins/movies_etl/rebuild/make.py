"""The index that is made: its settings, mapping, letters and cursors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es import admin, carried, family
from movies_etl.es.dead_letters import DeadLetters, letters_of
from movies_etl.es.index import Index
from movies_etl.es.owner import Owner, owned
from movies_etl.es.template import forbid_automatic_creation
from movies_etl.postgres.timestamps import parse
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.carry import changed_by_hand
from movies_etl.rebuild.plan import Plan
from movies_etl.sync.starting_points import StartingPoints

log = logging.getLogger(__name__)


def shards_of(definition: IndexDefinition, old: Index, described: Mapping[str, Any]) -> int:
    """Return the present index's number of shards, or the file's if it was changed since.

    Of an index that is not ours, the file's.
    """
    wanted = carried.shards_of(carried.flat(described["settings"]))
    if old.name == definition.alias:
        return wanted
    build = family.build_of(old)
    is_new = build and build.settings is not None and carried.shards_of(build.settings) != wanted
    return wanted if is_new else old.shards()


def made(begun: Beginning, old: Index, described: Mapping[str, Any], shards: int) -> Plan:
    """Make the index, its letters and its cursors."""
    definition, client, source = begun.definition, begun.client, begun.source
    file = carried.flat(described["settings"])
    by_hand = {} if old.name == definition.alias else changed_by_hand(old, file)
    if by_hand:
        log.info("Settings that %s has and the file has not are taken over: %s", old.name, by_hand)
    _, database = source.identity()
    build = family.Build(
        state="loading",
        run=begun.runs.own,
        replaces=old.name,
        settings=file,
        files=family.files_of(described),
    )
    described = family.built(owned(described, Owner.of(database)), build)
    name = family.free_name(client, definition, parse(source.server.now()))
    for one in (name, letters_of(name)):
        forbid_automatic_creation(client, definition, one)
    index = admin.create_beside(
        client,
        definition,
        name,
        carried.created_with(described, by_hand, shards),
        described["mappings"],
    )
    DeadLetters(client, definition, of=name).create()
    log.info("Created index %s with %d shards, to replace %s", name, shards, old.name)
    context = begun.context_of(index)
    StartingPoints(context, source, begun.state.cursors.beside(name)).at_the_ends()
    return Plan(context=context, replaces=old.name, takes_over=old.name == definition.alias)
