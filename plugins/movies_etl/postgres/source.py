"""The catalogue: pages of changed rows, the documents they lead to, and whole documents."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, NamedTuple, Self

import psycopg

from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.postgres import names, timestamps
from movies_etl.postgres.assembly import Assembled, assembled
from movies_etl.postgres.ids import written
from movies_etl.postgres.learning import known_or_learned
from movies_etl.postgres.queries import Names, Queries
from movies_etl.postgres.server import Identity, Server
from movies_etl.settings import Settings
from movies_etl.state.cursors import Position
from movies_etl.state.layout import Layout
from movies_etl.state.visible import Visible

BEGINNING = "0001-01-01T00:00:00.000000+00:00"
"""Below every row of a feed: what is stamped so early is read as undated."""

FETCHED_ROWS = 1000
"""Documents that are fetched together: more of them would only take more memory."""


class Row(NamedTuple):
    """A changed row.

    :param stamp: its time as text in the column's own type, without zone; None when undated.
    :param xmin: the transaction that wrote this version of it.
    :param root: the id of the document that it is or links; None where a fan-out finds documents.
    """

    id: str
    stamp: str | None
    xmin: str
    root: str | None


class IdPage(NamedTuple):
    """Changed root rows.

    :param ids: their ids in keyset order.
    :param last: the position of the last of them.
    """

    ids: list[str]
    last: Position


class Source:
    """The catalogue as one index reads it; see :class:`Queries` for the errors of every method.

    :param queries: over the session.
    :param server: the primary; of the same session, unless rows are read on a replica.
    :param layout: of the catalogue, as it was found.
    """

    def __init__(
        self, queries: Queries, server: Server, definition: IndexDefinition, layout: Layout
    ) -> None:
        self.queries = queries
        self.server = server
        self.definition = definition
        self.layout = layout

    @classmethod
    def opened(
        cls,
        connection: psycopg.Connection[Any],
        definition: IndexDefinition,
        settings: Settings,
        known: Layout | None = None,
    ) -> Self:
        """Put the session in order, and check and learn what the catalogue's columns are.

        :param connection: an open connection to the primary, in autocommit.
        :param known: what was learned before; it is asked again only after a change.
        :raises ConfigurationError: the catalogue does not fit; says all that is wrong.
        """
        queries = Queries(connection, settings.include_dir / "sql", settings.schema_name)
        queries.run("session.sql")
        server = Server(queries, settings.horizon_ignore)
        layout = known_or_learned(known, server, definition, settings)
        return cls(queries, server, definition, layout)

    def identity(self) -> Identity:
        """Return which server, database and tables these are; see :meth:`Server.identity`."""
        version, database = self.server.identity()
        return Identity(version, database.model_copy(update={"tables": self.layout.oids}))

    def visible(self) -> Visible | None:
        """Return what is visible now; None where the role may not know the server well enough."""
        return Visible.of(self.server.cluster(), self.layout.reader)

    def count(self) -> int:
        """Count the root rows: as many documents should be in the index."""
        ((rows,),) = self.queries.rows("root/count.sql", names.of_root(self.definition))
        return int(rows)

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of these root ids that the catalogue has."""
        possible = self.possible(ids)
        if not possible:
            return set()
        root = names.of_root(self.definition)
        return {id_ for (id_,) in self.queries.rows("root/existing.sql", root, ids=possible)}

    def possible(self, texts: Sequence[str]) -> list[str]:
        """Return those of these texts that may be the id of a root row.

        An index may hold ids that are no value of the column's type; a query with one would fail.
        """
        lowest = self.layout.lowest_ids[self.definition.root.rows.table]
        return [one for one in texts if written(one, lowest) == one]

    def below(self, feed: Feed, moment: str) -> Position:
        """Return the position that ends all rows of a feed with a stamp below a moment.

        :param moment: ISO 8601 with zone; brought into the column's own type.
        """
        if feed.table in self.layout.without_zone:
            moment = timestamps.on_the_wall(timestamps.parse(moment), self.layout.zone)
        return Position(stamp=moment, id=self.layout.lowest_ids[feed.table])

    def position(self, feed: Feed, row: Row) -> Position:
        """Return a row's position as cursors keep it, with the zone."""
        if row.stamp is None:
            msg = f"row {row.id} of table {feed.table} has no place in time"
            raise ValueError(msg)
        return self._placed(feed, row.id, row.stamp)

    def _placed(self, feed: Feed, row_id: str, stamp: str) -> Position:
        if feed.table in self.layout.without_zone and self.layout.zone != "UTC":
            return Position(stamp=timestamps.wall_stamp(stamp, self.layout.zone), id=row_id)
        return Position(stamp=f"{stamp}+00:00", id=row_id)

    def changed(
        self, feed: Feed, after: Position | None, upto: Position | None, limit: int | None
    ) -> list[Row]:
        """Read a page of a feed in keyset order.

        :param after: the last row before the page; None is the beginning.
        :param upto: the last position that may be on it; None is the end.
        :param limit: rows per page; None reads all between the bounds.
        """
        bounds = self.between(feed, after, upto)
        return [
            Row._make(row)
            for row in self.queries.rows(
                "feed/page.sql", self._names(feed), **bounds, page_size=limit
            )
            if row[1] is not None  # infinite, with the lowest id: the last ones, and undated
        ]

    def count_changed(self, feed: Feed, after: Position | None, at_most: int | None = None) -> int:
        """Count the rows of a feed after a position.

        :param at_most: rows are counted until there are so many.
        """
        bounds = self.between(feed, after, None)
        return self.queries.count("feed/page.sql", self._names(feed), **bounds, page_size=at_most)

    def above(self, feed: Feed, position: Position, undated: int) -> tuple[int, str | None]:
        """Return two numbers for the row versions above a position and those without a place.

        While they are equal, nothing was added to them, changed or taken away.

        :param undated: rows without a place in time that are looked at, at most.
        """
        bounds = {"after_stamp": position.stamp, "after_id": position.id, "page_size": undated}
        ((rows, digest),) = self.queries.rows("feed/above.sql", self._names(feed), **bounds)
        return rows, digest

    def changed_ids(
        self, feed: Feed, after: Position | None, upto: Position, limit: int
    ) -> IdPage | None:
        """Read the ids of a page of a feed, None after the last; see ``changed``."""
        bounds = self.between(feed, after, upto)
        ((ids, stamp),) = self.queries.rows(
            "feed/ids.sql", self._names(feed), **bounds, page_size=limit
        )
        return IdPage(ids, self._placed(feed, ids[-1], stamp)) if ids else None

    def undated(self, feed: Feed, after: str | None, limit: int) -> list[Row]:
        """Read a page of the rows that no position in time reaches, in the order of their ids."""
        rows = self.queries.rows(
            "feed/undated.sql", self._names(feed), after_id=after, page_size=limit
        )
        return [Row._make(row) for row in rows]

    def last(self, feed: Feed, upto: Position) -> Position | None:
        """Return the last row of a feed at or below a position; None when there is none."""
        bound = {"upto_stamp": upto.stamp, "upto_id": upto.id}
        for row_id, stamp in self.queries.rows("feed/last.sql", self._names(feed), **bound):
            return self._placed(feed, row_id, stamp)
        return None

    def fanned_out(
        self, stream: Stream, rows: Iterable[Row], after: str | None, limit: int
    ) -> list[str]:
        """Return a page of the documents that changed rows are linked to, in the order of ids.

        :param stream: one with a fan-out.
        """
        ids = [row.id for row in rows]
        found = self.queries.rows(
            "feed/fan_out.sql", names.of_fan_out(stream), ids=ids, after_root=after, page_size=limit
        )
        return [root for (root,) in found]

    def lasting(self, feed: Feed, rows: Sequence[Row]) -> list[Row]:  # noqa: ARG002 - a replica's
        """Return those of these row versions that are seen by all that read after this moment."""
        return [*rows]

    def documents(self, ids: Sequence[str]) -> tuple[int, Generator[list[Assembled], None, None]]:
        """Build whole documents from the present state of these root rows, in one snapshot.

        :returns: their version, read before the snapshot, and the documents of those that exist,
            in pieces, to be closed; see :func:`assembled`. The connection may be used between them.
        """
        file = f"{self.definition.name}/documents.sql"
        version = self.server.clock()
        return version, assembled(self.queries, file, FETCHED_ROWS, ids)

    def _names(self, feed: Feed) -> Names:
        return names.of_feed(feed, self.layout.stamps)

    def between(
        self, feed: Feed, after: Position | None, upto: Position | None
    ) -> dict[str, object]:
        """Return the parameters of a query that bound its rows: above a position, up to another."""
        lowest = self.layout.lowest_ids[feed.table]
        return {
            "after_stamp": after.stamp if after else BEGINNING,
            "after_id": after.id if after else lowest,
            "upto_stamp": upto.stamp if upto else "infinity",
            "upto_id": upto.id if upto else lowest,
        }
