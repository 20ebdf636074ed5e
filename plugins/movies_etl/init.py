"""What ``init`` does: both servers checked, the index found or created, cursors put in order."""

from __future__ import annotations

import logging
from datetime import timedelta

from elasticsearch import Elasticsearch

from movies_etl import horizon
from movies_etl import index as elastic
from movies_etl.cursors import Cursor, CursorStore
from movies_etl.dead_letters import DeadLetters
from movies_etl.errors import ConfigurationError
from movies_etl.index import Index
from movies_etl.schema import missing_indexes
from movies_etl.settings import Settings
from movies_etl.source import Source
from movies_etl.starts import Reload, Starts
from movies_etl.streams import FILM_WORK, STREAMS
from movies_etl.window import Window

log = logging.getLogger(__name__)


OLDEST_POSTGRESQL = 12_00_00
LATENESS_WORTH_A_WARNING = timedelta(minutes=10)


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
    emptied = _is_emptied(held[FILM_WORK.name], source, index)
    Starts(window, source, cursors).put_in_order(held, reload, emptied=emptied)
    return window


def _is_emptied(films: Cursor | None, source: Source, index: Index) -> bool:
    """Whether the index has nothing although a load came to its end and there are films."""
    return bool(films and films.horizon and not index.documents() and source.films())


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
