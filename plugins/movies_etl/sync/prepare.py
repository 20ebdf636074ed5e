"""What ``init`` does: both servers checked, the index found or created, cursors put in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from elasticsearch import Elasticsearch

from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.es import admin
from movies_etl.es.client import check_server
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.family import free_name
from movies_etl.es.mapping import check_file
from movies_etl.es.template import forbid_automatic_creation, is_creation_forbidden
from movies_etl.postgres import lock
from movies_etl.postgres.horizon import HorizonStore, Known, Measured
from movies_etl.postgres.inspection import checked_database, notices_of
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.settings import Settings
from movies_etl.state.cursors import WITHOUT_A_CURSOR, Cursor, LiveCursors, all_cursors
from movies_etl.state.database import Database
from movies_etl.state.layout import Layouts
from movies_etl.state.notices import Notices
from movies_etl.state.reconcile import LiveReconcile
from movies_etl.state.run_context import RunContext
from movies_etl.sync.exchange import follow_alias
from movies_etl.sync.measuring import known_before, lateness, measure, set_back
from movies_etl.sync.starting_points import Reload, StartingPoints
from movies_etl.sync.target import Target
from movies_etl.sync.versions import MAX_READINGS_AHEAD, first_version

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 10.0
"""Seconds that ``init`` waits for a writer to end."""


@dataclass(frozen=True)
class State:
    """What is kept between runs.

    :param layouts: None where each run learns the catalogue's columns anew.
    """

    cursors: LiveCursors
    horizons: HorizonStore
    reconciled: LiveReconcile
    notices: Notices
    layouts: Layouts | None = None


def prepare_run(
    source: Source,
    client: Elasticsearch,
    state: State,
    settings: Settings,
    reload: Reload = "none",
) -> RunContext:
    """Check both servers, find or create the index, and put the cursors in order.

    Nothing is written before everything was checked.

    :param source: its session holds the lock until it ends.
    :param reload: the streams to load again.
    :raises ConfigurationError: something does not fit; says what to fix.
    :raises WriterBusyError: a task is writing to the index.
    """
    definition, server = source.definition, source.server
    described = admin.described(definition, settings.include_dir)
    database = checked_database(source)
    check_server(client)
    target = Target.found(client, definition)
    if target:
        lock.take(server, target.uuid, wait=LOCK_WAIT_SECONDS)
    lock.take(server, definition.alias, wait=LOCK_WAIT_SECONDS)
    cursors = all_cursors(state.cursors, definition.streams)
    if not (target and _is_of(target, cursors[definition.root.name])):
        target = _found_under_the_lock(source, client)
    if target:
        cursors = follow_alias(state.cursors, state.reconciled, cursors, target.index, server)
    root = cursors[definition.root.name]
    if target:
        target.check(described, database, root)
    else:
        check_file(definition, described)
    known = known_before(state.horizons, root, database)
    now = server.now()
    why_set_back = set_back(known, now)
    _check_positions(definition, cursors, None if why_set_back else _latest(now))

    measured = measure(source, settings, Known() if why_set_back else known)
    if target:
        target.claim(database)
    name = target.index.name if target else free_name(client, definition, parse(measured.now))
    forbid_automatic_creation(client, definition, name)
    no_letters = DeadLetters(client, definition).create()
    is_fresh = target is None and no_letters
    version = first_version(server.clock(), cursors.values(), is_fresh=is_fresh)
    target = target or Target.created(client, definition, name, described, database)
    context = _context(source, target, database, measured, version)
    lost = why_set_back or target.lost(root, source)
    StartingPoints(context, source, state.cursors).put_in_order(cursors, reload, lost=lost)
    state.horizons.save(measured.horizon, measured.epochs)
    state.notices.look(measured.now, lambda: notices_of(source))
    if state.layouts:
        state.layouts.look(source.layout, root.seen if root else None)
    return context


def prepare_beside(
    source: Source, client: Elasticsearch, state: State, settings: Settings
) -> RunContext | None:
    """Decide a run's context without the lock, beside a task that follows and has it.

    That task may go on, end or be killed meanwhile, and a run that gets the lock may change what is
    decided here: the tasks of this run check it again under the lock, as they do after an ``init``
    that let the lock go.

    :returns: None where no task follows, or where something is to be written under the lock.
    :raises ConfigurationError: see :func:`prepare_run`.
    """
    definition, server = source.definition, source.server
    target = Target.found(client, definition)
    if target is None or not lock.is_followed(server, target.uuid):
        return None
    described = admin.described(definition, settings.include_dir)
    database = checked_database(source)
    check_server(client)
    cursors = all_cursors(state.cursors, definition.streams)
    root = cursors[definition.root.name]
    known, now = known_before(state.horizons, root, database), server.now()
    is_whole = (
        target.is_claimed(database)
        and is_creation_forbidden(client, definition, target.index.name)
        and DeadLetters(client, definition).exists()
    )
    if not is_whole or None in cursors.values() or set_back(known, now):
        return None
    target.check(described, database, root)
    _check_positions(definition, cursors, _latest(now))
    measured = measure(source, settings, known)
    # Above all that was read before the horizon was measured: the other task goes on, and its
    # cursors say what it sends, but not yet what it has only read.
    cursors = all_cursors(state.cursors, definition.streams)
    highest = first_version(server.clock(), cursors.values(), is_fresh=False)
    version = highest + MAX_READINGS_AHEAD
    context = _context(source, target, database, measured, version)
    starts = StartingPoints(context, source, state.cursors)
    if not starts.are_in_order(cursors, lost=target.lost(root, source)):
        return None
    state.notices.look(measured.now, lambda: notices_of(source))
    log.info("A task follows and everything is in order: the writer's lock is not needed")
    return context


def _context(
    source: Source, target: Target, database: Database, measured: Measured, version: int
) -> RunContext:
    return RunContext(
        index=target.index.name,
        uuid=target.uuid,
        history=target.history,
        database=database,
        layout=source.layout.model_copy(update={"is_earlier": False}),
        m2m_start=measured.now,
        horizon=measured.horizon,
        held_by=lateness(measured),
        version=version,
        program=__version__,
    )


def _latest(now: str) -> datetime:
    """Return where a cursor may stand at most."""
    return parse(now) + timedelta(days=1)


def _is_of(target: Target, cursor: Cursor | None) -> bool:
    return cursor is not None and cursor.index == target.uuid


def _found_under_the_lock(source: Source, client: Elasticsearch) -> Target | None:
    """Return the index behind the alias, which is not moved while this session has its lock.

    It may just have been moved: a swap, or the first run, had the lock until now.
    """
    target = Target.found(client, source.definition)
    if target:
        lock.take(source.server, target.uuid, wait=LOCK_WAIT_SECONDS)
    return target


def _check_positions(
    definition: IndexDefinition, cursors: Mapping[str, Cursor | None], latest: datetime | None
) -> None:
    """Refuse a cursor far beyond the clock: nothing that was read led there.

    :param latest: where one may stand; None where the clock was set back, and none counts.
    """
    for name, cursor in cursors.items():
        for position in filter(None, (cursor.rows, cursor.links) if cursor else ()):
            beyond_python = position.stamp.index("-") > 4
            if beyond_python or (latest and parse(position.stamp) > latest):
                raise ConfigurationError(
                    f"The cursor of {name} stands at {position.stamp}, in the future. Fix its "
                    f"Variable {definition.cursor_variable(name)} in Admin -> Variables, or "
                    f"delete it: {WITHOUT_A_CURSOR}."
                )
