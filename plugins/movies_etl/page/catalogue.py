"""What PostgreSQL says of one index: its time, rows, what waits, the oldest transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.page.memory import Servers
from movies_etl.postgres.horizon import Holder
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.state.cursors import Cursor, Position

COUNTED = 10_000
"""Rows that wait are counted up to here."""
HELD_AFTER = timedelta(minutes=1)
"""Age from which an open transaction is told of: it keeps the horizon back."""


class Catalogue(NamedTuple):
    """What was said.

    :param now: the database's time.
    :param rows: that should have a document.
    :param holder: the oldest transaction.
    :param waiting: rows and links after the cursor, by stream.
    """

    now: datetime
    rows: int
    holder: Holder | None
    waiting: dict[str, int]

    @property
    def told_holder(self) -> str | None:
        """Who holds the horizon, in words, where that is worth a word."""
        if self.holder is None or self.now - parse(self.holder.since) < HELD_AFTER:
            return None
        return str(self.holder)


def catalogue(
    definition: IndexDefinition, servers: Servers, cursors: Mapping[str, Cursor | None]
) -> Catalogue:
    """Ask PostgreSQL."""
    with servers.catalogue(definition) as source:
        activity = source.server.activity()
        return Catalogue(
            now=parse(activity.now),
            holder=activity.holder,
            waiting={
                stream.name: waiting(source, stream, cursors.get(stream.name))
                for stream in definition.streams
            },
            rows=source.count(),
        )


def waiting(
    source: Source, stream: Stream, cursor: Cursor | None, *, links_only: bool = False
) -> int:
    """Count the rows and links after a stream's cursor, `COUNTED` of each table at most."""
    places: list[tuple[Feed, Position | None]] = []
    if not links_only:
        places.append((stream.rows, cursor.rows if cursor else None))
    if stream.links is not None:
        places.append((stream.links, cursor.links if cursor else None))
    return sum(source.count_changed(feed, after, COUNTED) for feed, after in places)
