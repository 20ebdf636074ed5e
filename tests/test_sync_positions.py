"""Where streams stand: rows of one stamp, rows that no stamp reaches, rows above the horizon."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from movies_etl.definitions.definition import Feed, Stream
from movies_etl.definitions.movies import FILM_WORK, GENRE, MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.es.bulk import Sender
from movies_etl.es.index import Index, Stored
from movies_etl.es.outcome import Item, Outcome
from movies_etl.postgres.source import IdPage, Row, Source
from movies_etl.state.cursors import Position
from movies_etl.sync import batches, page_size, stream_run

from tests.support.catalogue import LONG_AGO
from tests.support.indices import each_index, over
from tests.support.protections import notices
from tests.support.site import Site, sent

TIES = 20

over_linked = pytest.mark.parametrize(
    ("definition", "stream", "column"),
    [(MOVIES, "genre", "name"), (MOVIES, "person", "full_name"), (PERSONS, "film_work", "title")],
    ids=lambda value: getattr(value, "name", str(value)),
)
"""Run a test over each stream whose rows lead to documents by a fan-out."""


@pytest.fixture
def ties(site: Site) -> Site:
    """Twenty films of one stamp, each with a person and a genre of its own; pages of three."""
    site.configure(page_size=3)
    for number in range(TIES):
        film = site.add_film(f"Film {number}")
        site.label(film, site.add_genre(f"Genre {number}"))
        site.cast(film, site.add_person(f"Person {number}"))
    return site


@each_index
def test_root_rows_of_one_stamp_are_loaded_over_several_pages(ties: Site) -> None:
    first, *_ = ties.run().values()
    ties.assert_equal()
    assert first.pages == 3  # of 3, 6 and 11: all are sent, so pages grow
    ties.change("Changed")
    first, *_ = ties.run().values()
    ties.assert_equal()
    assert (first.indexed, first.pages) == (TIES, 7)
    assert sent(ties.run()) == 0


@pytest.mark.parametrize(
    ("size", "limits", "pages"),
    [
        (1, {}, 5),  # 1, 2, 4, 8, and what is left
        (2, {"MAX_PAGE_DOCUMENTS": 8}, 4),
        (9, {"MAX_PAGE_DOCUMENTS": 8}, 3),
        (1, {"MAX_PAGE_GROWTH": 2}, 11),
        (3, {"QUICK_PAGE_SECONDS": 0.0}, 7),
    ],
)
def test_pages_of_a_first_load_grow_to_a_limit(
    ties: Site, monkeypatch: pytest.MonkeyPatch, size: int, limits: dict[str, float], pages: int
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(page_size, name, limit)
    ties.configure(page_size=size)
    assert ties.run()["film_work"].pages == pages
    ties.assert_equal()


def test_pages_of_a_first_load_shrink_while_they_are_slow(
    ties: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_ids = Source.changed_ids
    took = iter([0, 0, 11, 7, 11, 0, 0, 0, 0, 0])
    sizes = []
    now = 0.0

    def read(
        source: Source, feed: Feed, after: Position | None, upto: Position, limit: int
    ) -> IdPage | None:
        nonlocal now
        now += next(took)
        sizes.append(limit)
        return changed_ids(source, feed, after, upto, limit)

    monkeypatch.setattr(Source, "changed_ids", read)
    monkeypatch.setattr(page_size, "time", SimpleNamespace(monotonic=lambda: now))
    ties.configure(page_size=1)
    ties.run()
    assert sizes == [1, 2, 4, 2, 2, 1, 2, 4, 8, 16]
    ties.assert_equal()


@notices("3-pending")
def test_a_name_that_is_as_before_while_films_with_the_change_are_on_their_way(
    ties: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents of one page are compared with one answer of the index, however they are fetched."""
    genre = ties.add_genre("Still")
    for film in ties.expected():
        ties.label(film, genre)
    ties.execute("UPDATE content.film_work SET description = repeat('long', 300)")
    ties.configure(page_size=50, bulk_bytes=12_000, senders=1)
    ties.run()
    ties.execute("UPDATE content.genre SET name = 'Other', modified = now() WHERE id = %s", genre)
    undated, stored = Source.undated, Index.stored
    is_back, is_asked = threading.Event(), threading.Event()

    def rename_back(source: Source, feed: Feed, *args: Any) -> list[Row]:
        if feed is GENRE.rows:
            ties.execute(
                "UPDATE content.genre SET name = 'Still', modified = now() WHERE id = %s", genre
            )
            is_back.set()
        return undated(source, feed, *args)

    def ask(index: Index, films: Sequence[str]) -> dict[str, Stored]:
        found = stored(index, films)
        if is_back.is_set():
            is_asked.set()
        return found

    class Waiting(Sender):
        def __call__(self, items: Sequence[Item]) -> Outcome:
            assert is_asked.wait(30)
            return super().__call__(items)

    with monkeypatch.context() as renaming:
        renaming.setattr("movies_etl.postgres.source.FETCHED_ROWS", 1)
        renaming.setattr(Source, "undated", rename_back)
        renaming.setattr(Index, "stored", ask)
        renaming.setattr(stream_run, "Sender", Waiting)
        ties.run()
    ties.run()
    ties.assert_equal()


