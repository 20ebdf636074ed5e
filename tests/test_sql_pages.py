"""The queries that page through changes: keyset order, both bounds, odd stamps, fan-out, plans."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from movies_etl.definitions.definition import Feed, Stream
from movies_etl.definitions.movies import FILM_WORK, GENRE, MOVIES, PERSON
from movies_etl.postgres.indexes import missing_indexes
from movies_etl.postgres.layout import FoundColumn, by_table
from movies_etl.postgres.source import IdPage, Row, Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Position

from local.postgres import Postgres
from tests.conftest import TEMPLATE
from tests.support.catalogue import NIL, Catalogue

FEEDS = [feed for stream in MOVIES.streams for feed in stream.feeds]
LINKED = [GENRE, PERSON]
all_feeds = pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.table)
feeds_with_a_last_row = pytest.mark.parametrize(
    "feed", [feed for stream in LINKED for feed in stream.feeds], ids=lambda feed: feed.table
)
linked_streams = pytest.mark.parametrize("stream", LINKED, ids=lambda stream: stream.name)


class Rows:
    """Writes rows of a feed's table, with what they need beside them."""

    def __init__(self, catalogue: Catalogue, feed: Feed) -> None:
        self.catalogue = catalogue
        self.feed = feed
        self.film = catalogue.add_film(modified="1990-01-01 00:00:00+00")

    def add(self, stamp: str | None, key: str | None = None) -> str:
        """Add a row with this stamp; return its id."""
        key = key or str(uuid4())
        catalogue = self.catalogue
        match self.feed.table:
            case "film_work":
                return catalogue.add_film(id=key, modified=stamp)
            case "genre":
                return catalogue.add_genre(id=key, modified=stamp)
            case "person":
                return catalogue.add_person(id=key, modified=stamp)
            case "genre_film_work":
                genre = catalogue.add_genre(modified="1990-01-01 00:00:00+00")
                catalogue.label(self.film, genre, id=key, created=stamp)
            case "person_film_work":
                person = catalogue.add_person(modified="1990-01-01 00:00:00+00")
                catalogue.cast(self.film, person, id=key, created=stamp)
        return key


def position(stamp: str, key: str = NIL) -> Position:
    return Position(stamp=stamp, id=key)


SINCE_2000 = position("2000-01-01T00:00:00.000000+00:00")


def paged(
    source: Source, feed: Feed, limit: int, after: Position | None, upto: Position | None
) -> list[Row]:
    """Read all pages of a feed, each after the last row of the one before."""
    found: list[Row] = []
    while page := source.changed(feed, after, upto, limit):
        assert len(page) <= limit
        found += page
        after = source.position(feed, page[-1])
    return found


def pages_of_films(source: Source, limit: int, upto: Position) -> Iterator[IdPage]:
    """Read all pages of films, each after the last film of the one before."""
    page = source.changed_ids(FILM_WORK.rows, None, upto, limit)
    while page:
        yield page
        page = source.changed_ids(FILM_WORK.rows, page.last, upto, limit)


def with_shape(catalogue: Catalogue, shape: str) -> Catalogue:
    if "text ids" in shape:
        catalogue.use_text_ids()
    if "wall time" in shape:
        catalogue.use_wall_time()
    return catalogue


@all_feeds
@pytest.mark.parametrize("shape", ["uuid, with zone", "text ids", "wall time"])
def test_ties_over_pages_are_neither_lost_nor_repeated(
    catalogue: Catalogue, feed: Feed, shape: str
) -> None:
    rows = Rows(with_shape(catalogue, shape), feed)
    stamps = ["2020-01-01 00:00:00", "2020-01-01 00:00:00.000001", "2021-06-01 12:00:00.999999"]
    wanted = sorted((stamp, rows.add(stamp)) for stamp in stamps for _ in range(7))
    source = catalogue.source()
    for limit in (1, 2, 3, 7, 20, 21, 22):
        found = paged(source, feed, limit, SINCE_2000, None)
        assert [row.id for row in found] == [key for _stamp, key in wanted]
    assert [row.stamp for row in found] == [
        f"{stamp.replace(' ', 'T')}{'' if '.' in stamp else '.000000'}" for stamp, _key in wanted
    ]


