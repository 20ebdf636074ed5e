"""What operators ask of the catalogue: a row by words or by its id, and how many rows wait."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.postgres import names
from movies_etl.postgres.source import Row, Source
from movies_etl.state.cursors import Cursor, Position


class Seen(NamedTuple):
    """A single row.

    :param stamp: its time, with the zone; None when no position in time reaches it.
    :param is_passed: it lies at or below the position that was asked about.
    """

    stamp: str | None
    is_passed: bool


def with_words(source: Source, words: Sequence[str], limit: int) -> dict[str, str]:
    """Return root rows whose title or name has all of these words: id and title.

    It reads every row, so it takes about a second per million.
    """
    if source.definition.text_column is None or not words:
        return {}
    escaped = (re.sub(r"([\\\\%_])", r"\\\1", word) for word in words)
    patterns = [f"%{word}%" for word in escaped]
    found = source.queries.rows(
        "root/words.sql", names.of_words(source.definition), patterns=patterns, page_size=limit
    )
    return dict(found)


def looked_at(source: Source, feed: Feed, id_: str, after: Position | None) -> Seen | None:
    """Return when a row changed and whether a position has passed it; None without a row.

    :param id_: one that :meth:`Source.possible` lets through.
    """
    bounds = source.between(feed, None, after)
    bound = {name: bounds[name] for name in ("upto_stamp", "upto_id")}
    of_feed = names.of_feed(feed, source.layout.stamps)
    for stamp, is_passed in source.queries.rows("feed/row.sql", of_feed, ids=[id_], **bound):
        row = Row(id_, stamp, "", None)
        placed = None if stamp is None else source.position(feed, row).stamp
        return Seen(placed, bool(after) and bool(is_passed))
    return None


def waiting(
    source: Source,
    stream: Stream,
    cursor: Cursor | None,
    at_most: int,
    *,
    links_only: bool = False,
) -> int:
    """Count rows and links after a stream's cursor.

    :param at_most: rows of each table are counted until there are so many.
    """
    places: list[tuple[Feed, Position | None]] = []
    if not links_only:
        places.append((stream.rows, cursor.rows if cursor else None))
    if stream.links is not None:
        places.append((stream.links, cursor.links if cursor else None))
    return sum(source.count_changed(feed, after, at_most) for feed, after in places)
