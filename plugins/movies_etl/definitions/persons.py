"""The index ``persons``: one document per person, with the films that the person took part in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from movies_etl.definitions.column import NUMBER, ROLE, TEXT
from movies_etl.definitions.definition import FanOut, Feed, IndexDefinition, Stream
from movies_etl.definitions.documents import STRICT, IndexedDocument


class Film(TypedDict):
    """A film of one person.

    :param roles: what the person was in it: ``actor``, ``director``, ``writer``.
    """

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's way

    id: str
    title: str
    imdb_rating: Annotated[float, Field(allow_inf_nan=False)] | None
    roles: list[str]


class Person(IndexedDocument):
    """A person."""

    full_name: str
    films: list[Film]


PERSONS = IndexDefinition(
    name="persons",
    noun="person",
    document=Person,
    streams=(
        Stream(
            "person",
            rows=Feed("person", "modified", root="id"),
            links=Feed("person_film_work", "created", root="person_id"),
        ),
        Stream(
            "film_work",
            rows=Feed("film_work", "modified", root=None),
            fan_out=FanOut("person_film_work", key="film_work_id", root="person_id"),
        ),
    ),
    reads={
        "person": {"full_name": TEXT},
        "person_film_work": {"role": ROLE},
        "film_work": {"title": TEXT, "rating": NUMBER},
    },
)