@pytest.mark.parametrize("shape", ["uuid, with zone", "text ids", "wall time"])
def test_a_page_of_films_is_what_its_rows_are(catalogue: Catalogue, shape: str) -> None:
    rows = Rows(with_shape(catalogue, shape), FILM_WORK.rows)
    for stamp in ("2020-01-01 00:00:00", "2020-01-01 00:00:00.000001", "294276-12-31 23:59:59"):
        for number in range(7):
            rows.add(stamp, f"{uuid4()} {{{number}\\," if shape == "text ids" else None)
    source = catalogue.source("Europe/Berlin" if shape == "wall time" else "UTC")
    whole = source.changed(FILM_WORK.rows, None, None, None)
    places = [source.position(FILM_WORK.rows, row) for row in whole]
    for limit in (1, 2, 7, 20, 21, 22):
        found: list[str] = []
        for page in pages_of_films(source, limit, places[-1]):
            found += page.ids
            assert page.last == places[len(found) - 1]
            assert len(page.ids) == limit or len(found) == len(whole)
        assert found == [row.id for row in whole]
    middle = source.changed_ids(FILM_WORK.rows, places[3], places[9], 10)
    assert middle is not None
    assert middle.ids == [row.id for row in whole[4:10]]
    assert source.changed_ids(FILM_WORK.rows, places[9], places[9], 10) is None


@pytest.mark.parametrize("shape", ["with zone", "wall time", "text ids"])
def test_films_that_no_position_in_time_reaches_are_on_no_page_of_films(
    catalogue: Catalogue, shape: str
) -> None:
    rows = Rows(with_shape(catalogue, shape), FILM_WORK.rows)
    keys = {rows.add(stamp): undated for stamp, undated in ODD.items() for _ in range(3)}
    keys |= {rows.add("infinity", key): True for key in ("!", "00")} if shape == "text ids" else {}
    upto = position("294276-12-31T23:59:59.999999+00:00", "ffffffff-ffff-ffff-ffff-ffffffffffff")
    found = [film for page in pages_of_films(catalogue.source(), 2, upto) for film in page.ids]
    assert sorted(set(found) - {rows.film}) == sorted(key for key, odd in keys.items() if not odd)
    assert len(found) == len(set(found))


def test_ids_of_films_on_a_page_may_be_any_text(catalogue: Catalogue) -> None:
    catalogue.use_text_ids()
    keys = ["a", "B", "NULL", 'a,"b', "\u0451", " ", "{}", "\\", "'"]
    for key in keys:
        catalogue.add_film(id=key)
    source = catalogue.source()
    upto = position("2020-01-02T00:00:00.000000+00:00")
    found = [film for page in pages_of_films(source, 2, upto) for film in page.ids]
    assert found == sorted(keys, key=str.encode)
    _version, pieces = source.documents(found)
    assert {one.id for piece in pieces for one in piece} == set(keys)


@all_feeds
def test_the_lower_bound_is_outside_and_the_upper_bound_inside(
    catalogue: Catalogue, feed: Feed
) -> None:
    rows = Rows(catalogue, feed)
    keys = sorted(rows.add("2020-01-01 00:00:00.000001+00") for _ in range(5))
    source = catalogue.source()
    tie = "2020-01-01T00:00:00.000001+00:00"
    found = source.changed(feed, position(tie, keys[1]), position(tie, keys[3]), 10)
    assert [row.id for row in found] == keys[2:4]
    before = position("2020-01-01T00:00:00.000000+00:00")
    assert source.changed(feed, before, position(tie), 10) == []
    assert source.changed(feed, position(tie, keys[4]), None, 10) == []
    assert [row.id for row in source.changed(feed, position(tie), None, 10)] == keys


@all_feeds
def test_without_a_page_size_all_rows_between_the_bounds_are_read(
    catalogue: Catalogue, feed: Feed
) -> None:
    rows = Rows(catalogue, feed)
    keys = sorted(rows.add("2020-01-01 00:00:00+00") for _ in range(12))
    found = catalogue.source().changed(feed, SINCE_2000, None, None)
    assert [row.id for row in found] == keys


