"""The index ``movies``: one document per film, with the names of its persons and genres."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from movies_etl.definitions.column import NUMBER, ROLE, TEXT
from movies_etl.definitions.definition import FanOut, Feed, IndexDefinition, Stream
from movies_etl.definitions.documents import STRICT, IndexedDocument


class Person(TypedDict):
    """A director, actor or writer of one film: a dictionary, as a film has many of them."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

    id: str
    name: str


class Movie(IndexedDocument):
    """A film."""

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


def _linked(name: str) -> Stream:
    """Return the stream of rows that films are linked to: changed ones, and new links."""
    link, key = f"{name}_film_work", f"{name}_id"
    return Stream(
        name=name,
        rows=Feed(name, "modified", root=None),
        links=Feed(link, "created", root="film_work_id"),
        fan_out=FanOut(link, key=key, root="film_work_id"),
    )


FILM_WORK = Stream("film_work", rows=Feed("film_work", "modified", root="id"))
GENRE = _linked("genre")
PERSON = _linked("person")

MOVIES = IndexDefinition(
    name="movies",
    noun="film",
    document=Movie,
    # A film matters more than a surname, a surname more than a genre's name, and genres are few.
    streams=(FILM_WORK, GENRE, PERSON),
    reads={
        "film_work": {"title": TEXT, "description": TEXT, "rating": NUMBER},
        "genre": {"name": TEXT},
        "person": {"full_name": TEXT},
        "person_film_work": {"role": ROLE},
    },
    variables="movies_etl",
)
