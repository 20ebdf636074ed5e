"""The comparison of counts: it tells drift, and nothing else."""

from __future__ import annotations

import logging

import pytest
from movies_etl import counts
from movies_etl.streams import STREAMS

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.site import Site
from tests.tasks import Tasks


@pytest.fixture
def tasks(
    small: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Tasks:
    """The tasks after a first run of the small catalogue."""
    monkeypatch.setattr(counts, "_is_due", lambda _: True)
    tasks = Tasks(small, monkeypatch, (postgres.port, elasticsearch_node.port))
    assert tasks.run()["person"]["difference"] == 0
    return tasks


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of counts, and forget them."""
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "than the database" in record.getMessage()
    ]
    caplog.clear()
    return warnings


def run_while_films_arrive(tasks: Tasks, site: Site, films: int) -> int:
    """Do a run before whose comparison films are added; return its difference."""
    window = tasks.init()
    for stream in STREAMS:
        if stream is STREAMS[-1]:
            for _ in range(films):
                site.add_film("Just arrived", modified="now()")
        result = tasks.sync(stream, window)
    return int(result["difference"])


def test_films_that_were_deleted_are_told_when_the_next_run_finds_them_too(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.execute("DELETE FROM content.film_work WHERE title IN ('Film 1', 'Film 2')")
    assert tasks.run()["person"]["difference"] == -2
    assert said(caplog) == []
    assert tasks.run()["person"]["difference"] == -2
    assert "2 films more than the database" in said(caplog)[0]


def test_a_row_behind_the_cursor_is_told_when_the_next_run_finds_it_too(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [1, 1]
    (warning,) = said(caplog)
    assert "1 films less than the database" in warning


def test_films_that_arrive_during_every_run_are_no_drift(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    assert [run_while_films_arrive(tasks, small, 2) for _ in range(3)] == [0, 0, 0]
    assert said(caplog) == []
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert [run_while_films_arrive(tasks, small, 2) for _ in range(2)] == [3, 3]
    assert len(said(caplog)) == 1


def test_a_difference_that_grows_from_run_to_run_is_told(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    differences = []
    for number in range(3):
        small.execute("DELETE FROM content.film_work WHERE title = %s", f"Film {number}")
        differences.append(tasks.run()["person"]["difference"])
    assert differences == [-1, -2, -3]
    assert [warning.partition(". ")[0] for warning in said(caplog)] == [
        f"The index has {now} films more than the database, after {before} in the last comparison"
        for now, before in ((2, 1), (3, 2))
    ]


def test_what_was_deleted_does_not_make_up_for_what_is_missing(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.execute("DELETE FROM content.film_work WHERE title = 'Film 1'")
    tasks.run()
    for _ in range(2):
        small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert tasks.run()["person"]["difference"] == 1
    assert said(caplog) == []
    assert tasks.run()["person"]["difference"] == 1
    assert len(said(caplog)) == 1


def test_a_row_behind_the_cursor_is_told_while_other_films_change(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    tasks.configure(horizon_margin="3600")
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    small.add_film("Refused", rating="NaN", modified="now()")
    for title in ("Film 1", "Film 2"):
        small.execute("UPDATE content.film_work SET modified = now() WHERE title = %s", title)
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [1, 1]
    assert len(said(caplog)) == 1


def test_films_that_were_never_indexed_for_a_letter_are_no_drift(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.add_film("Never good", rating="NaN", modified="now()")
    small.execute(
        "UPDATE content.film_work SET rating = 'NaN', modified = now() WHERE title = 'Film 1'"
    )
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [0, 0]
    assert len(small.letters()) == 2
    assert said(caplog) == []


def test_a_film_that_was_always_refused_and_then_deleted_is_no_drift(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.add_film("Never good", rating="NaN", modified="now()")
    assert tasks.run()["person"]["difference"] == 0
    small.execute("DELETE FROM content.film_work WHERE title = 'Never good'")
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [0, 0]
    assert len(small.letters()) == 1
    assert said(caplog) == []


def test_runs_that_load_nothing_compare_every_five_minutes(
    tasks: Tasks, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    del tasks
    small.run()
    window = small.open()
    due = [
        counts._is_due(
            window.model_copy(update={"m2m_start": f"2026-01-01T00:{minute:02}:30.000000+00:00"})
        )
        for minute in range(10)
    ]
    assert due == [True, False, False, False, False] * 2