@all_feeds
def test_rows_name_their_film_and_their_version(catalogue: Catalogue, feed: Feed) -> None:
    rows = Rows(catalogue, feed)
    key = rows.add("2020-01-01 00:00:00+00")
    source = catalogue.source()
    (row,) = source.changed(feed, SINCE_2000, None, 10)
    film = {"film_work": key, "genre": None, "person": None}.get(feed.table, rows.film)
    assert row.root == film
    catalogue.execute(f"UPDATE content.{feed.table} SET id = id WHERE id = %s", key)
    (again,) = source.changed(feed, SINCE_2000, None, 10)
    assert again.xmin != row.xmin
    assert again._replace(xmin=row.xmin) == row


ODD = {
    None: True,
    "infinity": True,
    "-infinity": True,
    "0044-03-15 00:00:00+00 BC": True,
    "0001-01-01 00:00:00.000001+00": False,
    "1969-12-31 23:59:59.999999+00": False,
    "2099-01-01 00:00:00+00": False,
    "294276-12-31 23:59:59.999999+00": False,
}
"""Stamps, and whether no position in time reaches them."""


@all_feeds
@pytest.mark.parametrize("shape", ["with zone", "wall time"])
def test_every_row_is_either_reached_by_its_stamp_or_undated(
    catalogue: Catalogue, feed: Feed, shape: str
) -> None:
    rows = Rows(with_shape(catalogue, shape), feed)
    keys = {rows.add(stamp): undated for stamp, undated in ODD.items() for _ in range(3)}
    source = catalogue.source()
    reached = [row.id for row in paged(source, feed, 2, None, None)]
    undated: list[Row] = []
    while page := source.undated(feed, undated[-1].id if undated else None, 2):
        undated += page
    assert [row.stamp for row in undated] == [None] * 12
    assert [row.id for row in undated] == sorted(key for key, odd in keys.items() if odd)
    assert sorted(set(reached) - {rows.film}) == sorted(key for key, odd in keys.items() if not odd)
    assert len(reached) == len(set(reached))


@all_feeds
def test_undated_rows_of_text_ids_are_paged_by_id(catalogue: Catalogue, feed: Feed) -> None:
    catalogue.use_text_ids()
    rows = Rows(catalogue, feed)
    keys = sorted((rows.add(None, key) for key in ("b", "!", "0", "\u0451", "a b")), key=str.encode)
    source = catalogue.source()
    found: list[Row] = []
    while page := source.undated(feed, found[-1].id if found else None, 2):
        found += page
    assert [row.id for row in found] == keys
    for row in found:
        leads_to = {"film_work": row.id, "genre": None, "person": None}
        assert row.root == leads_to.get(feed.table, rows.film)


@pytest.mark.parametrize("stream", MOVIES.streams, ids=lambda stream: stream.name)
@pytest.mark.parametrize("stamp", ["infinity", "-infinity"])
def test_infinite_rows_of_text_ids_are_not_on_the_pages_too(
    catalogue: Catalogue, stream: Stream, stamp: str
) -> None:
    catalogue.use_text_ids()
    rows = Rows(catalogue, stream.rows)
    for key in ("!", "-", "00"):
        rows.add(stamp, key)
    found = catalogue.source().changed(stream.rows, SINCE_2000, None, 10)
    assert found == []


@feeds_with_a_last_row
@pytest.mark.parametrize("shape", ["with zone", "wall time"])
def test_the_last_row_below_a_bound_is_found_and_odd_ones_are_not(
    catalogue: Catalogue, feed: Feed, shape: str
) -> None:
    rows = Rows(with_shape(catalogue, shape), feed)
    source = catalogue.source()
    upto = position("2020-01-02T00:00:00.000000+00:00")
    for stamp in ("-infinity", "infinity", "0044-03-15 00:00:00 BC", "2020-01-02 00:00:00", None):
        rows.add(stamp)
    assert source.last(feed, position("1980-01-01T00:00:00.000000+00:00")) is None
    keys = sorted(rows.add("2020-01-01 23:59:59.999999") for _ in range(3))
    rows.add("2019-01-01 00:00:00")
    found = source.last(feed, upto)
    assert found == position("2020-01-01T23:59:59.999999+00:00", keys[-1])
    assert source.last(feed, found) == found


