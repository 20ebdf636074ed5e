"""A catalogue for tests: written to as a site does, in any of the shapes that sites give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import psycopg
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from psycopg import sql

from tests.support import expected

NIL = "00000000-0000-0000-0000-000000000000"
"""The lowest uuid."""

IDS = (
    *((table, "id") for table in ("film_work", "genre", "person")),
    *(
        (f"{table}_film_work", column)
        for table in ("genre", "person")
        for column in ("id", "film_work_id", f"{table}_id")
    ),
)
"""Every column that holds an id, with its table."""

LONG_AGO = "2020-01-01 00:00:00+00"

_FILL = """
INSERT INTO content.film_work (id, title, description, rating, type, modified)
SELECT md5('film ' || n)::uuid, 'Film ' || n, repeat('About film ' || n || '. ', 20),
    n % 100 / 10.0, 'movie', timestamptz '2020-01-01 00:00:00+00' + n * interval '1 second'
FROM generate_series(1, {films}) AS n;
INSERT INTO content.person (id, full_name, modified)
SELECT md5('person ' || n)::uuid, 'Person ' || n, timestamptz '2020-01-01 00:00:00+00'
FROM generate_series(0, {persons} - 1) AS n;
INSERT INTO content.genre (id, name, modified)
SELECT md5('genre ' || n)::uuid, 'Genre ' || n, timestamptz '2020-01-01 00:00:00+00'
FROM generate_series(0, {genres} - 1) AS n;
INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)
SELECT md5(role || ' of ' || n)::uuid, md5('film ' || n)::uuid,
    md5('person ' || (n * place) % {persons})::uuid, role, timestamptz '2020-01-01 00:00:00+00'
FROM generate_series(1, {films}) AS n,
    (VALUES ('director', 1), ('actor', 7), ('writer', 11)) AS parts (role, place);
INSERT INTO content.genre_film_work (id, film_work_id, genre_id, created)
SELECT md5('genre of ' || n || ' ' || place)::uuid, md5('film ' || n)::uuid,
    md5('genre ' || (n + place) % {genres})::uuid, timestamptz '2020-01-01 00:00:00+00'
FROM generate_series(1, {films}) AS n, generate_series(0, 1) AS place;
"""


class Catalogue:
    """Schema ``content`` of one database.

    :param connection: writes; in autocommit.
    """

    def __init__(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        self.dsn = dsn
        self.connection = connection
        self.reading_dsn = dsn
        self._reader = psycopg.connect(dsn, autocommit=True)
        self.new_id: Callable[[], object] = uuid4

    def close(self) -> None:
        self._reader.close()

    def read_as(self, role: str) -> None:
        """Give the program a session of another role."""
        self._reader.close()
        self.reading_dsn = self.dsn.replace("postgres@", f"{role}@")
        self._reader = psycopg.connect(self.reading_dsn, autocommit=True)

    def source(self, zone: str = "UTC") -> Source:
        """Return a prepared source over a session of its own."""
        return Source.opened(self._reader, MOVIES, Settings(timestamp_zone=zone))

    def execute(self, query: str, *parameters: object) -> psycopg.Cursor[Any]:
        return self.connection.execute(query, parameters)

    def _insert(self, table: str, row: Mapping[str, object]) -> None:
        self.connection.execute(
            sql.SQL("INSERT INTO content.{} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )

    def add_film(self, title: str | None = "A film", **columns: object) -> str:
        film = str(columns.pop("id") if "id" in columns else self.new_id())
        row = {"id": film, "title": title, "type": "movie", "modified": LONG_AGO} | columns
        self._insert("film_work", row)
        return film

    def add_person(self, name: str | None = "Somebody", **columns: object) -> str:
        person = str(columns.pop("id") if "id" in columns else self.new_id())
        self._insert("person", {"id": person, "full_name": name, "modified": LONG_AGO} | columns)
        return person

    def add_genre(self, name: str | None = "Drama", **columns: object) -> str:
        genre = str(columns.pop("id") if "id" in columns else self.new_id())
        self._insert("genre", {"id": genre, "name": name, "modified": LONG_AGO} | columns)
        return genre

    def cast(self, film: str, person: str, role: str | None = "actor", **columns: object) -> None:
        row = {"id": self.new_id(), "film_work_id": film, "person_id": person, "role": role}
        self._insert("person_film_work", row | {"created": LONG_AGO} | columns)

    def label(self, film: str, genre: str, **columns: object) -> None:
        row = {"id": self.new_id(), "film_work_id": film, "genre_id": genre}
        self._insert("genre_film_work", row | {"created": LONG_AGO} | columns)

    def add_small_catalogue(self) -> None:
        """Add a few films that share persons and genres, and one that has none."""
        films = [self.add_film(f"Film {number}", rating=number / 2) for number in range(7)]
        genres = [self.add_genre(name) for name in ("Drama", "Comedy")]
        persons = [self.add_person(name) for name in ("Ann", "Bob", "Cy")]
        for number, film in enumerate(films[:6]):
            self.label(film, genres[number % 2])
            self.cast(film, persons[number % 3], ("director", "actor", "writer")[number % 3])
            self.cast(film, persons[0], "writer")

    def fill(self, films: int) -> None:
        """Add films with a person in each role and two genres, the same ones each time."""
        persons, genres = max(films // 5, 1), 32
        self.connection.execute(
            sql.SQL(_FILL).format(
                films=sql.Literal(films), persons=sql.Literal(persons), genres=sql.Literal(genres)
            )
        )

    def retype(self, table: str, column: str, type_name: str) -> None:
        """Give a column another type, its values kept through text."""
        self.connection.execute(
            f"ALTER TABLE content.{table} ALTER COLUMN {column} DROP DEFAULT,"
            f" ALTER COLUMN {column} TYPE {type_name} USING {column}::text::{type_name}"
        )

    def use_text_ids(self) -> None:
        """Make every id text, as some sites have them."""
        self.drop_constraints("f")
        for table, column in IDS:
            self.retype(table, column, "text")

    def use_ids(self, type_name: str, new_id: Callable[[], object]) -> None:
        """Make every id of this type; the catalogue must be empty.

        :param new_id: the ids that rows are given.
        """
        self.drop_constraints("f")
        for table, column in IDS:
            self.execute(
                f"ALTER TABLE content.{table} ALTER COLUMN {column} DROP DEFAULT,"
                f" ALTER COLUMN {column} TYPE {type_name} USING NULL::{type_name}"
            )
        self.new_id = new_id

    def use_wall_time(self) -> None:
        """Make every stamp a timestamp without time zone."""
        for table in ("film_work", "genre", "person"):
            self.retype(table, "modified", "timestamp")
        for table in ("genre_film_work", "person_film_work"):
            self.retype(table, "created", "timestamp")

    def drop_constraints(self, kinds: str) -> None:
        """Drop the foreign keys (f) or unique constraints (u) of the catalogue."""
        for table, name in self.connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE connamespace = 'content'::regnamespace AND strpos(%s, contype::text) > 0",
            (kinds,),
        ).fetchall():
            self.connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    def expected(self) -> dict[str, dict[str, Any]]:
        """Build every film's document in Python; see :mod:`tests.support.expected`."""
        return expected.movies(self.connection)
