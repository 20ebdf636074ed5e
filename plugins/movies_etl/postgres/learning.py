"""What the catalogue's columns are: learned at first, and again after a change."""

from __future__ import annotations

from itertools import starmap

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.layout import FoundColumn, by_table, layout_of, stamps_of
from movies_etl.postgres.schema import problems_of
from movies_etl.postgres.server import Server
from movies_etl.settings import Settings
from movies_etl.state.layout import Layout
from movies_etl.state.visible import Visible


def known_or_learned(
    known: Layout | None, server: Server, definition: IndexDefinition, settings: Settings
) -> Layout:
    """Return the catalogue's layout: the known one while nothing changed, else as it is now.

    :param known: what was learned before; None where nothing was.
    :raises ConfigurationError: the catalogue does not fit; says all that is wrong.
    """
    if known is not None and _is_unchanged(known, server, definition, settings):
        return known
    return _learned(server, definition, settings)


def _learned(server: Server, definition: IndexDefinition, settings: Settings) -> Layout:
    """Read the catalogue's columns, and refuse those that do not fit."""
    queries = server.queries
    cluster = server.cluster_at_opening  # before the columns: a later change of them then shows
    rows = queries.rows("columns.sql", schema=settings.schema_name)
    found = by_table(starmap(FoundColumn, rows))
    if problems := problems_of(found, definition, settings, queries.connection.info.user):
        raise ConfigurationError(
            f"Database {queries.database} (connection movies_postgres) does not fit: "
            f"{'; '.join(problems)}. Correct this, or point the connection to the film "
            "catalogue."
        )
    layout = layout_of(found, definition, settings)
    return layout.model_copy(update={"visible": Visible.of(cluster, layout.reader)})


def _is_unchanged(
    known: Layout, server: Server, definition: IndexDefinition, settings: Settings
) -> bool:
    """Whether the definition's tables, their columns and the settings are as they were."""
    if known.oids.keys() != {feed.table for one in definition.streams for feed in one.feeds}:
        return False
    if known.settings != (settings.schema_name, stamps_of(settings), settings.timestamp_zone):
        return False
    if known.visible and known.visible == Visible.of(server.cluster_at_opening, known.reader):
        return True
    if known.is_earlier:
        return False
    queries = server.queries
    try:
        rows = queries.rows("tables.sql", schema=settings.schema_name, tables=[*known.oids])
    except ConfigurationError:  # the schema may not be used any more; the columns tell what to do
        return False
    return dict(rows) == {oid: known.altered_by[table] for table, oid in known.oids.items()}