@feeds_with_a_last_row
def test_a_position_read_from_a_row_leads_back_to_it_in_any_zone(
    catalogue: Catalogue, feed: Feed
) -> None:
    rows = Rows(catalogue, feed)
    catalogue.use_wall_time()
    stamps = [
        "0001-01-01 00:00:00.000001",
        "2026-03-29 02:30:00",  # left out in Berlin
        "2026-10-25 02:30:00",  # twice there
        "294276-12-31 23:59:59.999999",
    ]
    keys = [rows.add(stamp) for stamp in stamps]
    source = catalogue.source("Europe/Berlin")
    found = [row for row in paged(source, feed, 1, None, None) if row.id in keys]
    assert [row.id for row in found] == keys
    for row in found:
        place = source.position(feed, row)
        assert source.last(feed, place) == place


def test_the_zone_of_the_writer_does_not_matter_for_columns_with_zone(
    catalogue: Catalogue,
) -> None:
    catalogue.execute("SET timezone = 'Asia/Tokyo'")
    film = catalogue.add_film(modified="2026-01-01 09:00:00")
    (row,) = catalogue.source("America/New_York").changed(FILM_WORK.rows, None, None, 10)
    assert (row.id, row.stamp) == (film, "2026-01-01T00:00:00.000000")


# -- fan-out --------------------------------------------------------------------------------------


def link(catalogue: Catalogue, stream: Stream, film: str, key: str, role: str = "actor") -> None:
    if stream is GENRE:
        catalogue.label(film, key)
    else:
        catalogue.cast(film, key, role)


def add_linked(catalogue: Catalogue, stream: Stream, **columns: object) -> str:
    add = catalogue.add_genre if stream is GENRE else catalogue.add_person
    return add(**columns)  # type: ignore[arg-type]


def fanned_out(source: Source, stream: Stream, keys: list[str], limit: int) -> list[str]:
    rows = [Row(key, None, "", None) for key in keys]
    found: list[str] = []
    while page := source.fanned_out(stream, rows, found[-1] if found else None, limit):
        assert len(page) <= limit
        found += page
    return found


@linked_streams
@pytest.mark.parametrize("shape", ["uuid", "text ids"])
def test_fan_out_pages_of_one_big_genre_are_disjoint_and_complete(
    catalogue: Catalogue, stream: Stream, shape: str
) -> None:
    with_shape(catalogue, shape)
    big = add_linked(catalogue, stream)
    films = [catalogue.add_film() for _ in range(23)]
    for film in films:
        link(catalogue, stream, film, big)
    source = catalogue.source()
    for limit in (1, 5, 22, 23, 24):
        assert fanned_out(source, stream, [big], limit) == sorted(films)


@linked_streams
def test_fan_out_of_many_that_share_films_gives_each_film_once(
    catalogue: Catalogue, stream: Stream
) -> None:
    keys = [add_linked(catalogue, stream) for _ in range(9)]
    films = [catalogue.add_film() for _ in range(12)]
    linked = set()
    for number, film in enumerate(films):
        for key in keys[number % 5 : number % 5 + 3]:
            link(catalogue, stream, film, key)
            linked.add(film)
    lonely = add_linked(catalogue, stream)
    link(catalogue, stream, catalogue.add_film("Not asked for"), lonely)
    source = catalogue.source()
    for limit in (1, 4, 12, 100):
        assert fanned_out(source, stream, keys, limit) == sorted(linked)
    assert fanned_out(source, stream, keys[:1], 3) == sorted(films[0::5])
    assert fanned_out(source, stream, [], 3) == []


def test_a_person_of_several_roles_leads_to_the_film_once(catalogue: Catalogue) -> None:
    film, person = catalogue.add_film(), catalogue.add_person()
    for role in ("actor", "writer", "director"):
        catalogue.cast(film, person, role)
    source = catalogue.source()
    assert fanned_out(source, PERSON, [person], 1) == [film]
    assert fanned_out(source, PERSON, [person], 2) == [film]


