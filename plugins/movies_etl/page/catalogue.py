"""What PostgreSQL says of one index: its time, rows, what waits, the oldest transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page.memory import Servers
from movies_etl.page.parts import Parts
from movies_etl.postgres.horizon import Holder
from movies_etl.postgres.lookups import waiting
from movies_etl.postgres.timestamps import parse
from movies_etl.state.cursors import Cursor

MAX_COUNTED_ROWS = 10_000
"""Rows that wait are counted up to here."""
HELD_AFTER = timedelta(minutes=1)
"""Age from which the page names an open transaction: it keeps the horizon back."""


class Catalogue(NamedTuple):
    """What PostgreSQL said.

    :param now: the database's time.
    :param rows: number of rows, each of which should have a document; None where they cannot be
        counted in time.
    :param holder: the oldest transaction.
    :param waiting: rows and links after the cursor, by stream; None where they cannot be counted.
    :param problems: why those that wait cannot be told.
    :param unread: what else could not be read, and why.
    """

    now: datetime
    rows: int | None
    holder: Holder | None
    waiting: dict[str, int | None]
    problems: list[str]
    unread: list[str]

    @property
    def told_holder(self) -> str | None:
        """What holds the horizon, in words, if it has done so for long enough."""
        if self.holder is None or self.now - parse(self.holder.since) < HELD_AFTER:
            return None
        return str(self.holder)


def catalogue(
    definition: IndexDefinition, servers: Servers, cursors: Mapping[str, Cursor | None]
) -> Catalogue:
    """Ask PostgreSQL part by part. The rows are counted last: that takes long where they are many.

    :raises MoviesEtlError: nothing can be asked.
    """
    streams, others = Parts(), Parts()
    with servers.catalogue(definition) as source:
        activity = source.server.activity()
        waits = {
            stream.name: streams.ask(
                f"Rows of {stream.name} that wait",
                partial(waiting, source, stream, cursors.get(stream.name), MAX_COUNTED_ROWS),
            )
            for stream in definition.streams
        }
        return Catalogue(
            now=parse(activity.now),
            holder=activity.holder,
            waiting=waits,
            rows=others.ask("The number of rows", source.count),
            problems=streams.unread,
            unread=others.unread,
        )
