"""Documents that are refused: one bad film stops nobody, many say that something else is wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from movies_etl.definitions.genres import GENRES
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.errors import ConfigurationError, IndexUnavailableError, RefusedDocumentsError
from movies_etl.es.bulk import Sender
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.es.letters import Letter
from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.throttle import Throttle
from movies_etl.postgres.assembly import Assembled
from movies_etl.postgres.source import Source
from movies_etl.sync import stream_run
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.versions import RESERVED_MICROSECONDS

from tests.support.faults import Faults, too_large
from tests.support.indices import each_index, over
from tests.support.protections import notices
from tests.support.site import Site, sent

TOO_LONG = "x" * 40_000
"""A title that Elasticsearch refuses: title.raw takes 32,766 bytes."""


@notices("11")
def test_a_film_that_does_not_validate_becomes_a_dead_letter(loaded: Site) -> None:
    film = loaded.add_film("Good", rating=5)
    loaded.run(asked=RunParams(ids=[film]))
    good = loaded.documents()
    loaded.execute(
        "UPDATE content.film_work SET rating = 'NaN', title = 'Bad', modified = now()"
        " WHERE id = %s",
        film,
    )
    loaded.add_film("After it", modified="now()")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.refused) == (1, 1)
    assert loaded.documents()[film] == good[film]
    letters = loaded.letters()
    assert letters.keys() == {film}
    letter = letters[film]
    assert letter["stage"] == "validation"
    assert "imdb_rating" in letter["reason"]
    assert "NaN" in letter["reason"]
    assert '"title":"Bad"' in letter["document"]
    assert letter["attempts"] == 1
    again = loaded.run()["film_work"]
    assert (again.read, again.refused) == (0, 0)  # the cursor went on


@notices("11-stop", raises=ConfigurationError)
@each_index
def test_a_document_that_elasticsearch_refuses_becomes_a_dead_letter(loaded: Site) -> None:
    root = loaded.definition.root.name
    bad = loaded.add_root(TOO_LONG, modified="now()")
    other = loaded.add_root("Beside it", modified="now()")
    counters = loaded.run()[root]
    assert (counters.indexed, counters.refused) == (1, 1)
    assert other in loaded.documents()
    assert bad not in loaded.documents()
    letter = loaded.letters()[bad]
    assert letter["stage"] == "indexing"
    assert f"{loaded.text}.raw" in letter["reason"]
    assert TOO_LONG in letter["document"]
    assert loaded.run()[root].read == 0
    loaded.change("Short", f"id = '{bad}'")
    assert sent(loaded.run()) == 1
    assert loaded.letters() == {}
    loaded.assert_equal()


@over(PERSONS, GENRES)
def test_a_person_or_a_genre_without_a_name_becomes_a_dead_letter(loaded: Site) -> None:
    loaded.execute(f"ALTER TABLE content.{loaded.table} ALTER COLUMN {loaded.text} DROP NOT NULL")
    good = loaded.documents()
    bad = min(good)
    loaded.execute(
        f"UPDATE content.{loaded.table} SET {loaded.text} = NULL, modified = now() WHERE id = %s",
        bad,
    )
    loaded.add_root("Beside it", modified="now()")
    counters = loaded.run()[loaded.definition.root.name]
    assert (counters.indexed, counters.refused) == (1, 1)
    assert loaded.documents()[bad] == good[bad]
    letter = loaded.letters()[bad]
    assert letter["stage"] == "validation"
    assert f"{loaded.text}: Input should be a valid string" in letter["reason"]


@over(PERSONS)
def test_a_film_of_a_bad_rating_refuses_none_of_its_persons(loaded: Site) -> None:
    film = loaded.add_film("Bad", rating=5)
    for number in range(25):
        loaded.cast(film, loaded.add_person(f"Person {number}", modified="now()"))
    loaded.run()
    for rating in ("NaN", "Infinity", "-Infinity", None, 3.5):
        loaded.execute(
            "UPDATE content.film_work SET rating = %s, modified = now() WHERE id = %s", rating, film
        )
        loaded.run()
        loaded.assert_equal()
    assert loaded.letters() == {}


@pytest.mark.parametrize("modified", ["2021-01-01", None])
@pytest.mark.parametrize(
    ("rating", "stage", "reason"), [(5, "indexing", "too large"), ("NaN", "validation", "NaN")]
)
def test_a_film_too_large_to_be_sent_stops_nobody(
    loaded: Site, rating: object, stage: str, reason: str, modified: str | None
) -> None:
    film = loaded.add_film("Bad", rating=rating, description='"' * 2_000_000, modified=modified)
    other = loaded.add_film("Beside it", modified="2022-01-01")
    (node,) = loaded.client.transport.node_pool.all()
    with Faults(forever=too_large(2**20)).client(node.base_url) as limited:
        loaded.client = limited
        assert loaded.run()["film_work"].refused == 1
        again = loaded.run()["film_work"]
        assert (again.read, again.unchanged) == ((1, 1) if modified is None else (0, 0))
        letter = loaded.letters()[film]
        assert (letter["stage"], letter["attempts"]) == (stage, 1)
        assert reason in letter["reason"]
        assert " ... (cut, sha256 of all: " in letter["document"]
        assert other in loaded.documents()
        loaded.execute(
            "UPDATE content.film_work SET rating = 5, description = 'Short', modified = now()"
            " WHERE id = %s",
            film,
        )
        loaded.run()
        loaded.assert_equal()
        assert loaded.letters() == {}


@pytest.mark.long
@pytest.mark.parametrize("rating", [5, "NaN"])
def test_a_film_beyond_the_servers_own_limit_stops_nobody(loaded: Site, rating: object) -> None:
    film = loaded.add_film(rating=rating, description="x " * 52_600_000, modified="2021-01-01")
    other = loaded.add_film("Beside it", modified="2022-01-01")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.refused) == (1, 1)
    assert other in loaded.documents()
    assert " ... (cut, sha256 of all: " in loaded.letters()[film]["document"]
    assert loaded.run()["film_work"].read == 0


def test_a_letter_is_kept_although_one_of_a_deleted_index_was_ahead_of_the_clock(
    loaded: Site,
) -> None:
    film = loaded.add_film("NaN", rating="NaN", modified="now()")
    ahead = loaded.source().server.clock() + RESERVED_MICROSECONDS // 2  # as after a task that died
    letters = DeadLetters(loaded.client, MOVIES)
    letters.park([Letter(film, "validation", "a reason", "{}")], "2026-01-01T00:00:00Z", ahead)
    letters.resolve([film], ahead)
    loaded.client.indices.delete(index=loaded.open().index)
    loaded.cursors.texts.clear()
    loaded.run()
    assert loaded.letters().keys() == {film}


def test_a_letter_disappears_when_its_film_is_mended(loaded: Site) -> None:
    films = [
        loaded.add_film(TOO_LONG, modified="now()"),
        loaded.add_film("NaN", rating="NaN", modified="now()"),
    ]
    loaded.run()
    assert loaded.letters().keys() == set(films)
    loaded.execute(
        "UPDATE content.film_work SET title = 'Fixed', rating = 1, modified = now()"
        " WHERE id = ANY(%s::uuid[])",
        films,
    )
    assert sent(loaded.run()) == 2
    assert loaded.letters() == {}
    loaded.assert_equal()


def test_a_letter_disappears_when_the_film_returns_to_what_the_index_has(loaded: Site) -> None:
    film = next(iter(loaded.expected()))
    before = loaded.execute("SELECT rating FROM content.film_work WHERE id = %s", film).fetchone()
    assert before is not None
    update = "UPDATE content.film_work SET rating = %s, modified = now() WHERE id = %s"
    loaded.execute(update, "NaN", film)
    loaded.run()
    assert loaded.letters().keys() == {film}
    loaded.execute(update, before[0], film)
    assert loaded.run()["film_work"].unchanged == 1
    assert loaded.letters() == {}
    loaded.assert_equal()


@each_index
def test_a_replayed_document_that_is_still_bad_keeps_its_letter_and_counts(loaded: Site) -> None:
    bad = loaded.add_root(TOO_LONG, modified="now()")
    loaded.run()
    first = loaded.letters()[bad]
    counters = loaded.run(asked=RunParams(replay=[bad]))[loaded.definition.root.name]
    assert (counters.read, counters.refused) == (1, 1)
    second = loaded.letters()[bad]
    assert second["attempts"] == 2
    assert second["first_seen"] == first["first_seen"]
    assert second["last_seen"] > first["last_seen"]


@each_index
@pytest.mark.parametrize("all_of_them", [False, True])
def test_replay_loads_documents_that_were_corrected_without_a_stamp(
    loaded: Site, *, all_of_them: bool
) -> None:
    bad = {loaded.add_root(f"{n}{TOO_LONG}", modified="now()") for n in range(3)}
    loaded.run()
    loaded.execute(
        f"UPDATE content.{loaded.table} SET {loaded.text} = 'Short' WHERE length({loaded.text}) > 9"
    )
    asked = {"all"} if all_of_them else {min(bad)}
    counters = loaded.run(asked=RunParams(replay=sorted(asked)))
    replayed = bad if all_of_them else asked
    assert sent(counters) == len(replayed)
    assert loaded.letters().keys() == bad - replayed
    found, wanted = loaded.documents(), loaded.expected()
    assert {one: found.get(one) for one in replayed} == {one: wanted[one] for one in replayed}


@pytest.mark.parametrize("modified", [None, "2099-01-01"])
@pytest.mark.parametrize("bad", [{"rating": "Infinity"}, {"title": TOO_LONG}])
def test_a_film_that_is_read_in_every_run_is_refused_once(
    loaded: Site, modified: str | None, bad: dict[str, str]
) -> None:
    film = loaded.add_film("Bad", modified=modified)
    loaded.run()
    for column, value in bad.items():
        loaded.execute(f"UPDATE content.film_work SET {column} = %s WHERE id = %s", value, film)
    assert loaded.run()["film_work"].refused == 1
    letters = loaded.letters()
    again = loaded.run()["film_work"]
    assert (again.read, again.unchanged, again.refused) == (1, 1, 0)
    assert loaded.letters() == letters
    assert letters[film]["attempts"] == 1
    loaded.execute("UPDATE content.film_work SET description = 'other' WHERE id = %s", film)
    assert loaded.run()["film_work"].refused == 1
    assert loaded.run(asked=RunParams(replay=[film]))["film_work"].refused >= 1
    assert loaded.letters()[film]["attempts"] > 2
    loaded.execute("UPDATE content.film_work SET rating = 7, title = 'x' WHERE id = %s", film)
    loaded.run()
    loaded.assert_equal()
    assert loaded.letters() == {}


@notices("11-late")
def test_a_letter_that_arrives_late_goes_away_by_itself(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = next(iter(loaded.expected()))
    before = loaded.execute("SELECT rating FROM content.film_work WHERE id = %s", film).fetchone()
    assert before is not None
    update = "UPDATE content.film_work SET rating = %s, modified = now() WHERE id = %s"
    late: list[Callable[[], None]] = []

    def die(letters: DeadLetters, operations: Sequence[dict[str, Any]]) -> None:
        late.append(lambda: write(letters, operations))
        raise KeyboardInterrupt

    write = DeadLetters._write
    loaded.execute(update, "NaN", film)
    with monkeypatch.context() as dying:
        dying.setattr(DeadLetters, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            loaded.run()
    loaded.execute(update, before[0], film)
    loaded.run()
    late[0]()
    assert loaded.letters().keys() == {film}
    assert sent(loaded.run()) == 0
    assert loaded.letters() == {}
    loaded.assert_equal()


@notices("11-again")
def test_a_text_that_was_refused_before_a_task_died_is_refused_again(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = loaded.add_film("Bad", rating="NaN", modified="now()")
    loaded.run()
    rate = "UPDATE content.film_work SET rating = %s, modified = now() WHERE id = %s"
    late: list[Item] = []

    def die(items: Sequence[Item]) -> Outcome:
        late.extend(items)
        raise IndexUnavailableError("killed")

    loaded.execute(rate, 7, film)
    with monkeypatch.context() as dying:
        dying.setattr(stream_run, "Sender", lambda *_: die)
        with pytest.raises(IndexUnavailableError, match="killed"):
            loaded.run()
    loaded.execute(rate, "NaN", film)
    assert loaded.run()["film_work"].refused == 1
    index = Index(loaded.client, MOVIES, loaded.open().index)
    assert Sender(index, 0, Throttle(5_000_000, 1))(late).indexed == late
    loaded.run()
    assert loaded.letters().keys() == {film}


@each_index
def test_many_refused_and_none_accepted_fail_the_task_and_save_nothing(loaded: Site) -> None:
    root, noun = loaded.definition.root.name, loaded.definition.noun
    for _ in range(25):
        loaded.add_root(TOO_LONG, modified="now()")
    before = loaded.cursors.load(root)
    with pytest.raises(RefusedDocumentsError, match=rf"25 documents .* accepted; {noun} .*raw"):
        loaded.run()
    after = loaded.cursors.load(root)
    assert before is not None
    assert after is not None
    assert (after.rows, after.horizon) == (before.rows, before.horizon)
    assert loaded.letters() == {}
    loaded.execute(
        f"UPDATE content.{loaded.table} SET {loaded.text} = 'Short'"
        f" WHERE length({loaded.text}) > 999"
    )
    assert sent(loaded.run()) == 25
    loaded.assert_equal()


def test_many_refused_in_several_requests_say_where_the_cursor_stands(loaded: Site) -> None:
    loaded.configure(page_size=10, bulk_bytes=390_000, senders=1)
    for _ in range(25):
        loaded.add_film(TOO_LONG, modified="now()")
    before = loaded.cursors.load("film_work")
    with pytest.raises(RefusedDocumentsError) as raised:
        loaded.run()
    after = loaded.cursors.load("film_work")
    assert before is not None
    assert after is not None
    assert after.rows != before.rows
    assert len(loaded.letters()) == 10
    assert "20 documents were refused and none accepted" in str(raised.value)
    assert "cursor stands at the last settled page; 10 of them are dead letters" in str(
        raised.value
    )
    loaded.execute("UPDATE content.film_work SET title = 'Short' WHERE length(title) > 999")
    assert sent(loaded.run(asked=RunParams(replay=["all"]))) == 25
    loaded.assert_equal()


@each_index
def test_many_that_do_not_validate_and_none_that_does_fail_the_task_and_save_nothing(
    loaded: Site,
) -> None:
    root = loaded.definition.root
    loaded.execute(f"ALTER TABLE content.{loaded.table} ALTER {loaded.text} DROP NOT NULL")
    for _ in range(25):
        loaded.add_root(None, modified="now()")
    before = loaded.cursors.load(root.name)
    with pytest.raises(RefusedDocumentsError, match=r"25 documents were refused.*\(got null\)"):
        loaded.run()
    after = loaded.cursors.load(root.name)
    assert before is not None
    assert after is not None
    assert (after.rows, after.horizon) == (before.rows, before.horizon)
    assert loaded.letters() == {}
    loaded.change("Fixed", "text IS NULL")
    assert sent(loaded.run()) == 25
    loaded.assert_equal()


def test_a_first_load_of_which_nothing_is_valid_fails_before_it_makes_letters(site: Site) -> None:
    site.fill(100)
    site.execute("UPDATE content.film_work SET rating = 'NaN'")
    with pytest.raises(RefusedDocumentsError, match="100 documents were refused"):
        site.run()
    assert site.letters() == {}
    site.execute("UPDATE content.film_work SET rating = 5")
    assert sent(site.run()) == 100
    site.assert_equal()


@pytest.mark.parametrize("good", ["new", "unchanged"])
def test_many_that_do_not_validate_beside_one_that_is_good_are_dead_letters(
    loaded: Site, good: str
) -> None:
    loaded.add_film("Good", modified="now()" if good == "new" else None)
    if good == "unchanged":
        loaded.run()
    for _ in range(25):
        loaded.add_film("Bad", rating="NaN", modified="now()" if good == "new" else None)
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.refused) == (good == "new", 25)
    assert len(loaded.letters()) == 25
    assert loaded.run()["film_work"].refused == 0


def test_letters_that_are_tried_again_and_are_still_bad_stop_nobody(loaded: Site) -> None:
    loaded.add_film("Good", modified="now()")
    for _ in range(25):
        loaded.add_film("Bad", rating="NaN", modified="now()")
    loaded.run()
    film = loaded.add_film("Beside them", modified="now()")
    assert loaded.run(asked=RunParams(replay=["all"]))["film_work"].refused == 25
    assert film in loaded.documents()


def test_many_refused_beside_one_accepted_are_dead_letters(loaded: Site) -> None:
    for _ in range(25):
        loaded.add_film(TOO_LONG, modified="now()")
    loaded.add_film("Good", modified="now()")
    counters = loaded.run()["film_work"]
    assert (counters.indexed, counters.refused) == (1, 25)
    assert len(loaded.letters()) == 25


@pytest.mark.parametrize(
    ("column", "value", "is_refused"),
    [("title", "Fixed", False), ("title", TOO_LONG + "!", True), ("rating", "NaN", True)],
)
def test_of_two_readings_in_one_body_the_newer_decides_whether_there_is_a_letter(
    loaded: Site, monkeypatch: pytest.MonkeyPatch, column: str, value: str, *, is_refused: bool
) -> None:
    film = loaded.add_film("Good" if is_refused else TOO_LONG, modified="now()")
    documents = Source.documents

    def read_and_change(
        source: Source, films: Sequence[str]
    ) -> tuple[int, Generator[list[Assembled], None, None]]:
        monkeypatch.undo()
        version, pieces = documents(source, films)
        read = list(pieces)
        loaded.execute(
            f"UPDATE content.film_work SET {column} = %s, modified = now() WHERE id = %s",
            value,
            film,
        )
        return version, (piece for piece in read)

    monkeypatch.setattr(Source, "documents", read_and_change)
    assert loaded.run()["film_work"].read == 2
    assert loaded.letters().keys() == ({film} if is_refused else set())
    loaded.run()
    assert loaded.letters().keys() == ({film} if is_refused else set())
