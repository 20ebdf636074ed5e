"""An existing index is taken: a half-made one, or one that had the alias before."""

from __future__ import annotations

import logging

from movies_etl.errors import ConfigurationError
from movies_etl.es import family
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.beside import beside_context, fed_indexes
from movies_etl.rebuild.plan import Plan
from movies_etl.state.cursors import all_cursors
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.versions import RESERVED_MICROSECONDS

log = logging.getLogger(__name__)


def resumed(begun: Beginning, old: Index, name: str, files: str) -> Plan:
    """Go on with an index; how far it was loaded is not known.

    The other run sent versions up to a minute ahead of the clock of that time.

    :param files: digest of the present ones.
    :raises ConfigurationError: the index was begun with other ones.
    """
    definition = begun.definition
    index = Index(begun.client, definition, name)
    build = family.build_of(index)
    if build and build.files not in (None, files):
        raise ConfigurationError(
            f"Index {name} was begun with another mapping, other settings or another documents.sql "
            f"than there are now. Trigger {definition.reindex_dag} without resume: that removes it "
            "and makes one from the present files."
        )
    store = begun.state.cursors.beside(name)
    cursors = all_cursors(store, definition.streams)
    context = begun.context_of(index)
    context = context.model_copy(update={"version": context.version + RESERVED_MICROSECONDS})
    if not all(cursor and cursor.index == context.uuid for cursor in cursors.values()):
        DeadLetters(begun.client, definition, of=name).create()
        StartingPoints(context, begun.source, store).at_the_ends()
    if build:
        family.note(index, build.model_copy(update={"state": "loading", "run": begun.runs.own}))
    log.info("Going on with index %s, which another run began", name)
    return Plan(
        context=context,
        replaces=old.name,
        resumes=True,
        takes_over=old.name == definition.alias,
    )


def back(begun: Beginning, old: Index) -> Plan:
    """Plan to give the alias to the index that had it before, or else to the newest one kept."""
    definition, cursors = begun.definition, begun.state.cursors
    names = fed_indexes(begun.client, definition, cursors, live=old.name, ready=("live",))
    build = family.build_of(old)
    names.sort(key=lambda name: build is not None and name == build.replaces)
    for name in reversed(names):
        index = Index(begun.client, definition, name)
        if context := beside_context(
            begun.source, index, cursors.beside(name), begun.context_of(index)
        ):
            DeadLetters(begun.client, definition, of=name).create()
            return Plan(context=context, replaces=old.name, loads=False)
    raise ConfigurationError(
        f"No index is kept that had alias {definition.alias} before {old.name} and was fed since. "
        f"Trigger {definition.reindex_dag} without rollback to make one."
    )
