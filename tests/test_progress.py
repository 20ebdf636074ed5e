"""What a task logs: a line per page with its rate, and one sentence at the end."""

from __future__ import annotations

import re

import pytest

from tests.support.indices import each_index
from tests.support.site import Site

PAGE = re.compile(
    r"film_work: page (\d+), ([\d,]+) films in \d+\.\d s \([\d,]+ films/s\); "
    r"so far ([\d,]+) read(?:, ([\d,]+) indexed)?"
)


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
    assert len(pages) == len(told) - 1
    assert [page for page, *_ in pages] == ["1", "2", "3", "4", "5"]  # each twice the one before
    assert [size for _, size, *_ in pages] == ["100", "200", "400", "800", "500"]
    assert [read for *_, read, _ in pages] == ["100", "300", "700", "1,500", "2,000"]
    assert re.fullmatch(
        r"film_work is done: 2,000 films in \d+\.\d s \([\d,]+ films/s\): 2,000 indexed", told[-1]
    )


@each_index
def test_a_task_that_finds_nothing_says_so_in_one_line(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    loaded.run()
    assert [one.partition(" is done after ")[0] for one in lines(caplog)] == [
        stream.name for stream in loaded.definition.streams
    ]
    assert all(one.endswith(" s: nothing to load") for one in lines(caplog))


def test_the_sentence_at_the_end_says_what_became_of_the_documents(
    loaded: Site, caplog: pytest.LogCaptureFixture
) -> None:
    loaded.add_film("Bad", rating="NaN", modified="now()")
    loaded.add_film("Good", modified="now()")
    loaded.execute("UPDATE content.film_work SET modified = now() WHERE title = 'Film 1'")
    caplog.clear()
    loaded.run()
    (told,) = [one for one in lines(caplog) if one.startswith("film_work is done")]
    assert told.endswith("films/s): 1 indexed, 1 unchanged, 1 refused and kept as dead letters")
