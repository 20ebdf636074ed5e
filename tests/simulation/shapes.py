"""The two shapes that an index has in the histories: which table is its root, what leads to it.

``movies``: films, found by genres and persons, whose rows only fan out. ``persons``: persons, whose
links are the root's own, found by films: the fan-out goes the other way round.
"""

from __future__ import annotations

from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS

from tests.simulation.postgres import Film, Link, Named
from tests.support.divergence import POISON, is_refused

DESCRIPTION = "long enough for a body of a thousand bytes to hold few films " * 4
LONG_NAME = " with a name as long as the rest of a film's document" * 8

Root = Film | Named


class Shape(NamedTuple):
    """An index, as the histories see it.

    :param definition: the index.
    :param root: the table whose rows are its documents.
    :param text: the field of a document that shows the row's name.
    :param linked: the tables whose rows lead to documents.
    :param padding: makes names of root rows so long that a body holds few documents.
    """

    definition: IndexDefinition
    root: str
    text: str
    linked: tuple[str, ...]
    padding: str

    @property
    def has_links(self) -> bool:
        """Whether the root's own stream follows the links."""
        return self.definition.root.links is not None

    def link_table(self, linked: str) -> str:
        """Return the table that links the rows of a table with documents."""
        return f"{self.root if self.has_links else linked}_film_work"

    def link(self, key: str, root: str, linked: str) -> Link:
        """Return a link between a document and a row that leads to it, not stamped yet."""
        film, other = (linked, root) if self.has_links else (root, linked)
        return Link(key, None, "", film, other, "actor")

    def is_refused(self, row: Root) -> bool:
        """Whether a root row's document is refused, by the program or by Elasticsearch."""
        return is_refused({self.text: row.name, "imdb_rating": getattr(row, "rating", None)})

    def bad(self, row: Root) -> Root:
        """Return a root row with a change that the program's model refuses."""
        if isinstance(row, Film):
            return row._replace(rating=float("nan"))
        return row._replace(name=None)

    def good(self, row: Root) -> Root:
        """Return a root row that is refused by nobody."""
        name = row.id if row.name is None or row.name.startswith(POISON) else row.name
        if isinstance(row, Film):
            return row._replace(name=name, rating=1.5)
        return row._replace(name=name)


def row(table: str, key: str, name: str) -> Root:
    """Return a new row of a table with a name, not stamped yet."""
    if table == "film_work":
        return Film(key, None, "", name, None, DESCRIPTION)
    return Named(key, None, "", name)


OF_MOVIES = Shape(MOVIES, "film_work", "title", ("genre", "person"), "")
OF_PERSONS = Shape(PERSONS, "person", "full_name", ("film_work",), LONG_NAME)


def shape_of(seed: int) -> Shape:
    """Return the shape of a history: that of persons in one of four."""
    return OF_PERSONS if seed % 4 == 3 else OF_MOVIES
