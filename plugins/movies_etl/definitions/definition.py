"""What a stream is: the tables that are watched and how their rows lead to documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feed:
    """One table read in the order of one stamp column.

    :param table: the table in schema ``content``.
    :param stamp: the column that orders the feed.
    :param page: the SQL file that reads a page, under ``include/sql``.
    :param undated: the SQL file for rows that no position in time reaches.
    :param last: the SQL file that reads the last row at or below a bound; None for a feed that
        never starts anywhere but at the beginning.
    """

    table: str
    stamp: str
    page: str
    undated: str
    last: str | None = None


@dataclass(frozen=True)
class Stream:
    """A kind of change: of films themselves, or of what films are linked to.

    :param rows: the changed rows.
    :param links: new links, for a stream whose rows are not films themselves.
    :param films: the SQL file that leads from changed rows to films; None where the row is a film.
    """

    name: str
    rows: Feed
    links: Feed | None = None
    films: str | None = None

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The tables that this stream pages through, in the order in which it does."""
        return (self.rows,) if self.links is None else (self.rows, self.links)
