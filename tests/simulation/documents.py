"""Documents as PostgreSQL assembles them: their text, with the checksum of it."""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from tests.simulation.postgres import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.postgres import Film, Named, Postgres


def movie(postgres: Postgres, film: Film, genres: dict[str, str], persons: dict[str, str]) -> bytes:
    """Assemble a film's document as text in UTF-8, as ``movies/documents.sql`` does."""
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
    return _movie(film.id, film.name, film.description, rating, tuple(sorted(labels)), *people)


@lru_cache(1000)
def _movie(
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
    return _with_checksum(body)


def person(postgres: Postgres, one: Named, films: dict[str, Film]) -> bytes:
    """Assemble a person's document as text in UTF-8, as ``persons/documents.sql`` does."""
    roles: dict[str, set[str]] = {}
    for link in postgres.tables["person_film_work"].values():
        if link.other == one.id and link.role in ROLES:
            roles.setdefault(link.film, set()).add(link.role)
    parts = sorted((films[film].name, film) for film in roles)
    shown = [
        (film, title, _number(films[film].rating), *sorted(roles[film])) for title, film in parts
    ]
    return _person(one.id, one.name, tuple(shown))


def _number(rating: float | str | None) -> float | str | None:
    return None if isinstance(rating, float) and math.isnan(rating) else rating


@lru_cache(1000)
def _person(key: str, name: str | None, films: tuple[tuple[object, ...], ...]) -> bytes:
    shown = [
        {"id": film, "title": title, "imdb_rating": rating, "roles": roles}
        for film, title, rating, *roles in films
    ]
    return _with_checksum({"id": key, "full_name": name, "films": shown})


def _with_checksum(body: Mapping[str, object]) -> bytes:
    text = json.dumps(body, separators=(",", ":"))[:-1]
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8]
    return f'{text},"checksum":{int.from_bytes(digest, signed=True)}}}'.encode()
