"""Documents as PostgreSQL assembles them: their text, with the checksum of it."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from tests.simulation.postgres import ROLES

if TYPE_CHECKING:
    from tests.simulation.postgres import Film, Postgres


def document(
    postgres: Postgres, film: Film, genres: dict[str, str], persons: dict[str, str]
) -> bytes:
    """Assemble a document's text in UTF-8, as ``documents.sql`` does."""
    cast: dict[str, set[tuple[str, str]]] = {role: set() for role in ROLES}
    for link in postgres.tables["person_film_work"].values():
        if link.film == film.id and link.role in cast:
            cast[link.role].add((persons[link.other], link.other))
    labels = {
        genres[link.other]
        for link in postgres.tables["genre_film_work"].values()
        if link.film == film.id
    }
    rating = "NaN" if film.rating != film.rating else film.rating
    people = [tuple(sorted(people)) for people in cast.values()]
    return _document(film.id, film.title, film.description, rating, tuple(sorted(labels)), *people)


@lru_cache(1000)
def _document(
    film: str,
    title: str,
    description: str | None,
    rating: float | str | None,
    genres: tuple[str, ...],
    *cast: tuple[tuple[str, str], ...],
) -> bytes:
    people = dict(zip(ROLES, cast, strict=True))
    body = {
        "id": film,
        "imdb_rating": rating,
        "genres": genres,
        "title": title,
        "description": description,
        **{f"{role}s_names": [name for name, _ in people[role]] for role in ROLES},
        **{f"{role}s": [{"id": key, "name": name} for name, key in people[role]] for role in ROLES},
    }
    text = json.dumps(body, separators=(",", ":"))[:-1]
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8]
    return f'{text},"checksum":{int.from_bytes(digest, signed=True)}}}'.encode()