@over_linked
def test_linked_rows_of_one_stamp_lead_to_all_documents(
    ties: Site, stream: str, column: str
) -> None:
    ties.run()
    ties.execute(f"UPDATE content.{stream} SET {column} = {column} || '!', modified = now()")
    counters = ties.run()
    ties.assert_equal()
    assert counters[stream].indexed == sent(counters) == TIES
    assert sent(ties.run()) == 0


@pytest.mark.parametrize("stream", ["genre", "person"])
def test_links_of_one_stamp_lead_to_all_films(ties: Site, stream: str) -> None:
    films = list(ties.expected())
    added = ties.add_genre("Added") if stream == "genre" else ties.add_person("Added")
    ties.run()
    for film in films:
        link = ties.label if stream == "genre" else ties.cast
        link(film, added, created="2024-05-05 05:05:05+00")
    counters = ties.run()
    ties.assert_equal()
    assert counters[stream].indexed == sent(counters) == TIES
    assert sent(ties.run()) == 0


@over(PERSONS)
def test_links_of_one_stamp_lead_to_all_persons(ties: Site) -> None:
    stream, film = "person", ties.add_film("Added")
    ties.run()
    for person in ties.expected():
        ties.cast(film, person, created="2024-05-05 05:05:05+00")
    counters = ties.run()
    ties.assert_equal()
    assert counters[stream].indexed == sent(counters) == TIES
    assert sent(ties.run()) == 0


@each_index
@notices("1")
def test_a_row_of_the_same_stamp_as_the_cursor_is_found_by_its_id(site: Site) -> None:
    stamp = "2024-01-01 00:00:00.000001+00"
    site.add_root("First", id="10000000-0000-4000-8000-000000000000", modified=stamp)
    site.run()
    site.add_root("Second", id="20000000-0000-4000-8000-000000000000", modified=stamp)
    assert sent(site.run()) == 1
    site.assert_equal()


ODD = (
    None,
    "infinity",
    "-infinity",
    "4000-01-01 00:00:00+00 BC",
    "0001-01-01 00:00:00+00",
    "2099-12-31 23:59:59.999999+00",
    "99999-01-01 00:00:00+00",
)


@each_index
@notices("4")
def test_root_rows_of_odd_stamps_arrive_and_are_not_sent_again(loaded: Site) -> None:
    for number, modified in enumerate(ODD):
        loaded.add_root(f"Odd {number}", modified=modified)
    assert sent(loaded.run()) == len(ODD)
    loaded.assert_equal()
    versions = loaded.versions()
    first, *others = loaded.run().values()
    assert (first.unchanged, first.indexed) == (len(ODD), 0)
    assert sum(counter.indexed for counter in others) == 0
    assert loaded.versions() == versions


@each_index
def test_root_rows_of_odd_stamps_are_part_of_the_first_load(site: Site) -> None:
    for number, modified in enumerate(ODD):
        site.add_root(f"Odd {number}", modified=modified)
    site.run()
    site.assert_equal()
    assert sent(site.run()) == 0


