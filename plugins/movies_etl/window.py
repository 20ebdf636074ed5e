"""What a run reads and where it writes: decided once, by ``init``, for all of its tasks."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Literal

from elasticsearch import Elasticsearch
from pydantic import BaseModel, ConfigDict

from movies_etl import horizon
from movies_etl import index as elastic
from movies_etl.cursors import (
    Cursor,
    CursorStore,
    Database,
    LinkPosition,
    Position,
    RowPosition,
    Stamp,
)
from movies_etl.dead_letters import DeadLetters
from movies_etl.errors import ConfigurationError
from movies_etl.index import Index
from movies_etl.schema import missing_indexes
from movies_etl.settings import Settings
from movies_etl.source import BEGINNING, Source
from movies_etl.streams import FILM_WORK, GENRE, PERSON, STREAMS, Feed

log = logging.getLogger(__name__)

Reload = Literal["none", "all", "film_work", "genre", "person"]

OLDEST_POSTGRESQL = 12_00_00
LATENESS_WORTH_A_WARNING = timedelta(minutes=10)


class Window(BaseModel):
    """One run's bounds, handed from ``init`` to the tasks as JSON.

    :param index: the concrete index.
    :param uuid: its uuid: the alias must still lead to it when a task begins.
    :param database: the database that is read.
    :param m2m_start: the database's time before anything was read.
    :param horizon: below it rows are settled: a cursor may pass them.
    :param version: the version of the earliest document of this run.
    :param version_offset: added to the clock where that is behind versions already sent.
    """

    model_config = ConfigDict(frozen=True)

    index: str
    uuid: str
    database: Database
    m2m_start: Stamp
    horizon: Stamp
    version: int
    version_offset: int = 0


def open_window(
    source: Source,
    client: Elasticsearch,
    cursors: CursorStore,
    settings: Settings,
    reload: Reload = "none",
) -> Window:
    """Check both servers, find or create the index, and put the cursors in order.

    Nothing is written before everything was checked.

    :param source: a prepared source.
    :param reload: the streams to load again.
    :raises ConfigurationError: something does not fit; says what to mend.
    """
    described = elastic.definition(settings.include_dir)
    _check_source(source, settings)
    elastic.check_server(client)
    index = elastic.live(client)
    if index is not None:
        elastic.check_mapping(index, described)
    held = {stream.name: cursors.load(stream.name) for stream in STREAMS}

    clock = source.clock(settings.horizon_margin)
    version = source.version()
    greatest = max((cursor.version for cursor in held.values() if cursor), default=0)
    elastic.forbid_automatic_creation(client)
    DeadLetters(client).create()
    if index is None:
        name = f"{elastic.ALIAS}-{horizon.parse(clock.now):%Y%m%d%H%M%S}"
        index = elastic.create(client, name, described)
        log.info("Created index %s behind alias %s", name, elastic.ALIAS)
    offset = max(0, greatest + 1 - version)
    if offset:
        log.warning(
            "The database's clock is %.1f s behind the newest document; versions go on from there",
            offset / 1e6,
        )
    window = Window(
        index=index.name,
        uuid=index.uuid(),
        database=source.database(),
        m2m_start=clock.now,
        horizon=clock.horizon,
        version=version + offset,
        version_offset=offset,
    )
    _order_cursors(held, window, source, index, cursors, reload)
    return window


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
    without_zone = source.columns().without_zone
    if without_zone:
        log.info(
            "Columns without time zone (in %s) are taken as %s (MOVIES_ETL_TIMESTAMP_ZONE)",
            ", ".join(without_zone),
            settings.timestamp_zone,
        )
        _doubt_zone(source, without_zone, settings.timestamp_zone)


def _doubt_zone(source: Source, without_zone: tuple[str, ...], zone: str) -> None:
    """Warn when the newest stamps lie in the future of the assumed zone."""
    clock = source.clock(0)
    soon = horizon.in_utc(horizon.parse(clock.now) + LATENESS_WORTH_A_WARNING)
    tomorrow = horizon.in_utc(horizon.parse(clock.now) + timedelta(days=1))
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


def _order_cursors(
    held: dict[str, Cursor | None],
    window: Window,
    source: Source,
    index: Index,
    cursors: CursorStore,
    reload: Reload,
) -> None:
    """Write the starts of streams that have no valid cursor, or are to be loaded again."""
    films = held[FILM_WORK.name]
    reason = _void(films, window) or ("reload=all" if reload == "all" else None)
    if reason is None and films and films.horizon and not index.documents() and source.films():
        reason = f"index {window.index} was emptied"
    if reason:
        log.warning("Everything is loaded again: %s", reason) if films else log.info(reason)
        _start_over(window, source, cursors)
        return
    for stream in STREAMS:
        cursor = held[stream.name]
        if stream.name == reload:
            log.info("%s is loaded again", stream.name)
            cursors.save(stream.name, _beginning(window))
        elif reason := _void(cursor, window):
            log.warning("%s starts at the beginning: %s", stream.name, reason)
            # What the index has is compared: unlike a reload, nothing says that it is wrong.
            cursors.save(stream.name, _beginning(window).moved(horizon=BEGINNING.stamp))


def _void(cursor: Cursor | None, window: Window) -> str | None:
    """Say why a cursor does not count, None when it does."""
    if cursor is None:
        return "there is no cursor"
    if cursor.index != window.uuid:
        return f"the cursor belongs to another index than {window.index}"
    if not cursor.database.same_as(window.database):
        return f"the cursor belongs to database {cursor.database.name} of another server or name"
    return None


def _beginning(window: Window) -> Cursor:
    return Cursor(index=window.uuid, database=window.database)


def _start_over(window: Window, source: Source, cursors: CursorStore) -> None:
    """Write the cursors before a first load.

    What genres and persons were before the M2M start is contained in the films as they are
    loaded, so their streams start at their last settled rows. The film cursor comes last: while
    it is missing or void, the starts are written again.
    """
    for stream in (GENRE, PERSON):
        rows = _last(source, stream.rows, window)
        links = _last(source, stream.links, window) if stream.links else None
        cursors.save(
            stream.name,
            _beginning(window).moved(
                rows=rows and RowPosition.at(rows),
                links=links and LinkPosition.at(links),
                horizon=window.horizon,
            ),
        )
    cursors.save(FILM_WORK.name, _beginning(window))


def _last(source: Source, feed: Feed, window: Window) -> Position | None:
    return source.last(feed, source.below(feed, window.horizon))
