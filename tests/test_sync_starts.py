"""Where streams begin, and when everything is loaded again."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest
from elasticsearch.helpers import scan
from movies_etl.definitions.movies import FILM_WORK, GENRE, MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError
from movies_etl.postgres.assembly import Assembled
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import Cursor

from tests.support.indices import each_index, over
from tests.support.protections import notices
from tests.support.site import MemoryCursors, Site, sent


class CursorsWithEvent(MemoryCursors):
    """Cursors that let something happen when the first page is read and not sent yet."""

    def __init__(self, site: Site, *queries: str) -> None:
        super().__init__()
        self._site = site
        self._queries = queries

    def save(self, stream: str, cursor: Cursor) -> None:
        super().save(stream, cursor)
        if stream == self._site.definition.root.name and cursor.open:
            for query in self._queries:
                self._site.execute(query)
            self._queries = ()


def test_starts_are_written_for_genres_and_persons_first_and_films_last(small: Site) -> None:
    small.open()
    assert [stream for stream, _ in small.cursors.saves] == ["genre", "person", "film_work"]
    saved = dict(small.cursors.saves)
    assert saved["film_work"].rows is None
    for stream in ("genre", "person"):
        rows, links = saved[stream].rows, saved[stream].links
        assert rows is not None
        assert links is not None
        assert rows.stamp == links.stamp == "2020-01-01T00:00:00.000000+00:00"


@over(PERSONS)
def test_a_root_with_links_starts_at_the_beginning_of_its_rows_and_the_end_of_its_links(
    small: Site,
) -> None:
    small.open()
    assert [stream for stream, _ in small.cursors.saves] == ["film_work", "person"]
    saved = dict(small.cursors.saves)
    person, film_work = saved["person"], saved["film_work"]
    assert (person.rows, person.horizon) == (None, None)
    assert person.links is not None
    assert film_work.rows is not None
    assert film_work.links is None
    ends = {person.links.stamp, film_work.rows.stamp}
    assert ends == {"2020-01-01T00:00:00.000000+00:00"}
    first, _ = small.run().values()
    assert first.read == len(small.expected())  # no person is read for the links as well


@pytest.mark.parametrize(
    ("definition", "saves"),
    [(MOVIES, 1), (MOVIES, 2), (PERSONS, 1)],
    ids=lambda value: getattr(value, "name", str(value)),
)
@notices("5-reload")
def test_a_reload_whose_init_dies_between_two_cursors_skips_nothing(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    # The next run is told nothing of the reload: found by the simulation. Nothing else changes: a
    # change of another stream would bring this one with it.
    table = loaded.definition.streams[1].rows.table
    text = next(iter(loaded.definition.reads[table]))
    loaded.execute(f"UPDATE content.{table} SET {text} = {text} || ' again', modified = now()")
    save = loaded.cursors.save
    left = iter(range(saves))

    def save_or_die(stream: str, cursor: Cursor) -> None:
        next(left)
        save(stream, cursor)

    with monkeypatch.context() as patch:
        patch.setattr(loaded.cursors, "save", save_or_die)
        with pytest.raises(StopIteration):
            loaded.open(reload="all")
    loaded.run()
    loaded.assert_equal()


RENAME = (
    "UPDATE content.genre SET name = name || ' noir', modified = now()",
    "UPDATE content.person SET full_name = 'Zoe', modified = now() WHERE full_name = 'Ann'",
)
RETITLE = (
    "UPDATE content.film_work SET title = 'Other', rating = 1, modified = now()"
    " WHERE title = 'Film 1'"
)
LINK = (
    "INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)"
    " SELECT gen_random_uuid(), f.id, p.id, 'actor', now()"
    " FROM content.film_work f, content.person p WHERE f.title = 'Film 6'"
)


def test_a_genre_and_a_person_renamed_during_the_first_load_arrive(small: Site) -> None:
    small.configure(page_size=2, bulk_bytes=1000)
    small.cursors = CursorsWithEvent(small, *RENAME)
    counters = small.run()
    small.assert_equal()
    assert counters["genre"].indexed > 0
    assert sent(small.run()) == 0


@over(PERSONS)
def test_a_film_and_a_link_that_change_during_the_first_load_arrive(small: Site) -> None:
    small.configure(page_size=1, bulk_bytes=1000)
    small.cursors = CursorsWithEvent(small, RETITLE, LINK)
    counters = small.run()
    small.assert_equal()
    assert counters["film_work"].read > 0
    assert sent(small.run()) == 0


@notices("5")
@pytest.mark.parametrize(
    ("definition", "queries"),
    [(MOVIES, RENAME), (PERSONS, [RETITLE])],
    ids=[MOVIES.name, PERSONS.name],
)
def test_what_changes_during_a_first_load_arrives_though_its_run_ends_after_the_root(
    small: Site, queries: Sequence[str]
) -> None:
    # The same run would find it above its horizon, wherever its streams start.
    small.cursors = CursorsWithEvent(small, *queries)
    small.sync(small.definition.root, small.open())
    small.run()
    small.assert_equal()
    assert sent(small.run()) == 0


@each_index
def test_what_changes_between_init_and_the_tasks_arrives(small: Site) -> None:
    context = small.open()
    small.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    small.execute("UPDATE content.film_work SET rating = 1, modified = now()")
    film = small.add_film("Fresh", modified="now()")
    small.cast(film, small.add_person("Fresh", modified="now()"), created="now()")
    for stream in small.definition.streams:
        small.sync(stream, context)
    small.assert_equal()


@each_index
def test_without_the_root_s_cursor_everything_is_loaded_again(loaded: Site) -> None:
    before = loaded.versions()
    del loaded.cursors.texts[loaded.definition.root.name]
    first, *others = loaded.run().values()
    assert first.indexed == len(before)
    assert sum(counter.indexed for counter in others) == 0
    after = loaded.versions()
    assert all(after[film] > before[film] for film in before)
    assert sent(loaded.run()) == 0


@each_index
def test_without_any_cursor_everything_is_loaded_again(loaded: Site) -> None:
    loaded.cursors.texts.clear()
    # No stamps: only a full load shows it.
    loaded.execute("UPDATE content.genre SET name = 'Noir'")
    loaded.execute("UPDATE content.film_work SET rating = 1")
    first, *others = loaded.run().values()
    assert first.indexed == len(loaded.expected())
    assert sum(counter.indexed for counter in others) == 0
    loaded.assert_equal()
    assert len(loaded.client.indices.get_alias(name=loaded.definition.alias)) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("definition", "stream", "column", "indexed"),
    [
        (MOVIES, "genre", "name", 6),
        (MOVIES, "person", "full_name", 6),
        (PERSONS, "film_work", "title", 3),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_another_missing_cursor_begins_at_the_beginning_and_is_warned_about(
    loaded: Site, caplog: pytest.LogCaptureFixture, stream: str, column: str, indexed: int
) -> None:
    del loaded.cursors.texts[stream]
    loaded.execute(f"UPDATE content.{stream} SET {column} = 'Old', modified = '2000-01-01'")
    counters = loaded.run()
    loaded.assert_equal()
    assert counters[stream].indexed == indexed
    assert f"{stream} is loaded again: there is no cursor" in caplog.text
    assert sent(loaded.run()) == 0


@each_index
def test_a_deleted_index_is_made_anew_and_filled(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (index,) = loaded.client.indices.get_alias(name=loaded.definition.alias)
    loaded.client.indices.delete(index=index)
    assert sent(loaded.run()) == len(loaded.expected())
    loaded.assert_equal()
    assert "Everything is loaded: the cursor belongs to another index" in caplog.text


@each_index
@notices("13")
def test_a_recreated_index_of_the_same_name_is_filled(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (index,) = loaded.client.indices.get_alias(name=loaded.definition.alias)
    (made,) = loaded.client.indices.get(index=index).values()
    loaded.client.indices.delete(index=index)
    loaded.client.indices.create(
        index=index,
        mappings=made["mappings"],
        aliases={loaded.definition.alias: {}},
        settings={"analysis": made["settings"]["index"]["analysis"]},
    )
    assert sent(loaded.run()) == len(loaded.expected())
    loaded.assert_equal()
    assert "Everything is loaded: the cursor belongs to another index" in caplog.text


@pytest.mark.long
@each_index
@pytest.mark.parametrize("interrupted", [False, True])
@notices("13-emptied")
def test_an_emptied_index_is_filled_again(
    loaded: Site, caplog: pytest.LogCaptureFixture, *, interrupted: bool
) -> None:
    # An index that is emptied before its first load came to the end: found by the simulation.
    if interrupted:
        root = loaded.definition.root.name
        cursor = loaded.cursors.load(root)
        assert cursor is not None
        loaded.cursors.save(root, cursor.moved(horizon=None, open=True))
    (index,) = loaded.client.indices.get_alias(name=loaded.definition.alias)
    deletes = [{"delete": {"_index": index, "_id": id_}} for id_ in loaded.versions()]
    loaded.client.bulk(operations=deletes, refresh=True)
    assert sent(loaded.run()) == len(loaded.expected())
    loaded.assert_equal()
    assert f"Everything is loaded: index {index} was emptied" in caplog.text


def test_a_catalogue_of_which_every_film_is_refused_is_not_loaded_again_and_again(
    site: Site,
) -> None:
    for number in range(3):
        site.add_film(f"Never good {number}", rating="NaN")
    assert site.run()["film_work"].refused == 3
    site.add_film("Gone", rating="NaN", modified="now()")
    site.run()
    site.execute("DELETE FROM content.film_work WHERE title = 'Gone'")
    assert site.run()["film_work"].read == 0
    assert len(site.letters()) == 4
    film = site.add_film("Good, behind the cursor")
    assert sent(site.run()) == 1  # now the index lacks something
    assert site.documents().keys() == {film}


def test_an_alias_that_was_moved_to_another_index_has_that_index_filled(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (index,) = loaded.client.indices.get_alias(name="movies")
    (made,) = loaded.client.indices.get(index=index).values()
    loaded.client.indices.create(
        index="movies-other",
        mappings=made["mappings"],
        settings={"analysis": made["settings"]["index"]["analysis"]},
    )
    loaded.client.indices.update_aliases(
        actions=[
            {"remove": {"index": index, "alias": "movies"}},
            {"add": {"index": "movies-other", "alias": "movies"}},
        ]
    )
    assert sent(loaded.run()) == 7
    loaded.assert_equal()
    assert "Everything is loaded: the cursor belongs to another index" in caplog.text


@pytest.mark.long
@each_index
@pytest.mark.parametrize("what", ["alias", "index"])
def test_a_task_does_not_write_when_the_alias_has_left_its_index(loaded: Site, what: str) -> None:
    alias = loaded.definition.alias
    before = loaded.versions()
    loaded.change("Other")
    context = loaded.open()
    cursors = dict(loaded.cursors.texts)
    if what == "alias":
        loaded.client.indices.delete_alias(index=context.index, name=alias)
    else:
        loaded.client.indices.delete(index=context.index)
    with pytest.raises(
        ConfigurationError,
        match=rf"Alias {alias} is gone.*attempt wrote nothing; trigger a new run",
    ):
        loaded.sync(loaded.definition.root, context)
    assert loaded.cursors.texts == cursors
    if what == "alias":
        loaded.client.indices.put_alias(index=context.index, name=alias)
        assert loaded.versions() == before
    else:
        assert not loaded.client.indices.exists(index=f"{context.index},{alias}")


def test_a_cursor_that_was_removed_during_a_run_fails_the_task(loaded: Site) -> None:
    context = loaded.open()
    del loaded.cursors.texts["genre"]
    with pytest.raises(ConfigurationError, match="cursor of genre was removed"):
        loaded.sync(GENRE, context)
    assert "genre" not in loaded.cursors.texts
    loaded.run()
    assert loaded.cursors.texts.keys() == {"film_work", "genre", "person"}


def test_searches_see_a_run_s_changes_at_once(loaded: Site) -> None:
    loaded.client.indices.put_settings(index="movies", settings={"refresh_interval": "-1"})
    film = loaded.add_film("Fresh", modified="now()")
    loaded.run()
    assert film in {hit["_id"] for hit in scan(loaded.client, index="movies")}


def test_an_index_that_vanishes_in_the_middle_of_a_task_is_told_and_filled_by_the_next_run(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.configure(page_size=2)
    loaded.execute("UPDATE content.film_work SET title = title || '!', modified = now()")
    context = loaded.open()
    documents = Source.documents

    def vanish(
        source: Source, films: Sequence[str]
    ) -> tuple[int, Generator[list[Assembled], None, None]]:
        loaded.client.indices.delete(index=context.index, ignore_unavailable=True)
        return documents(source, films)

    with monkeypatch.context() as patched:
        patched.setattr(Source, "documents", vanish)
        with pytest.raises(ConfigurationError, match="vanished or was closed while"):
            loaded.sync(FILM_WORK, context)
    assert not loaded.client.indices.exists(index=context.index)
    loaded.run()
    loaded.assert_equal()
