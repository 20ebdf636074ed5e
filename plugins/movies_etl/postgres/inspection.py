"""What ``init`` finds in a catalogue that fits: what makes runs slow, or documents incomplete."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

from movies_etl.definitions.column import Column
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.indexes import missing_indexes
from movies_etl.postgres.layout import LOWEST_IDS
from movies_etl.postgres.names import spelled
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import in_utc, parse
from movies_etl.settings import variable
from movies_etl.state.database import Database

log = logging.getLogger(__name__)

OLDEST_POSTGRESQL = 12_00_00
FUTURE_WORTH_A_WARNING = timedelta(minutes=10)
_CORRECT = "Correct the rows, or change documents.sql and the declaration of the column"


def checked_database(source: Source) -> Database:
    """Return which database this is.

    :raises ConfigurationError: the server is too old, or rows have no id to be read by.
    """
    found, database = source.identity()
    if found < OLDEST_POSTGRESQL:
        raise ConfigurationError(
            f"The server of connection movies_postgres is PostgreSQL {found // 10000}; version "
            f"{OLDEST_POSTGRESQL // 10000} or newer is needed."
        )
    for table in source.layout.idless:
        _refuse_rows_without_id(source, table)
    if source.layout.without_zone:
        log.info(
            "Columns without time zone (in %s) are taken as %s (%s)",
            ", ".join(source.layout.without_zone),
            source.layout.zone,
            variable("timestamp_zone"),
        )
    return database


def _refuse_rows_without_id(source: Source, table: str) -> None:
    ((found,),) = source.queries.rows("check/without_id.sql", {"table": table})
    if not found:
        return
    name = spelled(source.queries.schema, table)
    is_uuid = source.layout.lowest_ids[table] == LOWEST_IDS["uuid"]
    update = f"UPDATE {name} SET id = {'gen_random_uuid()' if is_uuid else '...'}"  # noqa: S608 - told
    raise ConfigurationError(
        f"{name} has rows without id (connection movies_postgres), and rows are read in the order "
        f"of their ids. Give them one: {update} WHERE id IS NULL; {_key(name)}."
    )


def _key(name: str) -> str:
    return f"ALTER TABLE {name} ALTER id SET NOT NULL, ADD UNIQUE (id)"


def notices_of(source: Source) -> list[str]:
    """Say what an operator should know, one sentence and the next step each."""
    return [
        *_missing_indexes(source),
        *_ids_that_may_be_of_several_rows(source),
        *_values_that_no_document_shows(source),
        *_replication(source),
        *_stamps_in_the_future(source),
    ]


def _missing_indexes(source: Source) -> Iterator[str]:
    statements = missing_indexes(
        source.server.indexes(), source.definition, source.queries.schema, source.layout
    )
    if statements:
        yield (
            "The catalogue lacks indexes, so reading will be slow. The owner of its tables makes "
            f"them by: {'; '.join(statements)}"
        )


def _ids_that_may_be_of_several_rows(source: Source) -> Iterator[str]:
    for table in source.layout.ambiguous:
        if table in source.layout.partitioned:  # its keys contain the partition's columns
            continue
        name = spelled(source.queries.schema, table)
        yield (
            f"Nothing makes the ids of {name} unique: of rows that share an id and a time all but "
            f"one may be missed. Make them so: {_key(name)}"
        )


def _values_that_no_document_shows(source: Source) -> Iterator[str]:
    for table, columns in source.definition.reads.items():
        for name, column in columns.items():
            if column.known:
                yield from _unknown_values(source, table, name, column)


def _unknown_values(source: Source, table: str, name: str, column: Column) -> Iterator[str]:
    names: dict[str, str | None] = {"table": table, "field": name}
    where = spelled(source.queries.schema, table, name)
    shown = ", ".join(column.known)
    ((found,),) = source.queries.rows("check/known_value.sql", names, known_values=[*column.known])
    if not found:
        values = [value for (value,) in source.queries.rows("check/values.sql", names)]
        if values:
            yield (
                f"No row of {where} has a value that documents show ({shown}), so none of these "
                f"rows appears in a document. The values are {_quoted(values)}. {_CORRECT}"
            )
        return
    common = source.queries.rows(
        "check/common_values.sql", schema=source.queries.schema, table=table, field=name
    )
    others = [value for (value,) in common if value not in column.known]
    if alike := [value for value in others if value.strip().casefold() in column.known]:
        yield (
            f"Rows of {where} appear in no document because of their spelling: {_quoted(alike)}. "
            f"Documents show {shown}. {_CORRECT}"
        )


def _stamps_in_the_future(source: Source) -> Iterator[str]:
    """Say where stamps lie in the future: the assumed zone is probably wrong."""
    now = parse(source.server.now())
    soon, tomorrow = in_utc(now + FUTURE_WORTH_A_WARNING), in_utc(now + timedelta(days=1))
    for stream in source.definition.streams:
        feed = stream.rows
        if feed.table in source.layout.without_zone and source.changed(
            feed, source.below(feed, soon), source.below(feed, tomorrow), limit=1
        ):
            yield (
                f"Table {feed.table} has rows whose stamps lie in the future if they are "
                f"{source.layout.zone} time. Set {variable('timestamp_zone')} to the zone that the "
                "site writes"
            )


def _quoted(values: list[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _replication(source: Source) -> Iterator[str]:
    rows = source.queries.rows(
        "check/subscriptions.sql", schema=source.queries.schema, tables=[*source.layout.oids]
    )
    if names := [name for (name,) in rows]:
        setting = variable("horizon_margin")
        yield (
            f"Database {source.queries.database} gets its rows by logical replication "
            f"(subscription {', '.join(names)}): a row arrives when its transaction on the "
            "publisher has ended, with the time at which it was written, and may be missed. Point "
            f"movies_postgres to the publisher, or set {setting} to more seconds than the longest "
            "transaction there and the replication's delay take together"
        )
