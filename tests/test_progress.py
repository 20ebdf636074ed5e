"""What a task logs: a line per page with its rate, and one sentence at the end."""

from __future__ import annotations

import re

import pytest
from movies_etl.definitions.movies import FILM_WORK, MOVIES
from movies_etl.es.outcome import Item, Outcome
from movies_etl.reconcile import fuses
from movies_etl.reconcile.purge import approved, next_list
from movies_etl.sync.counters import Counters
from movies_etl.sync.progress import Progress

from tests.support.indices import each_index
from tests.support.site import Site

PAGE = re.compile(r"film_work: page (\d+) is done: ([\d,]+) films in \d+\.\d s \([\d,]+ films/s\)")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    logger = "movies_etl.sync.progress"
    return [one.getMessage() for one in caplog.records if one.name == logger]


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_a_load_logs_every_page_with_its_rate(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.fill(2_000)
    site.configure(page_size=100)
    site.run()
    told = [one for one in lines(caplog) if one.startswith("film_work")]
    pages = [match.groups() for one in told[:-1] if (match := PAGE.fullmatch(one))]
    assert pages == [  # each twice the one before
        *(("1", "100"), ("2", "300"), ("3", "700"), ("4", "1,500"), ("5", "2,000"))
    ]
    assert len(told) == len(pages) + 1
    assert re.fullmatch(
        r"film_work is done: 2,000 films in \d+\.\d s \([\d,]+ films/s\): 2,000 indexed", told[-1]
    )


def test_a_page_is_told_when_its_last_document_is_settled_and_not_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counters = Counters()
    progress = Progress(FILM_WORK, MOVIES, counters)

    def read(documents: int, queued: int) -> None:
        counters.pages += 1
        counters.read += documents
        progress.queued(queued)
        progress.page()

    def settle(documents: int) -> None:
        items = [Item("x", 1, b"{}")] * documents
        progress.settled(Outcome(indexed=items[1:], conflicts=items[:1]))

    def told() -> list[int]:
        return [int(match[1]) for one in lines(caplog) if (match := PAGE.match(one))]

    read(10, queued=0)  # unchanged
    assert told() == [1]
    read(10, queued=7)
    read(10, queued=0)
    read(5, queued=5)
    settle(6)
    assert told() == [1]
    settle(2)
    assert told() == [1, 2, 3]
    settle(4)
    assert told() == [1, 2, 3, 4]


@each_index
def test_a_task_that_finds_nothing_says_so_in_one_line(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    loaded.run()
    assert [one.partition(", ")[0] for one in lines(caplog)] == [
        f"{stream.name} is done: nothing to load" for stream in loaded.definition.streams
    ]


def test_the_sentence_at_the_end_says_what_became_of_the_documents(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.add_film("Bad", rating="NaN", modified="now()")
    loaded.add_film("Good", modified="now()")
    loaded.execute("UPDATE content.film_work SET modified = now() WHERE title = 'Film 1'")
    caplog.clear()
    loaded.run()
    (told,) = [one for one in lines(caplog) if one.startswith("film_work is done")]
    did, _, _ = told.partition("; ")
    assert did.endswith("films/s): 1 indexed, 1 unchanged, 1 refused and kept as dead letters")


def test_the_reconcile_and_the_purge_say_in_words_what_they_did(
    loaded: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.execute("DELETE FROM content.film_work WHERE title IN ('Film 1', 'Film 2')")
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 1)
    loaded.reconcile("presence")
    with loaded.beside() as resources:
        one = next_list(resources, loaded.settings, "a run")
        assert one
        approved(resources, loaded.settings, one.digest, "Ann")
    loaded.reconcile("presence")
    told = [
        one.getMessage()
        for one in caplog.records
        if one.name.startswith("movies_etl.reconcile") and one.levelname == "INFO"
    ]
    said = [re.sub(r" in \d+\.\d s|List \w+", "", line) for line in told]
    assert [line for line in said if "is done: " in line or "again: " in line] == [
        "presence is done: 7 looked at: 2 without a row, 2 left to a person",
        "Read 2 candidates again: 2 deleted",
        " is done: 2 deleted",
        "presence is done: 5 looked at: nothing to correct",
    ]
    assert not any("{'" in line for line in told)