def test_a_page_of_persons_with_many_roles_is_not_cut_short(catalogue: Catalogue) -> None:
    films = sorted(catalogue.add_film() for _ in range(6))
    person = catalogue.add_person()
    for film in films:
        for role in ("actor", "writer", "director"):
            catalogue.cast(film, person, role)
    assert fanned_out(catalogue.source(), PERSON, [person], 4) == films


@all_feeds
def test_the_undated_row_of_the_lowest_id_is_found(catalogue: Catalogue, feed: Feed) -> None:
    Rows(catalogue, feed).add(None, NIL)
    assert [row.id for row in catalogue.source().undated(feed, None, 10)] == [NIL]


@linked_streams
def test_the_film_of_the_lowest_id_is_found_by_fan_out(
    catalogue: Catalogue, stream: Stream
) -> None:
    film, key = catalogue.add_film(id=NIL), add_linked(catalogue, stream)
    link(catalogue, stream, film, key)
    assert fanned_out(catalogue.source(), stream, [key], 10) == [NIL]


# -- clock, counts, identity ----------------------------------------------------------------------


def test_versions_are_microseconds_of_the_clock_and_grow(catalogue: Catalogue) -> None:
    source = catalogue.source()
    versions = [source.server.clock() for _ in range(5)]
    assert versions == sorted(versions)
    assert abs(versions[0] / 1e6 - time.time()) < 60


