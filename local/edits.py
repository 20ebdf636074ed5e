"""A few edits of the catalogue, as an editor of the film site would make them."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

_ADJECTIVES = ("Quiet", "Crooked", "Northern", "Borrowed", "Amber", "Restless", "Hollow", "Distant")
_NOUNS = ("Harbour", "Orchard", "Signal", "Lantern", "Meridian", "Glacier", "Carousel", "Archive")
_SURNAMES = ("Okafor", "Lindqvist", "Moreau", "Ivanova", "Castellanos", "Takeda", "Brandt")


@dataclass(frozen=True)
class Edit:
    """What was done, and words to search for that show it in the index."""

    text: str
    words: str


def edit(dsn: str, seed: int | None = None) -> list[Edit]:
    """Rename a person, add a film, change a rating: each in a transaction of its own.

    :param seed: the same seed on the same catalogue makes the same edits.

    Raises LookupError when the catalogue is empty.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    edits: tuple[Callable[[psycopg.Connection[Any], random.Random], Edit], ...] = (
        _rename_person,
        _add_film,
        _change_rating,
    )
    done = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for make in edits:
            with connection.transaction():
                done.append(make(connection, chance))
    return done


def _rename_person(connection: psycopg.Connection[Any], chance: random.Random) -> Edit:
    person, name = _one(
        connection,
        chance,
        """
        SELECT id, full_name FROM content.person
        WHERE (SELECT count(*) FROM content.person_film_work AS link
               WHERE link.person_id = person.id) BETWEEN 5 AND 40
          AND id >= %s
        ORDER BY id LIMIT 1
        """,
    )
    married = f"{name}-{chance.choice(_SURNAMES)}"
    films = connection.execute(
        "SELECT count(DISTINCT film_work_id) FROM content.person_film_work WHERE person_id = %s",
        (person,),
    ).fetchone()
    connection.execute(
        "UPDATE content.person SET full_name = %s, modified = now() WHERE id = %s",
        (married, person),
    )
    number = films[0] if films else 0
    return Edit(f"renamed {name} to {married}, who took part in {number} films", married)


def _add_film(connection: psycopg.Connection[Any], chance: random.Random) -> Edit:
    title = f"The {chance.choice(_ADJECTIVES)} {chance.choice(_NOUNS)}"
    film = uuid.UUID(int=chance.getrandbits(128), version=4)
    newcomer = f"{chance.choice(('Ada', 'Bruno', 'Chiara', 'Dmitri'))} {chance.choice(_SURNAMES)}"
    person = uuid.UUID(int=chance.getrandbits(128), version=4)
    people = [_one(connection, chance, _ANY_PERSON) for _ in range(3)]
    genre, kind = _one(
        connection, chance, "SELECT id, name FROM content.genre WHERE id >= %s ORDER BY id LIMIT 1"
    )
    director = people[0][1]
    description = (
        f"A new {kind.lower()} film by {director}, with {newcomer} in a first leading part."
    )
    connection.execute(
        "INSERT INTO content.film_work (id, title, description, creation_date, rating, type)"
        " VALUES (%s, %s, %s, current_date, %s, 'movie')",
        (film, title, description, round(chance.uniform(5, 9), 1)),
    )
    connection.execute(
        "INSERT INTO content.person (id, full_name) VALUES (%s, %s)", (person, newcomer)
    )
    connection.execute(
        "INSERT INTO content.genre_film_work (id, film_work_id, genre_id)"
        " VALUES (gen_random_uuid(), %s, %s)",
        (film, genre),
    )
    roles = {(people[0][0], "director"), (people[0][0], "writer"), (person, "actor")}
    roles |= {(other, "actor") for other, _ in people[1:]}
    for taking_part, role in roles:
        connection.execute(
            "INSERT INTO content.person_film_work (id, film_work_id, person_id, role)"
            " VALUES (gen_random_uuid(), %s, %s, %s)",
            (film, taking_part, role),
        )
    return Edit(f"added the film {title} by {director}, with {newcomer}", f"{title} {newcomer}")


def _change_rating(connection: psycopg.Connection[Any], chance: random.Random) -> Edit:
    film, title = _one(
        connection,
        chance,
        """
        SELECT id, title FROM content.film_work
        WHERE rating IS NOT NULL AND id >= %s ORDER BY id LIMIT 1
        """,
    )
    rating = round(chance.uniform(1, 10), 1)
    connection.execute(
        "UPDATE content.film_work SET rating = %s, modified = now() WHERE id = %s", (rating, film)
    )
    return Edit(f"changed the rating of {title} to {rating}", title)


_ANY_PERSON = "SELECT id, full_name FROM content.person WHERE id >= %s ORDER BY id LIMIT 1"


def _one(
    connection: psycopg.Connection[Any], chance: random.Random, query: str
) -> tuple[uuid.UUID, str]:
    """Return the first row from a random key on, else the very first."""
    for start in (uuid.UUID(int=chance.getrandbits(128)), uuid.UUID(int=0)):
        row = connection.execute(query.encode(), (start,)).fetchone()
        if row is not None:
            return row[0], row[1]
    msg = "the catalogue is empty: `python -m local up` loads it"
    raise LookupError(msg)
