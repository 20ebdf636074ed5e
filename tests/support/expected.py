"""What each index should hold, built in Python, table by table.

Nothing here is shared with the program: neither its SQL nor its models.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
Rows = Iterable[tuple[Any, ...]]
Documents = dict[str, dict[str, Any]]

ROLES = ("director", "actor", "writer")


def movies(connection: Connection) -> Documents:
    """Build every film's document."""
    people = connection.execute(
        "SELECT l.film_work_id, l.role::text, p.id, p.full_name::text"
        " FROM content.person_film_work l, content.person p"
        " WHERE l.person_id = p.id AND p.full_name IS NOT NULL"
    )
    genres = connection.execute(
        "SELECT l.film_work_id, g.name::text"
        " FROM content.genre_film_work l, content.genre g"
        " WHERE l.genre_id = g.id AND g.name IS NOT NULL"
    )
    films = connection.execute(
        "SELECT id, title::text, description::text, rating FROM content.film_work"
    )
    return movies_of(films, people, genres)


def movies_of(films: Rows, people: Rows, genres: Rows) -> Documents:
    """Build films' documents.

    :param films: id, title, description and rating of each.
    :param people: film, role, person and name of each link.
    :param genres: film and name of each link.
    """
    cast: dict[object, dict[str, set[tuple[str, object]]]] = defaultdict(lambda: defaultdict(set))
    for film, role, person, name in people:
        cast[film][role].add((name, person))
    labels: dict[object, set[str]] = defaultdict(set)
    for film, name in genres:
        labels[film].add(name)
    documents = {}
    for film, title, description, rating in films:
        document: dict[str, Any] = {
            "id": str(film),
            "imdb_rating": None if rating is None else float(rating),
            "genres": _in_byte_order(labels[film]),
            "title": title,
            "description": description,
        }
        for role in ROLES:
            listed = _in_byte_order(cast[film][role])
            document[f"{role}s_names"] = [name for name, _ in listed]
            document[f"{role}s"] = [{"id": str(key), "name": name} for name, key in listed]
        documents[str(film)] = document
    return documents


def genres(connection: Connection) -> Documents:
    """Build every genre's document."""
    return {
        str(genre): {"id": str(genre), "name": name, "description": description}
        for genre, name, description in connection.execute(
            "SELECT id, name::text, description::text FROM content.genre"
        )
    }


def persons(connection: Connection) -> Documents:
    """Build every person's document."""
    return persons_of(
        connection.execute("SELECT id, full_name::text FROM content.person"),
        connection.execute(
            "SELECT person_id, film_work_id, role::text FROM content.person_film_work"
        ),
        connection.execute("SELECT id, title::text, rating FROM content.film_work"),
    )


def persons_of(people: Rows, cast: Rows, films: Rows) -> Documents:
    """Build persons' documents, films by title and id.

    :param people: id and name of each.
    :param cast: person, film and role of each link.
    :param films: id, title and rating of each.
    """
    shown = {
        film: (title, float(rating) if rating is not None and math.isfinite(rating) else None)
        for film, title, rating in films
        if title is not None
    }
    roles: dict[object, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))
    for person, film, role in cast:
        if role in ROLES and film in shown:
            roles[person][film].add(role)
    documents = {}
    for person, name in people:
        ordered = sorted(roles[person], key=lambda film: (shown[film][0].encode(), film))
        documents[str(person)] = {
            "id": str(person),
            "full_name": name,
            "films": [
                {
                    "id": str(film),
                    "title": shown[film][0],
                    "imdb_rating": shown[film][1],
                    "roles": sorted(roles[person][film]),
                }
                for film in ordered
            ],
        }
    return documents


EXPECTED: dict[str, Callable[[Connection], Documents]] = {
    "movies": movies,
    "genres": genres,
    "persons": persons,
}


def _in_byte_order(values: set[Any]) -> list[Any]:
    def key(value: Any) -> Any:
        parts = value if isinstance(value, tuple) else (value,)
        return [part.encode() if isinstance(part, str) else part for part in parts]

    return sorted(values, key=key)