@each_index
def test_a_change_of_a_row_of_odd_stamp_is_seen_without_a_new_stamp(site: Site) -> None:
    site.configure(page_size=3)
    for number, modified in enumerate(ODD):
        site.add_root(f"Odd {number}", modified=modified)
    site.run()
    site.execute(f"UPDATE content.{site.table} SET {site.text} = 'changed'")
    assert sent(site.run()) == len(ODD)
    site.assert_equal()


@pytest.mark.long
@over_linked
def test_linked_rows_of_odd_stamps_are_followed_but_not_fanned_out_every_run(
    site: Site, stream: str, column: str
) -> None:
    site.configure(page_size=3)
    for number, modified in enumerate(ODD):
        stamps = dict.fromkeys(("film_work", "genre", "person"), modified)
        stamps[site.table] = LONG_AGO
        film = site.add_film(f"Film {number}", modified=stamps["film_work"])
        site.label(film, site.add_genre(f"Genre {number}", modified=stamps["genre"]))
        site.cast(film, site.add_person(f"Person {number}", modified=stamps["person"]))
    site.run()
    site.run()
    site.execute(f"UPDATE content.{stream} SET {column} = {column} || '!'")
    counters = site.run()
    site.assert_equal()
    assert counters[stream].indexed == sent(counters) == len(ODD)
    site.queries.clear()
    counters = site.run()
    assert counters[stream].read == 0
    assert site.queries[f"feed/fan_out.sql {stream}"] == 0
    assert site.queries[f"feed/undated.sql {stream}"] > 0


def test_links_of_odd_stamps_are_followed_and_their_films_not_sent_again(loaded: Site) -> None:
    films = [loaded.add_film(f"Film {number}", modified="now()") for number in range(len(ODD))]
    loaded.run()
    loaded.run()  # their own stamps lie below the horizon
    for film, created in zip(films, ODD, strict=True):
        loaded.label(film, loaded.add_genre("Old", modified="1990-01-01"), created=created)
    assert loaded.run()["genre"].indexed == len(ODD)
    for film, created in zip(films, ODD, strict=True):
        loaded.cast(film, loaded.add_person("Ann", modified="1990-01-01"), created=created)
    assert sent(loaded.run()) == len(ODD)  # by task genre: a document is built whole
    loaded.assert_equal()
    counters = loaded.run()
    assert (counters["genre"].unchanged, counters["person"].unchanged) == (len(ODD), len(ODD))
    assert sent(counters) == 0


@over(PERSONS)
def test_a_root_s_links_of_odd_stamps_are_followed_and_not_sent_again(loaded: Site) -> None:
    loaded.configure(page_size=2)
    film = loaded.add_film("Linked")
    for number, created in enumerate(ODD):
        person = loaded.add_person(f"Person {number}", modified="1990-01-01")  # behind the cursor
        loaded.cast(film, person, created=created)
    assert loaded.run()["person"].indexed == len(ODD)
    loaded.assert_equal()
    counters = loaded.run()
    assert (counters["person"].unchanged, sent(counters)) == (len(ODD), 0)


@pytest.mark.parametrize("created", [None, "2022-01-01", "2099-01-01"])
@over(MOVIES, PERSONS)
def test_a_link_to_nothing_leads_nowhere(loaded: Site, created: str | None) -> None:
    for column in ("person_id", "film_work_id"):
        loaded.execute(f"ALTER TABLE content.person_film_work ALTER COLUMN {column} DROP NOT NULL")
    loaded.execute(
        "INSERT INTO content.person_film_work (id, role, created)"
        " VALUES (gen_random_uuid(), 'actor', %s)",
        created,
    )
    loaded.queries.clear()
    assert sent(loaded.run()) == 0
    assert sum(number for file, number in loaded.queries.items() if "fan_out" in file) == 0
    loaded.assert_equal()
    cursor = loaded.cursors.load("person")
    assert cursor is not None
    assert cursor.tail == ()


