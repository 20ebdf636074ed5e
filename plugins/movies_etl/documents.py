"""What is written: one ``Movie`` a film, validated before it is sent.

The text of a document is assembled by PostgreSQL (``include/sql/documents.sql``) and sent as it
is; these models say whether it may be. They are strict and change nothing, so the validated text
and the sent text are the same.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict

# Names and texts hardly repeat within the cache of strings, keys always do.
_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, cache_strings="keys")

LONGEST_ID = 512


def _of_few_bytes(text: str) -> str:
    if len(text.encode()) > LONGEST_ID:
        msg = f"an id has at most {LONGEST_ID} bytes"
        raise ValueError(msg)
    return text


Id = Annotated[str, Field(min_length=1), AfterValidator(_of_few_bytes)]
"""Elasticsearch takes ids of 1 to 512 bytes, and refuses a whole request for any other."""


class Person(TypedDict):
    """A director, actor or writer of one film: a dictionary, as a film has many of them."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]  # pydantic's way

    id: str
    name: str


class Movie(BaseModel):
    """A document of the index ``movies``."""

    model_config = _STRICT

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


def complaint(error: ValidationError) -> str:
    """Say in one line what is wrong with a document: field, problem and value."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        f" (got {json.dumps(problem['input'], ensure_ascii=False, default=repr)[:80]})"
        for problem in error.errors(include_url=False)[:3]
    ]
    more = error.error_count() - len(problems)
    return "; ".join(problems) + (f"; and {more} more" if more > 0 else "")
