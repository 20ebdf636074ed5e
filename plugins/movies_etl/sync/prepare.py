"""What ``init`` does: both servers checked, the index found or created, cursors put in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from elasticsearch import Elasticsearch

from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, printable
from movies_etl.es import admin
from movies_etl.es.client import check_server
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.family import free_name
from movies_etl.es.mapping import check_file
from movies_etl.es.template import forbid_automatic_creation
from movies_etl.postgres import horizon, lock
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
from movies_etl.sync.starting_points import Reload, StartingPoints
from movies_etl.sync.target import Target
from movies_etl.sync.versions import first_version

log = logging.getLogger(__name__)


LAG_WORTH_A_WARNING = timedelta(minutes=1)
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
    set_back = _set_back(known, now)
    _check_positions(definition, cursors, None if set_back else parse(now) + timedelta(days=1))

    measured = measure(source, settings, Known() if set_back else known)
    if target:
        target.claim(database)
    name = target.index.name if target else free_name(client, definition, parse(measured.now))
    forbid_automatic_creation(client, definition, name)
    no_letters = DeadLetters(client, definition).create()
    is_fresh = target is None and no_letters
    version = first_version(server.clock(), cursors.values(), is_fresh=is_fresh)
    target = target or Target.created(client, definition, name, described, database)
    context = RunContext(
        index=target.index.name,
        uuid=target.uuid,
        history=target.history,
        database=database,
        layout=source.layout.model_copy(update={"is_earlier": False}),
        m2m_start=measured.now,
        horizon=measured.horizon,
        held_by=_lateness(measured),
        version=version,
        program=__version__,
    )
    lost = set_back or target.lost(root, source)
    StartingPoints(context, source, state.cursors).put_in_order(cursors, reload, lost=lost)
    state.horizons.save(measured.horizon, measured.epochs)
    state.notices.look(measured.now, lambda: notices_of(source))
    if state.layouts:
        state.layouts.look(source.layout, root.seen if root else None)
    return context


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


def known_before(horizons: HorizonStore, root: Cursor | None, database: Database) -> Known:
    """Return what was measured before; it counts only for the same database."""
    return Known() if root is None or database.difference_from(root.database) else horizons.load()


def _set_back(known: Known, now: str) -> str | None:
    """Say that the clock was set back, None when it was not.

    A horizon was behind the clock when it was measured. Rows that were written since it was set
    back may be stamped below the cursors.
    """
    if known.horizon is None or parse(known.horizon) <= parse(now):
        return None
    return (
        f"the known horizon {known.horizon} lies in the future of the database's clock ({now}): it "
        "was set back, or another server took over"
    )


def measure(source: Source, settings: Settings, known: Known) -> Measured:
    """Measure the horizon; warn of prepared transactions that it does not wait for."""
    measured = horizon.measure(source.server, timedelta(seconds=settings.horizon_margin), known)
    for one in measured.abandoned:
        log.warning(
            "Transaction %s of %s was prepared at %s and never ended; it is not waited for. When "
            "it is committed, load the films that it changed again (param ids)",
            printable(one.gid),
            printable(one.owner),
            one.prepared,
        )
    return measured


def _lateness(measured: Measured) -> str | None:
    """Say what holds the horizon when it lags by more than is worth a warning."""
    lag = parse(measured.now) - parse(measured.horizon)
    if lag < LAG_WORTH_A_WARNING or not measured.held_by:
        return None
    holder = printable(measured.held_by)
    said = f"The horizon is {lag.total_seconds():.0f} s behind, held by {holder}"
    log.warning("%s. Changes are sent all the same, and read again until it has ended", said)
    return said
