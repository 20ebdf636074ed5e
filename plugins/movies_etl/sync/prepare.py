"""What ``init`` does: both servers checked, the index found or created, cursors put in order."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from elasticsearch import Elasticsearch

from movies_etl.definitions.movies import FILM_WORK, STREAMS
from movies_etl.errors import ConfigurationError
from movies_etl.es import index as elastic
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.postgres import horizon, lock
from movies_etl.postgres.horizon import HorizonStore, Known, Measured
from movies_etl.postgres.schema import missing_indexes
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import RESERVED_MICROSECONDS, Cursor, CursorStore, Database
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counts import difference_of
from movies_etl.sync.starting_points import Reload, StartingPoints

log = logging.getLogger(__name__)


OLDEST_POSTGRESQL = 12_00_00
LAG_WORTH_A_WARNING = timedelta(minutes=1)
LOCK_WAIT_SECONDS = 10.0
"""Seconds that ``init`` waits for a writer to end."""
LATENESS_WORTH_A_WARNING = timedelta(minutes=10)


@dataclass(frozen=True)
class State:
    """What is kept between runs."""

    cursors: CursorStore
    horizons: HorizonStore


def prepare_run(
    source: Source,
    client: Elasticsearch,
    state: State,
    settings: Settings,
    reload: Reload = "none",
) -> RunContext:
    """Check both servers, find or create the index, and put the cursors in order.

    Nothing is written before everything was checked.

    :param source: a prepared source; its session holds the lock until it ends.
    :param reload: the streams to load again.
    :raises ConfigurationError: something does not fit; says what to mend.
    :raises WriterBusyError: a task is writing to the index.
    """
    described = elastic.definition(settings.include_dir)
    _check_source(source, settings)
    database = source.database()
    elastic.check_server(client)
    index = elastic.live(client)
    if index is not None:
        elastic.check_mapping(index, described)
        lock.take(source, index.uuid(), wait=LOCK_WAIT_SECONDS)
    lock.take(source, elastic.ALIAS, wait=LOCK_WAIT_SECONDS)
    held = {stream.name: state.cursors.load(stream.name) for stream in STREAMS}
    known = _known(state.horizons, held[FILM_WORK.name], database)
    now = source.now()
    set_back = _set_back(known, now)
    _check_positions(held, None if set_back else horizon.parse(now) + timedelta(days=1))

    measured = _measure(source, settings, Known() if set_back else known)
    elastic.forbid_automatic_creation(client)
    no_letters = DeadLetters(client).create()
    is_fresh = index is None and no_letters
    version = _first_version(source.version(), held.values(), is_fresh=is_fresh)
    if index is None:
        name = f"{elastic.ALIAS}-{horizon.parse(measured.now):%Y%m%d%H%M%S}"
        index = elastic.create(client, name, described)
        log.info("Created index %s behind alias %s", name, elastic.ALIAS)
    context = RunContext(
        index=index.name,
        uuid=index.uuid(),
        database=database,
        m2m_start=measured.now,
        horizon=measured.horizon,
        held_by=_lateness(measured),
        version=version,
    )
    lost = set_back or _emptied(held[FILM_WORK.name], source, index)
    StartingPoints(context, source, state.cursors).put_in_order(held, reload, lost=lost)
    state.horizons.save(measured.horizon, measured.epochs)
    return context


def _first_version(clock: int, held: Collection[Cursor | None], *, is_fresh: bool) -> int:
    """Return the clock, or the version above all that may have been sent, if that is greater.

    A task that died may have sent versions up to a lease ahead of the clock: nothing is wrong with
    the clock then, and it catches up. The same is assumed where a cursor was deleted.

    :param is_fresh: there was neither index nor letters, so nothing was sent.
    """
    unknown = 0 if is_fresh else clock + RESERVED_MICROSECONDS
    greatest = max(cursor.version if cursor else unknown for cursor in held)
    if greatest > clock + RESERVED_MICROSECONDS:
        log.warning(
            "The database's clock is %.1f s behind the newest document; versions go on from there",
            (greatest - clock) / 1e6,
        )
    return max(clock, greatest + 1)


def _check_positions(held: Mapping[str, Cursor | None], latest: datetime | None) -> None:
    """Refuse a cursor far beyond the clock: nothing that was read led there.

    :param latest: where one may stand; None where the clock was set back, and none counts.
    """
    for name, cursor in held.items():
        for position in filter(None, (cursor.rows, cursor.links) if cursor else ()):
            beyond_python = position.stamp.index("-") > 4
            if beyond_python or (latest and horizon.parse(position.stamp) > latest):
                raise ConfigurationError(
                    f"The cursor of {name} stands at {position.stamp}, in the future. Mend its "
                    f"Variable movies_etl.cursor.{name} in Admin -> Variables, or delete it: a "
                    "missing film_work cursor loads everything again, a missing genre or person "
                    "cursor its stream from the beginning."
                )


def _known(horizons: HorizonStore, films: Cursor | None, database: Database) -> Known:
    """Return what was measured before; it counts only for the same database."""
    return horizons.load() if films and films.database.same_as(database) else Known()


def _set_back(known: Known, now: str) -> str | None:
    """Say that the clock was set back, None when it was not.

    A horizon was behind the clock when it was measured. Rows that were written since it was set
    back may be stamped below the cursors.
    """
    if known.horizon is None or horizon.parse(known.horizon) <= horizon.parse(now):
        return None
    return (
        f"the known horizon {known.horizon} lies in the future of the database's clock ({now}): it "
        "was set back, or another server took over"
    )


def _measure(source: Source, settings: Settings, known: Known) -> Measured:
    measured = horizon.measure(source, timedelta(seconds=settings.horizon_margin), known)
    for one in measured.abandoned:
        log.warning(
            "Transaction %s of %s was prepared at %s and never ended; it is not waited for. When "
            "it is committed, load the films that it changed again (param ids)",
            one.gid,
            one.owner,
            one.prepared,
        )
    return measured


def _lateness(measured: Measured) -> str | None:
    """Say what holds the horizon when it lags by more than is worth a warning."""
    lag = horizon.parse(measured.now) - horizon.parse(measured.horizon)
    if lag < LAG_WORTH_A_WARNING or not measured.held_by:
        return None
    said = f"The horizon is {lag.total_seconds():.0f} s behind, held by {measured.held_by}"
    log.warning("%s. Changes are sent all the same, and read again until it has ended", said)
    return said


def _emptied(films: Cursor | None, source: Source, index: Index) -> str | None:
    """Say that the index has nothing although films were loaded, and some are not refused."""
    loaded = films and (films.rows or films.horizon)
    if not loaded or index.documents():
        return None
    is_emptied = difference_of(source, index, DeadLetters(index.client)) > 0
    return f"index {index.name} was emptied" if is_emptied else None


def _check_source(source: Source, settings: Settings) -> None:
    found = source.server_version()
    if found < OLDEST_POSTGRESQL:
        raise ConfigurationError(
            f"The server of connection movies_postgres is PostgreSQL {found // 10000}; version "
            f"{OLDEST_POSTGRESQL // 10000} or newer is needed."
        )
    for name in missing_indexes(source.indexes()):
        log.warning(
            "The catalogue has no index on %s; reading will be slow. "
            "include/sql/setup/indexes.sql makes it",
            name,
        )
    without_zone = source.without_zone
    if without_zone:
        log.info(
            "Columns without time zone (in %s) are taken as %s (MOVIES_ETL_TIMESTAMP_ZONE)",
            ", ".join(without_zone),
            settings.timestamp_zone,
        )
        _doubt_zone(source, without_zone, settings.timestamp_zone)


def _doubt_zone(source: Source, without_zone: tuple[str, ...], zone: str) -> None:
    """Warn when the newest stamps lie in the future of the assumed zone."""
    now = horizon.parse(source.now())
    soon = horizon.in_utc(now + LATENESS_WORTH_A_WARNING)
    tomorrow = horizon.in_utc(now + timedelta(days=1))
    for stream in STREAMS:
        feed = stream.rows
        if feed.table not in without_zone:
            continue
        ahead = source.changed(
            feed, source.below(feed, soon), source.below(feed, tomorrow), limit=1
        )
        if ahead:
            log.warning(
                "content.%s has rows stamped %s, which is in the future if that is %s time; set "
                "MOVIES_ETL_TIMESTAMP_ZONE to the zone that the site writes",
                feed.table,
                ahead[0].stamp,
                zone,
            )
