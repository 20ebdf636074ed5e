"""Identifiers: those that a declaration puts into a query, and as statements spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from psycopg import sql

from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.postgres.layout import LOWEST_IDS
from movies_etl.postgres.queries import Names

_PLAIN = re.compile("[a-z_][a-z0-9_]*")
_HASHES = {
    LOWEST_IDS["uuid"]: "uuid_hash_extended",
    LOWEST_IDS["text"]: "hashtextextended",
}
"""PostgreSQL's functions by the lowest id of a type; the other types are whole numbers."""


def spelled(*parts: str) -> str:
    """Write a name as a statement needs it: with its schema, and quoted where it has to be."""
    return ".".join(
        part if _PLAIN.fullmatch(part) else sql.Identifier(part).as_string() for part in parts
    )


def of_feed(feed: Feed, stamps: Mapping[str, str]) -> Names:
    """Return the names of the queries ``feed/*.sql``, but for the fan-out.

    :param stamps: what the catalogue calls the columns ``modified`` and ``created``.
    """
    return {"table": feed.table, "stamp": stamps[feed.stamp], "root": feed.root}


def of_fan_out(stream: Stream) -> Names:
    """Return the names of ``feed/fan_out.sql``.

    :raises ValueError: the stream's rows are documents themselves.
    """
    if stream.fan_out is None:
        msg = f"rows of {stream.name} are documents themselves"
        raise ValueError(msg)
    return {"table": stream.rows.table, **vars(stream.fan_out)}


def of_root(definition: IndexDefinition) -> Names:
    """Return the names of the queries ``root/*.sql``."""
    return {"table": definition.root.rows.table}


def of_words(definition: IndexDefinition) -> Names:
    """Return the names of the query that finds rows by words of their text."""
    return {**of_root(definition), "text": definition.text_column}


def of_hashed(table: str, root: str, lowest: str) -> Names:
    """Return the names of the queries ``trace/*.sql`` that divide documents by a hash of ids.

    :param table: a link table, or the root table.
    :param root: its column of the document's id.
    :param lowest: the lowest id of that column's type.
    """
    return {"table": table, "root": root, "hash": _HASHES.get(lowest, "hashint8extended")}
