"""Catalogues whose texts are not in UTF-8, and texts that cannot be brought into it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch as Client
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.assembly import OF_ONE_DOCUMENT
from movies_etl.sync.asked_for import RunParams

from local.postgres import Postgres
from tests.conftest import ROOT
from tests.support.site import Site, sent

BROKEN = {"SQL_ASCII": b"na\xe9", "WIN1252": b"na\x81"}
"""By encoding: texts that the database takes and that cannot become UTF-8."""


@pytest.fixture
def encoded(request: pytest.FixtureRequest, postgres: Postgres, client: Client) -> Iterator[Site]:
    """A site whose database has another encoding; it writes in UTF-8."""
    name = "movies_encoded"
    postgres.dropdb(name)
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}'"
            " LOCALE_PROVIDER libc LOCALE 'C'".encode()
        )
    dsn = postgres.dsn(name)
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        for file in (ROOT / "local" / "schema.sql", ROOT / "include/sql/setup/indexes.sql"):
            for statement in filter(str.strip, file.read_text().split(";")):
                connection.execute(statement.encode())
        site = Site(dsn, connection, client)
        yield site
        site.close()
    postgres.dropdb(name)


def encoding_of(site: Site) -> str:
    return str(site.execute("SHOW server_encoding").fetchall()[0][0])


def break_text(site: Site, table: str, column: str, where: str) -> None:
    """Give rows a text that cannot become UTF-8."""
    encoding = encoding_of(site)
    site.execute(
        f"UPDATE content.{table} SET {column} = convert_from(%s, %s), modified = now()"
        f" WHERE {where}",
        BROKEN[encoding],
        encoding,
    )


def break_film(site: Site, film: str) -> None:
    break_text(site, "film_work", "title", f"id = '{film}'")


@pytest.mark.parametrize("encoded", ["SQL_ASCII", "LATIN1", "EUC_JP", "WIN1251"], indirect=True)
def test_a_catalogue_of_any_encoding_is_loaded(encoded: Site) -> None:
    encoded.add_small_catalogue()
    title = {"LATIN1": "Café", "EUC_JP": "日本", "WIN1251": "Солярис"}
    encoded.add_film(title.get(encoding_of(encoded), "Солярис 日本"))
    assert sent(encoded.run()) == 8
    encoded.assert_equal()


@pytest.mark.parametrize("encoded", BROKEN, indirect=True)
def test_a_text_that_cannot_become_utf_8_is_a_dead_letter_and_stops_nobody(encoded: Site) -> None:
    encoded.configure(page_size=4)
    encoded.add_small_catalogue()
    film = encoded.add_film("Good")
    first = [encoded.add_film(modified="1999-01-01") for _ in range(2)]
    for one in first:
        break_film(encoded, one)
    counters = encoded.run()
    assert (counters["film_work"].refused, sent(counters)) == (2, 8)
    good = encoded.documents()[film]

    break_film(encoded, film)
    other = encoded.add_film("Beside it", modified="now()")
    counters = encoded.run()
    assert (counters["film_work"].refused, sent(counters)) == (1, 1)
    assert encoded.documents()[film] == good
    assert other in encoded.documents()
    letters = encoded.letters()
    assert letters.keys() == {film, *first}
    assert (letters[film]["stage"], letters[film]["document"]) == ("assembly", "")
    assert re.search("0x(e9|81)", letters[film]["reason"])
    assert [counter.read for counter in encoded.run().values()] == [0, 0, 0]

    encoded.execute("UPDATE content.film_work SET title = 'Fixed' WHERE title LIKE 'na%%'")
    assert sent(encoded.run(asked=RunParams(replay=["all"]))) == 3
    assert encoded.letters() == {}
    encoded.assert_equal()


@pytest.mark.parametrize("modified", [None, "2099-01-01"])
@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_such_a_film_that_is_read_in_every_run_is_refused_once(
    encoded: Site, modified: str | None
) -> None:
    encoded.add_small_catalogue()
    film = encoded.add_film(modified=modified)
    break_film(encoded, film)
    encoded.execute("UPDATE content.film_work SET modified = %s WHERE id = %s", modified, film)
    assert encoded.run()["film_work"].refused == 1
    again = encoded.run()["film_work"]
    assert (again.read, again.unchanged, again.refused) == (1, 1, 0)
    assert encoded.letters()[film]["attempts"] == 1


@pytest.mark.parametrize(("table", "column"), [("person", "full_name"), ("genre", "name")])
@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_a_name_that_is_no_utf_8_concerns_its_films_alone(
    encoded: Site, table: str, column: str
) -> None:
    encoded.add_small_catalogue()
    encoded.run()
    before = encoded.documents()
    break_text(encoded, table, column, f"{column} IN ('Bob', 'Comedy')")
    encoded.execute("UPDATE content.film_work SET rating = 1, modified = now()")
    encoded.run()
    letters, after = encoded.letters(), encoded.documents()
    assert 0 < len(letters) < len(before)
    for film, document in before.items():
        assert after[film] == (document if film in letters else document | {"imdb_rating": 1})


def test_other_refusals_of_postgresql_are_not_taken_for_a_films(loaded: Site) -> None:
    source = loaded.source()
    version, pieces = source.documents(["no uuid", *loaded.versions()])
    assert version
    with pytest.raises(ConfigurationError, match='"no uuid"') as caught:
        next(pieces)
    assert not isinstance(caught.value.__cause__, OF_ONE_DOCUMENT)


@pytest.mark.long
def test_a_document_of_more_than_a_gigabyte_stops_nobody(loaded: Site) -> None:
    film = loaded.add_film(modified="2021-01-01")
    loaded.execute(
        "UPDATE content.film_work SET description = repeat(chr(1), 179000000) WHERE id = %s", film
    )
    other = loaded.add_film("Beside it", modified="2022-01-01")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.refused) == (1, 1)
    assert other in loaded.documents()
    assert loaded.letters()[film]["stage"] == "assembly"
