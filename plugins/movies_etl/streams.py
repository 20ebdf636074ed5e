"""What is watched: the three streams of changes and how each leads to films."""

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


def _linked(name: str) -> Stream:
    return Stream(
        name=name,
        rows=Feed(
            table=name,
            stamp="modified",
            page=f"{name}/changed.sql",
            undated=f"{name}/undated.sql",
            last=f"{name}/last.sql",
        ),
        links=Feed(
            table=f"{name}_film_work",
            stamp="created",
            page=f"{name}/links.sql",
            undated=f"{name}/undated_links.sql",
            last=f"{name}/last_link.sql",
        ),
        films=f"{name}/films.sql",
    )


FILM_WORK = Stream(
    name="film_work",
    rows=Feed("film_work", "modified", "film_work/changed.sql", "film_work/undated.sql"),
)
GENRE = _linked("genre")
PERSON = _linked("person")

STREAMS = (FILM_WORK, GENRE, PERSON)
"""In the order of a run: a film matters more than a surname, a surname more than a genre's name,
and genres are few."""