def test_a_documents_version_is_read_before_its_snapshot(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = catalogue.add_film("Old")
    source = catalogue.source()
    read_clock = source.server.clock

    def read_clock_and_change_the_film() -> int:
        version = read_clock()
        catalogue.execute("UPDATE content.film_work SET title = 'New'")
        return version

    monkeypatch.setattr(source.server, "clock", read_clock_and_change_the_film)
    before = read_clock()
    version, ((document,),) = source.documents([film])
    assert before < version < read_clock()
    assert b'"title":"New"' in document.text


def test_films_are_counted(catalogue: Catalogue) -> None:
    source = catalogue.source()
    assert source.count() == 0
    for _ in range(3):
        catalogue.add_film()
    assert source.count() == 3


def test_the_database_is_named_with_its_cluster(catalogue: Catalogue) -> None:
    ((identifier,),) = catalogue.execute(
        "SELECT system_identifier FROM pg_control_system()"
    ).fetchall()
    database = catalogue.source().server.identity().database
    assert (database.name, database.system_identifier) == ("movies", str(identifier))


def test_the_servers_version_is_a_number(catalogue: Catalogue) -> None:
    assert catalogue.source().server.identity().version == catalogue.connection.info.server_version


def test_columns_are_told_with_type_and_right(catalogue: Catalogue) -> None:
    catalogue.execute("CREATE VIEW content.newest AS SELECT modified FROM content.film_work")
    catalogue.execute("ALTER TABLE content.film_work DROP COLUMN creation_date")
    catalogue.retype("film_work", "rating", "numeric(3,1)")
    query = (Settings().include_dir / "sql" / "columns.sql").read_bytes()
    rows = catalogue.connection.execute(query, {"schema": "content"}).fetchall()
    found = by_table(map(FoundColumn._make, rows))
    assert found.keys() == {
        *("film_work", "genre", "person", "genre_film_work", "person_film_work")
    }
    films = found["film_work"]
    assert films.keys() == {"id", "title", "description", "rating", "type", "created", "modified"}
    assert [
        (one.type, one.category) for one in (films["id"], films["modified"], films["rating"])
    ] == [
        ("uuid", "U"),
        ("timestamp with time zone", "D"),
        ("numeric", "N"),
    ]
    assert [name for name, column in films.items() if column.is_unique] == ["id"]
    assert films["id"].is_required
    assert not films["rating"].is_required
    ((oid,),) = catalogue.execute("SELECT 'content.film_work'::regclass::oid::bigint").fetchall()
    assert {(one.is_partitioned, one.table_oid) for one in films.values()} == {(False, oid)}
    assert {column[-3:] for column in films.values()} == {(True, True, False)}


def test_a_domain_is_told_as_the_type_below_it(catalogue: Catalogue) -> None:
    catalogue.execute("CREATE DOMAIN content.stars AS real CHECK (value < 11)")
    catalogue.retype("film_work", "rating", "content.stars")
    query = (Settings().include_dir / "sql" / "columns.sql").read_bytes()
    rows = catalogue.connection.execute(query, {"schema": "content"}).fetchall()
    rating = by_table(map(FoundColumn._make, rows))["film_work"]["rating"]
    assert (rating.type, rating.category) == ("real", "N")


@pytest.mark.parametrize(
    ("change", "is_idless", "is_ambiguous"),
    [
        ("", False, True),
        (", ADD UNIQUE (id)", False, False),
        (", ALTER id DROP NOT NULL", True, True),
        (", ALTER id DROP NOT NULL, ADD UNIQUE (id)", True, False),
        (", ADD PRIMARY KEY (id, created)", False, True),
    ],
)
def test_whether_ids_may_be_null_and_whether_rows_may_share_one_is_known(
    catalogue: Catalogue, change: str, is_idless: bool, is_ambiguous: bool
) -> None:
    catalogue.execute(
        f"ALTER TABLE content.genre_film_work DROP CONSTRAINT genre_film_work_pkey{change}"
    )
    layout = catalogue.source().layout
    assert layout.idless == (("genre_film_work",) if is_idless else ())
    assert layout.ambiguous == (("genre_film_work",) if is_ambiguous else ())


def test_only_usable_whole_indexes_are_told(catalogue: Catalogue) -> None:
    before = catalogue.source().server.indexes()
    assert ("film_work", ["modified", "id"]) in before
    assert ("film_work", ["id"]) in before
    catalogue.execute("DROP INDEX content.film_work_modified_id")
    catalogue.execute("CREATE INDEX ON content.film_work (modified, id) WHERE rating > 5")
    catalogue.execute("CREATE INDEX broken ON content.genre (modified, id, name)")
    catalogue.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'content.broken'::regclass"
    )
    after = catalogue.source().server.indexes()
    assert ("film_work", ["modified", "id"]) not in after
    assert ("genre", ["modified", "id", "name"]) not in after
    assert len(after) == len(before) - 1


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("USING brin (modified, id)", []),
        ("(lower(title), modified, id)", []),
        ("(modified) INCLUDE (id)", [("film_work", ["modified"])]),
    ],
)
def test_only_the_columns_that_an_index_is_ordered_by_are_told(
    catalogue: Catalogue, index: str, told: list[tuple[str, list[str]]]
) -> None:
    catalogue.execute("DROP INDEX content.film_work_modified_id")
    before = catalogue.source().server.indexes()
    catalogue.execute(f"CREATE INDEX ON content.film_work {index}")
    after = catalogue.source().server.indexes()
    assert sorted(after) == sorted(before + told)
    missing = missing_indexes(after, MOVIES, "content", catalogue.source().layout)
    assert missing == ["CREATE INDEX CONCURRENTLY ON content.film_work (modified, id)"]


# -- plans ----------------------------------------------------------------------------------------

MANY = 20_000
GENRES = 2_000


@pytest.fixture(scope="module")
def big(postgres: Postgres) -> Iterator[Source]:
    """A catalogue of 20,000 films, persons and links, 2,000 genres; analysed."""
    name = "movies_big"
    postgres.dropdb(name)
    postgres.createdb(name, template=TEMPLATE)
    key = "('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid"
    stamp = "timestamptz '2020-01-01 00:00:00+00' + n / 100 * interval '1 minute'"
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
        for table, columns, values, count in (
            ("film_work", "id, title, type, modified", f"{key}, 'Film', 'movie', {stamp}", MANY),
            ("person", "id, full_name, modified", f"{key}, 'Ann', {stamp}", MANY),
            ("genre", "id, name, modified", f"{key}, 'Drama', {stamp}", GENRES),
            (
                "person_film_work",
                "id, film_work_id, person_id, role, created",
                f"{key}, {key}, {key}, 'actor', {stamp}",
                MANY,
            ),
            (
                "genre_film_work",
                "id, film_work_id, genre_id, created",
                f"{key}, {key}, {key.replace('n::', f'(n % {GENRES} + 1)::')}, {stamp}",
                MANY,
            ),
        ):
            numbers = f"generate_series(1, {count}) AS n"
            insert = f"INSERT INTO content.{table} ({columns}) SELECT {values} FROM {numbers}"
            connection.execute(insert.encode())
        connection.execute("VACUUM ANALYZE")
        with psycopg.connect(postgres.dsn(name), autocommit=True) as reader:
            yield Source.opened(reader, MOVIES, Settings())
    postgres.dropdb(name)


