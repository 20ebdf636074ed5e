"""The sample films: rows of the packaged data made into values for the catalogue.

The data are `movies.db` of the Python package bokeh-sampledata 2026.1: 17,472 films from 1940 to
2014, taken from Wikidata on 2026-10-18. They are in the public domain (CC0-1.0); attribution:
Wikidata contributors. The licence lies beside the package's metadata, in `licenses/CC0-1.0.txt`.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from local.descriptions import describe
from local.files import package_folder
from local.names import persons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = uuid.UUID("6f0e3a52-5f0c-4c55-9d3b-1f6d5c1f8a10")
_OLDEST = datetime(2015, 3, 2, 4, 30, tzinfo=UTC)
_IMPORTS = 60  # nightly imports, each 60 days after the one before, the last in 2024
_LAST_EDIT = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR_IN_TITLE = re.compile(r" \((\d{4} )?film\)$")

_QUERY = """
SELECT
    omdb.ID AS number, omdb.Title AS title, omdb.Year AS year, omdb.Released AS released,
    omdb.Runtime AS runtime, omdb.Genre AS genres, omdb.Director AS directors,
    omdb.Writer AS writers, omdb."Cast" AS actors, omdb.Country AS countries,
    omdb.Language AS languages, omdb.Awards AS awards, omdb.Oscars AS oscars,
    tomatoes.Rating AS rating, tomatoes.Reviews AS reviews, tomatoes.BoxOffice AS box_office
FROM omdb INNER JOIN tomatoes ON omdb.ID = tomatoes.ID
ORDER BY omdb.ID
"""


def key(kind: str, name: str) -> str:
    """Return the stable key of a thing: `key("film", "Q83495")`."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


@cache
def stamps(identity: str) -> tuple[datetime, datetime]:
    """Return when a row was created and last modified, a pure function of its key.

    Rows come by imports: all of one import share `created`, and two in three were never touched
    again, so that many rows tie on `modified`. The others were edited at a moment of their own.
    """
    chance = uuid.UUID(identity).int
    created = _OLDEST + timedelta(days=60 * (chance % _IMPORTS))
    chance //= _IMPORTS
    if chance % 3:
        return created, created
    span = int((_LAST_EDIT - created) / timedelta(microseconds=1))
    return created, created + timedelta(microseconds=(chance // 3) % span)


@dataclass(frozen=True)
class Film:
    """One film of the data with its persons and genres.

    `rating` is the average rating of Rotten Tomatoes' critics, from 0 to 10: the data's one column
    on that scale (they have percentages too, which are something else). `released` is the first of
    January where only the year is known.
    """

    number: int
    title: str
    description: str
    released: date
    rating: float | None
    genres: tuple[str, ...]
    directors: tuple[str, ...]
    actors: tuple[str, ...]
    writers: tuple[str, ...]

    @cached_property
    def id(self) -> str:
        """The film's key, made of its number at Wikidata."""
        return key("film", f"Q{self.number}")

    def credits(self) -> Iterator[tuple[str, str]]:
        """Yield (role, person's name), each pair once."""
        for role, names in (
            ("director", self.directors),
            ("actor", self.actors),
            ("writer", self.writers),
        ):
            for name in names:
                yield role, name


def data_file() -> Path:
    """Return the path of the data in the installed package."""
    return package_folder("bokeh_sampledata") / "_data" / "movies.db"


def films(path: Path | None = None) -> list[Film]:
    """Read all films, in the order of their numbers."""
    database = sqlite3.connect(f"{(path or data_file()).as_uri()}?mode=ro", uri=True)
    try:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute(_QUERY)]
    finally:
        database.close()
    for row in rows:
        for column in ("directors", "writers", "actors"):
            row[column] = persons(row[column])
        row["genres"] = [genre for genre in (row["genres"] or "").split(", ") if genre]
    fame = Counter(name for row in rows for name in {*row["actors"], *row["directors"]})
    return [_film(row, fame) for row in rows]


def _film(row: dict[str, Any], fame: Counter[str]) -> Film:
    # The data's casts are alphabetical: the most credited actors come first here.
    actors = sorted(row["actors"], key=lambda name: (-fame[name], name))
    row |= {"title": _YEAR_IN_TITLE.sub("", row["title"]), "actors": actors}
    return Film(
        number=row["number"],
        title=row["title"],
        description=describe(row),
        released=date.fromisoformat(row["released"]),
        rating=row["rating"],
        genres=tuple(row["genres"]),
        directors=tuple(row["directors"]),
        actors=tuple(actors),
        writers=tuple(row["writers"]),
    )
