"""The index ``movies``: one ``Movie`` per film, and the streams of changes that lead to films."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from movies_etl.definitions.definition import Feed, Stream
from movies_etl.definitions.documents import STRICT, Id


class Person(TypedDict):
    """A director, actor or writer of one film: a dictionary, as a film has many of them."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

    id: str
    name: str


class Movie(BaseModel):
    """A document of the index ``movies``."""

    model_config = STRICT

    id: Id
    imdb_rating: Annotated[float, Field(allow_inf_nan=False)] | None
    genres: list[str]
    title: str
    description: str | None
    directors_names: list[str]
    actors_names: list[str]
    writers_names: list[str]
    directors: list[Person]
    actors: list[Person]
    writers: list[Person]
    checksum: int


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