def plan(
    source: Source, file: str, names: Mapping[str, str | None], **parameters: object
) -> list[dict[str, Any]]:
    """Return the nodes of a query's plan."""
    query = source.queries.text(file, names)
    ((answer,),) = source.queries.connection.execute(
        b"EXPLAIN (FORMAT JSON) " + query, parameters
    ).fetchall()
    found, waiting = [], [answer[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.get("Plans", [])
    return found


def lines_of_documents_plan(source: Source, ids: list[str]) -> list[str]:
    """Return the plan of documents.sql with what each node puts out, as text."""
    query = b"EXPLAIN (VERBOSE) " + source.queries.text("movies/documents.sql")
    answer = source.queries.connection.execute(query, {"ids": ids}).fetchall()
    return [line.strip() for (line,) in answer]


def names(feed: Feed) -> dict[str, str | None]:
    return {"table": feed.table, "stamp": feed.stamp, "root": feed.root}


def kinds(nodes: list[dict[str, Any]]) -> set[str]:
    return {node["Node Type"] for node in nodes}


def key(number: int) -> str:
    return str(UUID(f"00000000-0000-0000-0000-{number:012}"))


BETWEEN = {
    "after_stamp": "2020-01-01T00:03:00.000000+00:00",
    "after_id": key(350),
    "upto_stamp": "2020-01-01T00:19:00.000000+00:00",
    "upto_id": key(1950),
}


@all_feeds
def test_a_page_is_read_from_the_index_between_both_bounds_without_sorting(
    big: Source, feed: Feed
) -> None:
    nodes = plan(big, "feed/page.sql", names(feed), **BETWEEN, page_size=100)
    assert kinds(nodes) <= {"Limit", "Index Scan", "Result"}
    (scan,) = [node for node in nodes if node["Node Type"] == "Index Scan"]
    assert scan["Index Cond"].count("ROW(") == 4  # two row comparisons
    assert "Filter" not in scan


def test_a_page_of_films_is_read_from_nothing_but_the_index(big: Source) -> None:
    nodes = plan(big, "feed/ids.sql", names(FILM_WORK.rows), **BETWEEN, page_size=100)
    assert kinds(nodes) <= {"Aggregate", "Subquery Scan", "Limit", "Index Only Scan"}
    (scan,) = [node for node in nodes if "Index Cond" in node]
    assert scan["Index Cond"].count("ROW(") == 4
    assert "Filter" not in scan


@all_feeds
def test_all_rows_between_two_bounds_are_found_by_the_index(big: Source, feed: Feed) -> None:
    nodes = plan(big, "feed/page.sql", names(feed), **BETWEEN, page_size=None)
    (scan,) = [node for node in nodes if "Index Cond" in node]
    assert scan["Index Cond"].count("ROW(") == 4
    assert "Filter" not in scan


@all_feeds
def test_the_first_page_of_an_open_end_is_read_from_the_index_without_sorting(
    big: Source, feed: Feed
) -> None:
    nodes = plan(
        big,
        "feed/page.sql",
        names(feed),
        after_stamp="0001-01-01T00:00:00.000000+00:00",
        after_id=NIL,
        upto_stamp="infinity",
        upto_id=NIL,
        page_size=1000,
    )
    assert kinds(nodes) <= {"Limit", "Index Scan", "Result"}


@feeds_with_a_last_row
def test_the_last_row_is_read_from_the_end_of_the_index(big: Source, feed: Feed) -> None:
    nodes = plan(
        big,
        "feed/last.sql",
        names(feed),
        upto_stamp="2020-01-01T01:00:00.000000+00:00",
        upto_id=NIL,
    )
    assert kinds(nodes) <= {"Limit", "Index Scan", "Index Only Scan", "Result"}
    (scan,) = [node for node in nodes if "Index Cond" in node]
    assert scan["Scan Direction"] == "Backward"
    assert "Filter" not in scan


@all_feeds
def test_undated_rows_are_found_without_reading_the_table(big: Source, feed: Feed) -> None:
    nodes = plan(big, "feed/undated.sql", names(feed), after_id=NIL, page_size=1000)
    assert "Seq Scan" not in kinds(nodes)
    assert any(f"{feed.table}_{feed.stamp}_id" == node.get("Index Name") for node in nodes)


@linked_streams
def test_films_of_changed_rows_are_read_from_the_link_tables_index(
    big: Source, stream: Stream
) -> None:
    assert stream.fan_out is not None
    of_fan_out = {"table": stream.rows.table, **vars(stream.fan_out)}
    ids = [key(number) for number in range(1, 101)]
    nodes = plan(big, "feed/fan_out.sql", of_fan_out, ids=ids, after_root=key(500), page_size=1000)
    links = [node for node in nodes if node.get("Relation Name") == f"{stream.name}_film_work"]
    assert [node["Node Type"] for node in links] == ["Index Only Scan"]
    assert "film_work_id >" in links[0]["Index Cond"]
    assert "Seq Scan" not in kinds(nodes)


def test_documents_of_a_page_are_built_without_reading_whole_tables(big: Source) -> None:
    nodes = plan(big, "movies/documents.sql", {}, ids=[key(number) for number in range(1, 101)])
    whole = {node.get("Relation Name") for node in nodes if node["Node Type"] == "Seq Scan"}
    assert whole <= {"genre", "person"}


def test_a_films_links_are_found_by_the_film_and_their_roles_passed_over(big: Source) -> None:
    nodes = plan(big, "movies/documents.sql", {}, ids=[key(number) for number in range(1, 101)])
    (links,) = [node for node in nodes if node.get("Relation Name") == "person_film_work"]
    assert "film_work_id" in links["Index Cond"]
    assert "role" not in links["Index Cond"]
    assert "role" in links["Filter"]


@pytest.mark.parametrize("films", [100, 5_000])
def test_documents_come_while_others_are_still_put_together(big: Source, films: int) -> None:
    ids = [key(number) for number in range(1, films + 1)]
    lines = lines_of_documents_plan(big, ids)
    assembled = [number for number, line in enumerate(lines) if "imdb_rating" in line]
    assert len(assembled) == 1  # neither sorted nor kept anywhere once they are put together
    assert lines[assembled[0] - 1].startswith("->  Merge Left Join")


def test_names_are_sorted_by_bytes_whatever_the_databases_collation(big: Source) -> None:
    keys = [line for line in lines_of_documents_plan(big, [key(1)]) if "Sort Key" in line]
    named = [line for line in keys if "full_name" in line or "genre.name" in line]
    assert len(named) >= 2
    for line in named:
        assert re.search(r'(full_name|genre\.name)[):text]* COLLATE "C"', line), line


def test_a_film_with_several_roles_of_a_person_pushes_no_other_off_the_page(
    catalogue: Catalogue,
) -> None:
    films = sorted(str(uuid4()) for _ in range(4))
    for film in films:
        catalogue.add_film(id=film)
    persons = [catalogue.add_person(name) for name in ("Ann", "Bob")]
    for role in ("actor", "director", "writer"):
        catalogue.cast(films[0], persons[0], role)
    catalogue.cast(films[1], persons[0])
    catalogue.cast(films[2], persons[1])
    catalogue.cast(films[3], persons[1])
    rows = [Row(person, None, "", None) for person in persons]
    source = catalogue.source()
    first = source.fanned_out(PERSON, rows, None, 2)
    assert first == films[:2]
    assert source.fanned_out(PERSON, rows, first[-1], 2) == films[2:]
