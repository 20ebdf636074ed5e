"""Rows that a task that goes on has compared above the horizon, when the horizon passes them."""

from __future__ import annotations

import pytest
from movies_etl.definitions.persons import PERSONS
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import Cursor
from movies_etl.state.run_context import RunContext
from movies_etl.sync.batches import Reading, batches
from movies_etl.sync.compared import Compared

from tests.support.indices import over
from tests.support.site import Site


class Spell:
    """Readings of one spell over the root's stream.

    ``cursor`` is where the last reading has led.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stream = site.definition.root
        cursor = site.cursors.load(self._stream.name)
        assert cursor
        self.cursor: Cursor = cursor
        self._compared = Compared()

    def read(self, context: RunContext, *, pages: int = 100) -> list[str]:
        """Return the documents that are loaded.

        :param pages: another task waits after so many.
        """
        reading = Reading(context, page_size=1, compared=self._compared)
        found: list[str] = []
        for batch in batches(self._stream, self.cursor, self._site.source(), reading):
            self.cursor = batch.reached or self.cursor
            found += batch.ids
            pages -= bool(batch.ids)
            if not pages:
                break
        return found


@pytest.fixture
def beginning(loaded: Site) -> RunContext:
    """A context whose horizon lies below all that is written from here on."""
    return loaded.open()


def test_a_row_that_was_compared_is_passed_and_its_document_left_out(
    loaded: Site, beginning: RunContext
) -> None:
    spell, film = Spell(loaded), loaded.add_film("New", modified="now()")
    assert spell.read(beginning) == [film]
    assert spell.read(beginning) == []
    assert spell.cursor.rows is None or spell.cursor.rows.id != film
    assert spell.read(loaded.open()) == []
    assert spell.cursor.rows
    assert spell.cursor.rows.id == film


def test_a_row_that_was_written_again_is_loaded_again(loaded: Site, beginning: RunContext) -> None:
    spell, film = Spell(loaded), loaded.add_film("New", modified="now()")
    assert spell.read(beginning) == [film]
    loaded.change("Newer", "title = 'New'")
    assert spell.read(loaded.open()) == [film]


def test_a_reading_that_was_cut_short_has_compared_nothing(
    loaded: Site, beginning: RunContext
) -> None:
    spell = Spell(loaded)
    films = [loaded.add_film(title, modified="now()") for title in ("One", "Two")]
    assert spell.read(beginning, pages=1) == films[:1]
    assert spell.read(loaded.open()) == films


def test_a_row_that_only_a_replica_shows_is_loaded_again(
    loaded: Site, beginning: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of the primary may have built the document without it meanwhile, or deleted it."""
    spell, film = Spell(loaded), loaded.add_film("New", modified="now()")
    with monkeypatch.context() as patches:
        patches.setattr(Source, "lasting", lambda *_: [])
        assert spell.read(beginning) == [film]
    assert spell.read(loaded.open()) == [film]


@over(PERSONS)
def test_links_of_the_root_too(loaded: Site, beginning: RunContext) -> None:
    spell = Spell(loaded)
    loaded.execute(
        "INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)"
        " SELECT gen_random_uuid(), film.id, person.id, 'writer', now()"
        " FROM content.film_work film, content.person person WHERE NOT EXISTS"
        " (SELECT FROM content.person_film_work WHERE (film_work_id, person_id) ="
        " (film.id, person.id)) LIMIT 1"
    )
    assert len(spell.read(beginning)) == 1
    assert spell.read(beginning) == []
    assert spell.read(loaded.open()) == []
