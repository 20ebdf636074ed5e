"""Edits of the catalogue, as an editor of the film site would make them.

Each kind is a function of a connection, in a transaction of the caller's, and of a chance that
decides what is edited. It raises LookupError when there is nothing to edit. A film is saved with
its links, as Django's admin does: a change of them touches `modified` of the film.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
Kind = Callable[[Connection, random.Random], "Edit"]

_ADJECTIVES = ("Quiet", "Crooked", "Northern", "Borrowed", "Amber", "Restless", "Hollow", "Distant")
_NOUNS = ("Harbour", "Orchard", "Signal", "Lantern", "Meridian", "Glacier", "Carousel", "Archive")
_SURNAMES = ("Okafor", "Lindqvist", "Moreau", "Ivanova", "Castellanos", "Takeda", "Brandt")
_CUT = ": Director's Cut"
_ANY_FILM = "SELECT id, title FROM content.film_work WHERE id >= %s ORDER BY id LIMIT 1"
_ANY_GENRE = "SELECT id, name FROM content.genre WHERE id >= %s ORDER BY id LIMIT 1"
_ANY_PERSON = "SELECT id, full_name FROM content.person WHERE id >= %s ORDER BY id LIMIT 1"


@dataclass(frozen=True)
class Edit:
    """What was done, and words to search for that show it in the index."""

    text: str
    words: str


def edit(dsn: str, seed: int | None = None) -> list[Edit]:
    """Rename a person, add a film, change a rating: each in a transaction of its own.

    :param seed: the same seed on the same catalogue makes the same edits.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    done = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for make in (rename_person, add_film, change_rating):
            with connection.transaction():
                done.append(make(connection, chance))
    return done


def rename_person(connection: Connection, chance: random.Random) -> Edit:
    """Give a person of some fame a second surname."""
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
    *given, surname = name.split(" ")
    married = " ".join((*given, f"{surname.split('-')[0]}-{chance.choice(_SURNAMES)}"))
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


def rename_genre(connection: Connection, chance: random.Random) -> Edit:
    """Spell a genre another way, or as before."""
    genre, name = _one(connection, chance, _ANY_GENRE)
    other = name.removesuffix(" Film") if name.endswith(" Film") else f"{name} Film"
    connection.execute(
        "UPDATE content.genre SET name = %s, modified = now() WHERE id = %s", (other, genre)
    )
    return Edit(f"renamed the genre {name} to {other}", other)


def add_film(connection: Connection, chance: random.Random) -> Edit:
    """Add a film with a genre, a director who also wrote it, and a cast of which one is new."""
    title = f"The {chance.choice(_ADJECTIVES)} {chance.choice(_NOUNS)}"
    film = uuid.UUID(int=chance.getrandbits(128), version=4)
    newcomer = f"{chance.choice(('Ada', 'Bruno', 'Chiara', 'Dmitri'))} {chance.choice(_SURNAMES)}"
    person = uuid.UUID(int=chance.getrandbits(128), version=4)
    people = [_one(connection, chance, _ANY_PERSON) for _ in range(3)]
    genre, kind = _one(connection, chance, _ANY_GENRE)
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
        _cast(connection, film, taking_part, role)
    return Edit(f"added the film {title} by {director}, with {newcomer}", f"{title} {newcomer}")


def change_rating(connection: Connection, chance: random.Random) -> Edit:
    """Change the rating of a film that has one."""
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


def rename_film(connection: Connection, chance: random.Random) -> Edit:
    """Make a film its director's cut, or the film that it was."""
    film, title = _one(connection, chance, _ANY_FILM)
    other = title.removesuffix(_CUT) if title.endswith(_CUT) else f"{title}{_CUT}"
    connection.execute(
        "UPDATE content.film_work SET title = %s, modified = now() WHERE id = %s", (other, film)
    )
    return Edit(f"renamed the film {title} to {other}", other)


def add_actor(connection: Connection, chance: random.Random) -> Edit:
    """Add a person to the cast of a film."""
    (film, title), (person, name) = (
        _one(connection, chance, query) for query in (_ANY_FILM, _ANY_PERSON)
    )
    _cast(connection, film, person, "actor")
    _touch(connection, film)
    return Edit(f"added {name} to the cast of {title}", f"{title} {name}")


def remove_person(connection: Connection, chance: random.Random) -> Edit:
    """Remove a person from a film."""
    link, name = _one(
        connection,
        chance,
        """
        SELECT link.id, person.full_name
        FROM content.person_film_work AS link
        JOIN content.person AS person ON person.id = link.person_id
        WHERE link.id >= %s
        ORDER BY link.id LIMIT 1
        """,
    )
    removed = connection.execute(
        "DELETE FROM content.person_film_work WHERE id = %s RETURNING film_work_id", (link,)
    ).fetchone()
    if removed:
        _touch(connection, removed[0])
    return Edit(f"removed {name} from a film", name)


def delete_film(connection: Connection, chance: random.Random) -> Edit:
    """Delete a film with its links."""
    film, title = _one(connection, chance, _ANY_FILM)
    connection.execute("DELETE FROM content.film_work WHERE id = %s", (film,))
    return Edit(f"deleted the film {title}", title)


def _cast(connection: Connection, film: uuid.UUID, person: uuid.UUID, role: str) -> None:
    connection.execute(
        "INSERT INTO content.person_film_work (id, film_work_id, person_id, role)"
        " VALUES (gen_random_uuid(), %s, %s, %s) ON CONFLICT DO NOTHING",
        (film, person, role),
    )


def _touch(connection: Connection, film: uuid.UUID) -> None:
    connection.execute("UPDATE content.film_work SET modified = now() WHERE id = %s", (film,))


def _one(connection: Connection, chance: random.Random, query: str) -> tuple[uuid.UUID, str]:
    """Return the first row from a random key on, else the very first."""
    for start in (uuid.UUID(int=chance.getrandbits(128)), uuid.UUID(int=0)):
        row = connection.execute(query.encode(), (start,)).fetchone()
        if row is not None:
            return row[0], row[1]
    msg = "the catalogue is empty: `python -m local up` loads it"
    raise LookupError(msg)
