"""The beginning of a rebuild: everything is checked, then the index is made, then its cursors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch
from pydantic import ValidationError

from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.ranges import Range, ranges
from movies_etl.errors import ConfigurationError, problems
from movies_etl.es import admin, carried, family
from movies_etl.es.client import check_server
from movies_etl.es.dead_letters import DeadLetters, letters_of
from movies_etl.es.index import Index
from movies_etl.es.mapping import check_file
from movies_etl.es.owner import Owner, owned
from movies_etl.es.room import lacking_room
from movies_etl.es.template import forbid_automatic_creation
from movies_etl.postgres import lock
from movies_etl.postgres.inventory import RowInventory
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.rebuild.beside import beside_context, fed_indexes
from movies_etl.rebuild.orphans import removed_orphans
from movies_etl.rebuild.plan import Asked, Plan, Runs, Stores
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor, all_cursors
from movies_etl.state.run_context import RunContext
from movies_etl.sync.exchange import follow_alias
from movies_etl.sync.prepare import known_before, measure
from movies_etl.sync.starting_points import StartingPoints
from movies_etl.sync.versions import RESERVED_MICROSECONDS

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 60.0
EXCHANGE_WAIT_SECONDS = 60.0
"""Seconds to wait for a run that writes to the index, where cursors have to be exchanged."""

ROWS_PER_RANGE = 250_000
"""Rows that one task loads: some minutes at most, so that the start of a task does not count."""
FEW_RANGES = 8
SMALL_RANGE = 10_000
"""A catalogue of fewer rows per range than the first is parted into a few ranges, as long as each
has so many."""
MAX_RANGES = 1_000
"""Airflow maps a task to 1,024 at most, by default."""

SAMPLED = 100
"""Documents that are built and validated before anything is made."""


@dataclass(frozen=True)
class Beginning:
    """The servers and stores of the first task."""

    source: Source
    client: Elasticsearch
    state: Stores
    settings: Settings
    runs: Runs

    @property
    def definition(self) -> IndexDefinition:
        """What is rebuilt."""
        return self.source.definition


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
        return _back(begun, old)
    described = admin.described(definition, begun.settings.include_dir)
    check_file(definition, described)
    _check_sample(begun.source)
    half_made = removed_orphans(begun, keep=asked.resume)
    if half_made:
        return _resumed(begun, old, half_made, family.files_of(described))
    if asked.resume:
        raise ConfigurationError(
            f"There is no half-made index of {definition.alias} to go on with. Trigger "
            f"{definition.reindex_dag} without resume."
        )
    shards = asked.shards or _shards(definition, old, described)
    _check_room(begun, old, described, shards)
    return _made(begun, old, described, shards)


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
    return old


def _after_a_swap_that_died(begun: Beginning, old: Index) -> Cursor | None:
    """Exchange the cursors, as ``init`` does; return the root stream's.

    :raises WriterBusyError: a run is at it, or writes already.
    """
    definition, server, store = begun.definition, begun.source.server, begun.state.cursors
    with (
        lock.held(server, old.uuid(), EXCHANGE_WAIT_SECONDS),
        lock.held(server, definition.alias, EXCHANGE_WAIT_SECONDS),
    ):
        cursors = follow_alias(store, all_cursors(store, definition.streams), old, server)
    return cursors[definition.root.name]


def _shards(definition: IndexDefinition, old: Index, described: Mapping[str, Any]) -> int:
    """Return how many shards the present index has, or the file of one that is not ours."""
    if old.name != definition.alias:
        return old.shards()
    return int(str(carried.flat(described["settings"]).get("index.number_of_shards", 1)))


def _check_sample(source: Source) -> None:
    """Refuse a ``documents.sql`` of which no document is one."""
    ids = RowInventory(source).ids(Range(), SAMPLED)
    if not ids:
        return
    _, pieces = source.documents(ids)
    reasons = []
    for piece in pieces:
        for one in piece:
            try:
                source.definition.document.model_validate_json(one.text)
            except ValidationError as error:
                reasons.append(one.problem or problems(error, with_values=True))
            else:
                return
    raise ConfigurationError(
        f"None of {len(ids)} documents that sql/{source.definition.name}/documents.sql makes is "
        f"valid: {reasons[0] if reasons else 'it returns no rows'}. Fix it; nothing was made."
    )


def _check_room(begun: Beginning, old: Index, described: Mapping[str, Any], shards: int) -> None:
    final: dict[str, Any] = {**carried.flat(described["settings"]), **_by_hand(old, described)}
    expands = final.get(carried.EXPANDED, "false") != "false"
    replicas = None if expands else int(final.get(carried.REPLICAS, 1))
    if lacking := lacking_room(begun.client, old.name, shards=shards, replicas=replicas):
        raise ConfigurationError(
            f"The cluster has no room for a second index beside {old.name}: {'; '.join(lacking)}. "
            "Nothing was made. Make room (MOVIES_ETL_KEEP_INDICES=0 keeps no old index), or add a "
            "node."
        )


def _by_hand(old: Index, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the present index that somebody changed."""
    build = family.build_of(old)
    given = build.settings if build else None
    return carried.changed_by_hand(old.settings(), carried.flat(described["settings"]), given)