def test_any_number_of_undated_films_is_part_of_the_first_load(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batches, "MAX_UNDATED_ROWS", 2)
    site.configure(page_size=2)
    for number in range(7):
        site.add_film(f"Undated {number}", modified=None)
    assert sent(site.run()) == 7
    site.assert_equal()
    assert "usable" not in caplog.text
    assert (site.run()["film_work"].unchanged, sent(site.run())) == (2, 0)
    assert "More than 2 rows of table film_work have no usable modified" in caplog.text
    assert "reload=film_work" in caplog.text


def test_of_too_many_undated_films_the_first_by_id_are_looked_at_in_each_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batches, "MAX_UNDATED_ROWS", 3)
    site.configure(page_size=2)
    ids = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(6)]
    for film in ids[1:5]:
        site.add_film("Undated", id=film, modified=None)
    site.run()
    site.add_film("First", id=ids[0], modified=None)
    site.add_film("Last", id=ids[5], modified=None)
    site.execute("UPDATE content.film_work SET title = title || '!'")
    counters = site.run()["film_work"]
    assert (counters.read, counters.indexed) == (3, 3)
    found = site.documents()
    assert [found[film]["title"] for film in ids[:4]] == [
        "First!",
        "Undated!",
        "Undated!",
        "Undated",
    ]
    assert ids[5] not in found
    assert "only the first 3 by id are looked at" in caplog.text
    site.run("film_work")
    site.assert_equal()


