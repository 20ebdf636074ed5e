"""What somebody asks for in the trigger form: ids as they are, unknown ones named, blank lines."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from movies_etl.airflow import trigger
from movies_etl.errors import ConfigurationError
from movies_etl.postgres import ids
from movies_etl.postgres.layout import LOWEST_IDS
from movies_etl.sync.asked_for import RunParams, checked

from tests.support.indices import each_index
from tests.support.site import Site, sent

UUID = "3d825f60-9fff-4dfe-b294-1a45fa1e115d"


@pytest.mark.parametrize(
    ("kind", "text", "id_"),
    [
        ("uuid", UUID, UUID),
        ("uuid", UUID.upper(), UUID),
        ("uuid", UUID.replace("-", ""), UUID),
        ("uuid", UUID[:-1], None),
        ("uuid", f"{UUID}0", None),
        ("uuid", "tt0111161", None),
        ("uuid", f"1_{UUID[2:]}", None),
        ("integer", "17", "17"),
        ("integer", "-17", "-17"),
        ("integer", "+017", "17"),
        ("integer", "2147483647", "2147483647"),
        ("integer", "2147483648", None),
        ("integer", "-2147483648", "-2147483648"),
        ("integer", "-2147483649", None),
        ("integer", "1.5", None),
        ("integer", "1_0", None),
        ("integer", "٣", None),
        ("integer", "9" * 5000, None),
        ("integer", UUID, None),
        ("bigint", "2147483648", "2147483648"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("bigint", "9223372036854775808", None),
        ("text", "tt0111161", "tt0111161"),
        ("text", UUID.upper(), UUID.upper()),
        ("text", "a\0b", None),
        ("character varying", "tt0111161", "tt0111161"),
    ],
)
def test_an_id_is_checked_as_what_the_catalogue_has(kind: str, text: str, id_: str | None) -> None:
    assert ids.written(text, LOWEST_IDS[kind]) == id_


def test_every_type_of_ids_has_words() -> None:
    assert {kind: ids.in_words(lowest) for kind, lowest in LOWEST_IDS.items()} == {
        "uuid": "a UUID",
        "text": "a text",
        "character varying": "a text",
        "integer": "a whole number from -2147483648 to 2147483647",
        "bigint": "a whole number from -9223372036854775808 to 9223372036854775807",
    }


def test_lines_are_ids_and_blank_ones_say_nothing() -> None:
    asked = trigger.asked_for(
        {"ids": ["", f" {UUID}\t", "   ", "17"], "replay": None, "page_size": 5}
    )
    assert asked == RunParams(page_size=5, ids=(UUID, "17"), replay=())


@each_index
def test_ids_that_are_asked_for_are_loaded_in_whatever_spelling(loaded: Site) -> None:
    first, second, *_ = sorted(loaded.documents())
    before = loaded.versions()
    root, *others = loaded.run(asked=RunParams(ids=(first.upper(), second, first))).values()
    assert (root.read, root.indexed, root.unknown) == (2, 2, [])
    assert [other.indexed for other in others] == [0 for _ in others]
    after = loaded.versions()
    assert {one for one in after if after[one] > before[one]} == {first, second}


@each_index
def test_ids_that_the_catalogue_lacks_are_named_in_the_result_and_the_log(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    known, gone, never = min(loaded.documents()), str(uuid4()), str(uuid4())
    counters = loaded.run(asked=RunParams(ids=(gone, known, never)))[loaded.definition.root.name]
    assert (counters.read, counters.indexed, counters.unknown) == (1, 1, [gone, never])
    assert counters.as_result()["unknown"] == [gone, never]
    told = f"The catalogue has no {loaded.definition.noun} of id '{gone}', '{never}'"
    assert told in caplog.messages


@each_index
def test_dead_letters_that_are_not_there_are_named(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    fine, never = min(loaded.documents()), str(uuid4())
    counters = loaded.run(asked=RunParams(replay=(fine, never)))[loaded.definition.root.name]
    assert (counters.read, counters.unknown) == (0, [fine, never])
    (told,) = [one for one in caplog.messages if one.startswith("No dead letter is there of")]
    assert f"'{fine}', '{never}'" in told
    assert (
        "unknown"
        not in loaded.run(asked=RunParams(replay=("all",)))[loaded.definition.root.name].as_result()
    )


def test_a_letter_of_a_film_that_was_deleted_is_named(loaded: Site) -> None:
    film = loaded.add_film("Bad", rating="NaN", modified="now()")
    loaded.run()
    loaded.execute("DELETE FROM content.film_work WHERE id = %s", film)
    counters = loaded.run(asked=RunParams(replay=("all",)))["film_work"]
    assert (counters.read, counters.unknown) == (0, [film])


@each_index
def test_what_cannot_be_an_id_is_refused_with_the_ids_and_what_one_is(loaded: Site) -> None:
    asked = RunParams(ids=("tt1", UUID), replay=("ALL", *map(str, range(20))))
    with pytest.raises(
        ConfigurationError,
        match=re.escape(
            f"No {loaded.definition.noun} can have the id 'tt1', 'ALL', '0', '1', '2', '3', '4', "
            "'5', '6', '7' and 12 more: an id of this catalogue is a UUID. Nothing was done"
        ),
    ):
        checked(asked, loaded.source())


def test_texts_are_ids_where_ids_are_texts(loaded: Site) -> None:
    loaded.use_text_ids()
    loaded.reconnect()
    film = loaded.add_film("A film", id="tt 1", modified="2000-01-01")  # below the cursor
    assert sent(loaded.run(asked=RunParams(ids=("tt 1", "tt 2")))) == 1
    assert film in loaded.documents()