def _made(begun: Beginning, old: Index, described: Mapping[str, Any], shards: int) -> Plan:
    """Make the index, its letters and its cursors."""
    definition, client, source = begun.definition, begun.client, begun.source
    by_hand = {} if old.name == definition.alias else _by_hand(old, described)
    if by_hand:
        log.info("Settings that %s has and the file has not are taken over: %s", old.name, by_hand)
    _, database = source.identity()
    build = family.Build(
        state="loading",
        run=begun.runs.own,
        replaces=old.name,
        settings=carried.flat(described["settings"]),
        files=family.files_of(described),
    )
    mapping = owned(described, Owner.of(database))["mappings"]
    name = _free_name(begun)
    for one in (name, letters_of(name)):
        forbid_automatic_creation(client, definition, one)
    index = admin.create_beside(
        client,
        definition,
        name,
        carried.created_with(described, by_hand, shards),
        {**mapping, "_meta": build.written(mapping.get("_meta"))},
    )
    DeadLetters(client, definition, of=name).create()
    log.info("Created index %s with %d shards, to replace %s", name, shards, old.name)
    context = _context(begun, index)
    StartingPoints(context, source, begun.state.cursors.beside(name)).at_the_ends()
    return Plan(context=context, replaces=old.name, takes_over=old.name == definition.alias)


def _free_name(begun: Beginning) -> str:
    now: datetime = parse(begun.source.server.now())
    taken = family.family(begun.client, begun.definition)
    while (name := f"{begun.definition.alias}-{now:%Y%m%d%H%M%S}") in taken:
        now += timedelta(seconds=1)
    return name


def _context(begun: Beginning, index: Index) -> RunContext:
    source = begun.source
    _, database = source.identity()
    root = begun.state.cursors.load(begun.definition.root.name)
    known = known_before(begun.state.horizons, root, database)
    measured = measure(source, begun.settings, known)
    return RunContext(
        index=index.name,
        uuid=index.uuid(),
        beside=True,
        history=index.history(),
        database=database,
        m2m_start=measured.now,
        horizon=measured.horizon,
        version=source.server.clock(),
        program=__version__,
    )


def _resumed(begun: Beginning, old: Index, name: str, files: str) -> Plan:
    """Go on with an index of which nobody knows how far it was loaded.

    What the other run sent has versions up to a minute ahead of the clock of that time.

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
    context = _context(begun, index)
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


def _back(begun: Beginning, old: Index) -> Plan:
    """Plan to give the alias to the index that had it before, or else to the newest one kept."""
    definition, cursors = begun.definition, begun.state.cursors
    names = fed_indexes(begun.client, definition, cursors, live=old.name, ready=("live",))
    build = family.build_of(old)
    names.sort(key=lambda name: build is not None and name == build.replaces)
    for name in reversed(names):
        index = Index(begun.client, definition, name)
        if context := beside_context(
            begun.source, index, cursors.beside(name), _context(begun, index)
        ):
            DeadLetters(begun.client, definition, of=name).create()
            return Plan(context=context, replaces=old.name, loads=False)
    raise ConfigurationError(
        f"No index is kept that had alias {definition.alias} before {old.name} and was fed since. "
        f"Trigger {definition.reindex_dag} without rollback to make one."
    )


def split(source: Source, plan: Plan) -> list[Range]:
    """Return the ranges of ids that are loaded, each by one task; none of a rollback."""
    if not plan.loads:
        return []
    rows = RowInventory(source)
    count = source.count()
    number = max(count // ROWS_PER_RANGE, min(count // SMALL_RANGE, FEW_RANGES), 1)
    return ranges(rows.bounds(min(number, MAX_RANGES)))
