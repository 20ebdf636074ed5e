"""Catalogues of other shapes than the usual: ids, texts, numbers, names of columns and schema."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError
from movies_etl.es.outcome import Outcome
from movies_etl.state.cursors import Cursor
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counters import Counters
from movies_etl.sync.loader import Loader
from psycopg import sql

from tests.support.indices import each_index, over
from tests.support.site import MemoryCursors, Site, sent

# -- ids -------------------------------------------------------------------------------------------


def texts() -> Callable[[], object]:
    """Return ids of any length, with characters that need care."""
    number = count()
    return lambda: f"{'x' * random.randint(0, 40)} {next(number)}\\ \"{{a,b}}' Ж%"  # noqa: S311


def numbers(bits: int) -> Callable[[], object]:
    """Return ids from both ends of the range and between, each once."""
    known = [-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1, 0, -1, 9, 10]

    def new() -> object:
        if known:
            return known.pop()
        return random.randint(-(2 ** (bits - 1)) + 2, 2 ** (bits - 1) - 2)  # noqa: S311

    return new


KINDS: dict[str, Callable[[], Callable[[], object]]] = {
    "text": texts,
    "integer": lambda: numbers(32),
    "bigint": lambda: numbers(64),
}


@pytest.fixture(params=KINDS)
def keyed(site: Site, request: pytest.FixtureRequest) -> Site:
    """A site of twenty films with ids of a kind; pages of three, a few bodies for each."""
    site.configure(page_size=3, bulk_bytes=1_000, senders=1)
    site.use_ids(request.param, KINDS[request.param]())
    genres = [site.add_genre(name) for name in ("Drama", "Comedy")]
    persons = [site.add_person(name) for name in ("Ann", "Ann", *"BCDEFGHIJ")]
    for number in range(20):
        film = site.add_film(f"Film {number % 7}", rating=number / 4)
        site.label(film, genres[number % 2])
        site.cast(film, persons[number % 11], ("director", "actor")[number % 2])
        site.cast(film, persons[number % 2], "writer")
    return site


def touch(site: Site, table: str, change: str, where: str = "true") -> None:
    site.execute(f"UPDATE content.{table} SET {change}, modified = now() WHERE {where}")


@each_index
def test_a_catalogue_with_ids_of_each_kind_is_loaded_and_followed(keyed: Site) -> None:
    roots = keyed.execute(f"SELECT count(*) FROM content.{keyed.table}").fetchall()[0][0]
    assert sent(keyed.run()) == roots
    keyed.assert_equal()
    assert sent(keyed.run()) == 0

    keyed.change("Changed", f"{keyed.text} IN ('Film 1', 'Drama', 'B')")
    touch(keyed, "genre", "name = 'Noir'", "name = 'Comedy'")
    touch(keyed, "person", "full_name = 'Zoe'", "full_name = 'Ann'")
    touch(keyed, "film_work", "title = 'Other', rating = 1", "title = 'Film 2'")
    assert sent(keyed.run()) > 0
    keyed.assert_equal()
    assert sent(keyed.run()) == 0

    lonely = keyed.add_film("Lonely", modified="now()")
    keyed.run()
    keyed.label(lonely, keyed.add_genre("Western", modified="now()"), created="now()")
    keyed.cast(lonely, keyed.add_person("Cy", modified="now()"), "writer", created="now()")
    keyed.run()
    keyed.assert_equal()
    assert sent(keyed.run()) == 0


@pytest.mark.long
@each_index
def test_rows_above_the_horizon_are_followed_with_ids_of_each_kind(keyed: Site) -> None:
    keyed.run()
    for number, modified in enumerate(("2099-01-01", None, "infinity")):
        for table, column in (("genre", "name"), ("person", "full_name"), ("film_work", "title")):
            change = f"{column} = {column} || {number}, modified = %s"
            keyed.execute(f"UPDATE content.{table} SET {change}", modified)
        for table in ("genre_film_work", "person_film_work"):
            keyed.execute(f"UPDATE content.{table} SET created = %s", modified)
        keyed.run()
        keyed.assert_equal()
        assert sent(keyed.run()) == 0


class KilledError(Exception):
    """The process is gone."""


class Dying(MemoryCursors):
    """Cursors whose process ends just after a save.

    :param last: whether this save is the last.
    """

    def __init__(self, texts: dict[str, str], last: Callable[[Cursor], object]) -> None:
        super().__init__(texts)
        self._last = last

    def save(self, stream: str, cursor: Cursor) -> None:
        super().save(stream, cursor)
        if self._last(cursor):
            raise KilledError


def killed(site: Site, last: Callable[[Cursor], object]) -> None:
    """Run until a save; what comes after has the cursors that were kept."""
    site.cursors = Dying(site.cursors.texts, last)
    with pytest.raises(KilledError):
        site.run()
    site.cursors = MemoryCursors(site.cursors.texts)


@pytest.mark.long
@over(MOVIES, PERSONS)
def test_killed_loads_and_fan_outs_go_on_with_ids_of_each_kind(
    keyed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = Loader.settled

    def at_once(loader: Loader[Cursor], settle: Callable[[Outcome], None], **_: bool) -> object:
        return settled(loader, settle, everything=True)  # so that each cursor is saved

    monkeypatch.setattr(Loader, "settled", at_once)
    killed(keyed, lambda cursor: cursor.rows and cursor.horizon is None)
    keyed.run()
    keyed.assert_equal()
    for turn in range(2):
        touch(keyed, "genre", f"name = name || {turn}")
        touch(keyed, "film_work", f"title = title || {turn}", "title LIKE 'Film 1%%'")
        touch(keyed, "person", f"full_name = full_name || {turn}")
        killed(keyed, lambda cursor: cursor.fan_out and cursor.fan_out.after_root)
        keyed.run()
        keyed.assert_equal()
    assert sent(keyed.run()) == 0


def test_documents_are_asked_for_and_replayed_by_ids_of_each_kind(keyed: Site) -> None:
    keyed.run()
    film = min(keyed.versions())
    assert keyed.run(asked=RunParams(ids=[film]))["film_work"].indexed == 1
    keyed.add_film("NaN", rating="NaN", modified="now()")
    keyed.run()
    keyed.execute("UPDATE content.film_work SET rating = 5 WHERE rating = 'NaN'")
    assert keyed.run(asked=RunParams(replay=["all"]))["film_work"].indexed == 1
    assert keyed.letters() == {}
    keyed.assert_equal()


# -- texts and numbers -----------------------------------------------------------------------------


TEXTS = {
    *(("film_work", "title"), ("film_work", "description"), ("genre", "name")),
    *(("genre", "description"), ("person", "full_name")),
}


@each_index
def test_texts_may_be_of_any_text_type(small: Site) -> None:
    small.execute("CREATE EXTENSION IF NOT EXISTS citext")
    small.execute("CREATE DOMAIN content.words AS text CHECK (length(value) < 999)")
    small.execute("UPDATE content.film_work SET description = 'About ' || title")
    types = ["varchar(80)", "char(200)", "citext", "content.words", "name"]
    for turn in range(len(types)):
        for number, (table, column) in enumerate(sorted(TEXTS)):
            small.retype(table, column, types[(turn + number) % len(types)])
        small.run(reload="all")
        small.assert_equal()
    small.change("Changed")
    small.run()
    small.assert_equal()
    assert sent(small.run()) == 0


@over(MOVIES, PERSONS)
def test_roles_may_be_an_enum_or_of_any_text_type(small: Site) -> None:
    small.execute("CREATE EXTENSION IF NOT EXISTS citext")
    small.execute("CREATE TYPE content.part AS ENUM ('writer', 'actor', 'director', 'producer')")
    for type_name in ("content.part", "varchar(20)", "char(20)", "citext"):
        small.retype("person_film_work", "role", type_name)
        small.run(reload="all")
        small.assert_equal()


@over(MOVIES, PERSONS)
def test_ratings_may_be_of_any_numeric_type(small: Site) -> None:
    small.execute("CREATE DOMAIN content.stars AS numeric CHECK (value < 11)")
    for type_name in ("numeric(4,1)", "numeric", "real", "content.stars", "integer", "smallint"):
        if type_name == "integer":
            small.execute("UPDATE content.film_work SET rating = ceil(rating)")
        small.retype("film_work", "rating", type_name)
        small.run(reload="all")
        small.assert_equal()


@pytest.mark.parametrize(
    ("table", "column", "type_name", "said"),
    [
        ("film_work", "rating", "text", "film_work.rating is text, not a number"),
        ("film_work", "rating", "money", "film_work.rating is money, not a number"),
        ("film_work", "title", "bytea", "film_work.title is bytea, not a text"),
        ("film_work", "description", "text[]", r"film_work.description is text\[\], not a text"),
        ("person", "full_name", "xml", "person.full_name is xml, not a text"),
        ("person_film_work", "role", "bytea", "person_film_work.role is bytea, not a text"),
        (
            "person_film_work",
            "person_id",
            "text",
            "is text, but content.person.id is uuid",
        ),
        ("genre_film_work", "film_work_id", "text", "is text, but content.film_work.id is uuid"),
        ("film_work", "modified", "date", "film_work.modified is date, not a timestamp"),
    ],
)
def test_what_documents_cannot_hold_is_refused_before_anything_is_written(
    site: Site, table: str, column: str, type_name: str, said: str
) -> None:
    site.drop_constraints("f")
    site.execute(
        f"ALTER TABLE content.{table} ALTER {column} DROP DEFAULT,"
        f" ALTER {column} TYPE {type_name} USING NULL::{type_name}"
    )
    with pytest.raises(ConfigurationError, match=said):
        site.run()
    assert not site.client.indices.get(index="*")
    assert site.cursors.texts == {}


@pytest.mark.parametrize("definition", [GENRES, PERSONS], ids=["genres", "persons"])
def test_columns_of_other_indices_are_checked_too(site: Site) -> None:
    site.retype(site.table, site.text, "bytea")
    with pytest.raises(ConfigurationError, match=rf"{site.table}\.{site.text} is bytea, not a"):
        site.run()


@over(MOVIES, PERSONS)
def test_two_spellings_that_the_column_takes_for_one_are_two_names_in_the_order_of_their_bytes(
    site: Site,
) -> None:
    site.execute("CREATE EXTENSION IF NOT EXISTS citext")
    site.drop_constraints("u")
    for table, column in (*sorted(TEXTS), ("person_film_work", "role")):
        site.retype(table, column, "citext")
    films = [site.add_film(title) for title in ("drama", "DRAMA", "Drama")]
    genres = [site.add_genre(name) for name in ("drama", "DRAMA", "Drama")]
    persons = [site.add_person(name) for name in ("ann", "ANN", "Ann")]
    for film in films:
        for genre in genres:
            site.label(film, genre)
        for person in persons:
            site.cast(film, person, "actor")
            site.cast(film, person, "Actor")
    site.run()
    site.assert_equal()
    versions = site.versions()
    for _ in range(3):  # rows move in the table, and so does the order in which they are read
        for table in ("genre_film_work", "person_film_work"):
            site.execute(f"UPDATE content.{table} SET id = id WHERE random() < 0.5")
        for table in ("genre", "person", "film_work"):
            touch(site, table, "id = id")
        site.run()
        assert site.versions() == versions


# -- names -----------------------------------------------------------------------------------------

MODIFIED, CREATED = ("film_work", "genre", "person"), ("genre_film_work", "person_film_work")


class Renamed(Site):
    """A site whose schema and cursor columns the program finds under other names."""

    schema = "content"
    modified = "modified"
    created = "created"

    def run(self, reload: str = "none", asked: RunParams | None = None) -> dict[str, Counters]:
        with self._as_the_program_finds_it():
            return super().run(reload, asked)

    @contextmanager
    def _as_the_program_finds_it(self) -> Iterator[None]:
        names = [
            *((table, "modified", self.modified) for table in MODIFIED),
            *((table, "created", self.created) for table in CREATED),
        ]
        for table, name, other in names:
            self._rename(table, name, other)
        schema = sql.Identifier(self.schema)
        if self.schema != "content":
            self.connection.execute(sql.SQL("ALTER SCHEMA content RENAME TO {}").format(schema))
        try:
            yield
        finally:
            if self.schema != "content":
                self.connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO content").format(schema))
            for table, name, other in names:
                self._rename(table, other, name)

    def _rename(self, table: str, name: str, other: str) -> None:
        if name != other:
            self.connection.execute(
                sql.SQL("ALTER TABLE content.{} RENAME COLUMN {} TO {}").format(
                    *map(sql.Identifier, (table, name, other))
                )
            )


@each_index
@pytest.mark.parametrize(
    ("schema", "modified", "created"),
    [
        ("public site", "modified", "created"),
        ("content", "updated_at", "created_at"),
        ('The "100%" Site', "Last {change}", "made; %(at)s"),
    ],
)
def test_schema_and_cursor_columns_may_have_other_names(
    site: Site, schema: str, modified: str, created: str
) -> None:
    renamed = Renamed(site.dsn, site.connection, site.client, site.definition)
    renamed.schema, renamed.modified, renamed.created = schema, modified, created
    renamed.configure(schema_name=schema, modified_column=modified, created_column=created)
    renamed.add_small_catalogue()
    renamed.run()
    renamed.assert_equal()
    renamed.change("Changed", f"{renamed.text} LIKE '%%o%%'")
    film = renamed.add_film("Fresh", modified=None)
    renamed.cast(film, renamed.add_person("Fresh", modified="now()"), created="now()")
    renamed.run()
    renamed.assert_equal()
    assert sent(renamed.run()) == 0
    renamed.close()


def statements(message: str) -> list[str]:
    """Return the statements that a message tells."""
    return re.findall(r"ALTER TABLE .*? STORED", message)


@pytest.mark.parametrize("type_name", ["timestamptz", "timestamp"])
def test_the_statements_that_the_message_tells_make_the_catalogue_fit(
    small: Site, type_name: str
) -> None:
    if type_name == "timestamp":
        small.use_wall_time()
    for table in MODIFIED:
        small.execute(f"ALTER TABLE content.{table} RENAME COLUMN modified TO updated_at")
    for table in CREATED:
        small.execute(f"ALTER TABLE content.{table} RENAME COLUMN created TO created_at")
    with pytest.raises(ConfigurationError) as caught:
        small.run()
    said = str(caught.value)
    assert "MOVIES_ETL_MODIFIED_COLUMN=updated_at" in said
    assert "MOVIES_ETL_CREATED_COLUMN=created_at" in said
    assert len(statements(said)) == 5
    for statement in statements(said):
        small.execute(statement)
    assert sent(small.run()) == 7
    small.execute("UPDATE content.genre SET name = 'Noir', updated_at = now() WHERE name = 'Drama'")
    assert small.run()["genre"].indexed == 3
    small.assert_equal()


def test_a_link_table_without_an_id_is_told_how_to_get_one(small: Site) -> None:
    small.execute("ALTER TABLE content.person_film_work DROP COLUMN id")
    with pytest.raises(ConfigurationError) as caught:
        small.run()
    statement = re.search(r"\((ALTER TABLE content\.person_film_work[^)]*)\)", str(caught.value))
    assert statement
    small.execute(statement[1])
    assert sent(small.run()) == 7
    small.assert_equal()