def test_more_undated_links_than_are_looked_at_are_told_with_the_way_out(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(batches, "MAX_UNDATED_ROWS", 2)
    genre = loaded.add_genre("Old", modified="1990-01-01")
    films = sorted(loaded.expected())[:3]
    for number, film in enumerate(films):
        link = f"{number}0000000-0000-4000-8000-000000000000"
        loaded.label(film, genre, id=link, created=None)
        counters = loaded.run()["genre"]
        assert counters.indexed == (number < 2)
    assert "More than 2 rows of table genre_film_work have no usable created" in caplog.text
    assert "reload=all" in caplog.text
    assert sent(loaded.run(reload="all")) == len(loaded.expected())
    loaded.assert_equal()


@each_index
@notices("2-margin")
def test_rows_above_the_horizon_are_sent_and_the_cursor_stays_below(loaded: Site) -> None:
    root = loaded.definition.root.name
    before = loaded.cursors.load(root)
    loaded.configure(horizon_margin=3600)
    fresh = loaded.add_root("Fresh", modified="now()")
    assert sent(loaded.run()) == 1
    loaded.assert_equal()
    after = loaded.cursors.load(root)
    assert before is not None
    assert after is not None
    assert after.rows == before.rows
    counters = loaded.run()
    assert (counters[root].read, sent(counters)) == (1, 0)
    loaded.configure(horizon_margin=0)
    assert sent(loaded.run()) == 0
    stable = loaded.cursors.load(root)
    assert stable is not None
    assert stable.rows is not None
    assert stable.rows.id == fresh


@each_index
@notices("2")
def test_a_transaction_that_commits_late_is_not_lost_and_delays_nobody(loaded: Site) -> None:
    late = {"film_work": "title, type", "genre": "name", "person": "full_name"}[loaded.table]
    values = ", ".join(["'Late'"] * len(late.split()))
    with psycopg.connect(loaded.dsn) as other:
        other.execute(
            f"INSERT INTO content.{loaded.table} (id, {late}, modified)"
            f" VALUES (gen_random_uuid(), {values}, now())"
        )
        loaded.add_root("Later", modified="now()")
        assert sent(loaded.run()) == 1
        loaded.assert_equal()
        other.commit()
    assert sent(loaded.run()) == 1
    loaded.assert_equal()


@over(PERSONS)
def test_a_retitled_film_and_a_new_link_that_are_committed_late_reach_their_persons(
    loaded: Site,
) -> None:
    film, person = loaded.add_film("Quiet"), loaded.add_person("Shy", modified="1990-01-01")
    with psycopg.connect(loaded.dsn) as other:
        other.execute("UPDATE content.film_work SET title = 'Late', rating = 3, modified = now()")
        other.execute(
            "INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)"
            " VALUES (gen_random_uuid(), %s, %s, 'actor', now())",
            (film, person),
        )
        loaded.add_person("Later", modified="now()")
        assert sent(loaded.run()) == 1
        other.commit()
    counters = loaded.run()
    loaded.assert_equal()
    assert counters["person"].indexed == 1
    assert counters["film_work"].indexed == 3
    assert sent(loaded.run()) == 0


def test_a_tail_longer_than_a_page_is_sent_whole(loaded: Site) -> None:
    loaded.configure(horizon_margin=3600, page_size=3)
    stamp = loaded.execute("SELECT now()").fetchone()
    assert stamp is not None
    genre = loaded.add_genre("Fresh", modified=stamp[0])
    for number in range(10):
        loaded.label(loaded.add_film(f"Fresh {number}", modified=stamp[0]), genre, created=stamp[0])
    counters = loaded.run()
    loaded.assert_equal()
    assert (counters["film_work"].indexed, sent(counters)) == (10, 10)
    assert sent(loaded.run()) == 0


@over(PERSONS)
def test_a_tail_of_films_and_links_longer_than_a_page_is_sent_whole(loaded: Site) -> None:
    loaded.configure(horizon_margin=3600, page_size=3)
    stamp = loaded.execute("SELECT now()").fetchone()
    assert stamp is not None
    film = loaded.add_film("Fresh", modified=stamp[0])
    for number in range(10):
        person = loaded.add_person(f"Person {number}", modified="1990-01-01")
        loaded.cast(film, person, created=stamp[0])
    counters = loaded.run()
    loaded.assert_equal()
    assert (counters["person"].indexed, counters["film_work"].unchanged) == (10, 10)
    counters = loaded.run()
    assert (counters["person"].unchanged, sent(counters)) == (10, 0)


@pytest.mark.parametrize(
    ("definition", "stream"),
    [(MOVIES, FILM_WORK), (MOVIES, GENRE), (PERSONS, PERSONS.streams[1])],
    ids=lambda value: value.name,
)
def test_a_tail_ends_though_somebody_goes_on_writing(ties: Site, stream: Stream) -> None:
    ties.run()
    ties.execute(f"UPDATE content.{stream.name} SET modified = now()")
    ties.configure(horizon_margin=3600)
    context = ties.open()
    cursor = ties.cursors.load(stream.name)
    assert cursor is not None
    read = 0
    for batch in batches.batches(stream, cursor, ties.source(), batches.Reading(context, 3)):
        read += len(batch.ids)
        assert read < 3 * TIES
        ties.execute(f"UPDATE content.{stream.name} SET modified = clock_timestamp()")
    assert read >= TIES


def test_a_cursor_remembers_so_many_rows_above_the_horizon(
    ties: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_REMEMBERED_ROWS", 5)
    ties.run()
    ties.execute("UPDATE content.genre SET modified = now()")
    ties.configure(horizon_margin=3600)
    ties.run()
    cursor = ties.cursors.load("genre")
    assert cursor is not None
    assert len(cursor.tail) == 5


@pytest.mark.parametrize(
    ("definition", "stream", "column", "text", "indexed"),
    [(MOVIES, "genre", "name", "Drama", 3), (PERSONS, "film_work", "title", "Film 1", 2)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_row_fanned_out_above_the_horizon_is_not_fanned_out_again_below_it(
    loaded: Site, stream: str, column: str, text: str, indexed: int
) -> None:
    change = f"UPDATE content.{stream} SET {column} = %s, modified = now() WHERE {column} = %s"
    loaded.configure(horizon_margin=3600)
    loaded.execute(change, "Noir", text)
    assert loaded.run()[stream].indexed == indexed
    loaded.assert_equal()
    loaded.configure(horizon_margin=0)
    loaded.queries.clear()
    assert loaded.run()[stream].read == 0
    assert loaded.queries[f"feed/fan_out.sql {stream}"] == 0
    cursor = loaded.cursors.load(stream)
    assert cursor is not None
    assert cursor.tail == ()
    assert cursor.rows is not None
    loaded.execute(change, "Film noir", "Noir")
    assert loaded.run()[stream].indexed == indexed
    loaded.assert_equal()
