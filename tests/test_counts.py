"""The comparison of counts: it shows drift, and nothing else."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.reconcile import each_run, fuses
from movies_etl.reconcile.purge import approved, next_list
from movies_etl.state.comparison import Comparison
from movies_etl.state.database import Database
from movies_etl.state.run_context import RunContext

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.indices import each_index
from tests.support.site import Site
from tests.support.tasks import Tasks

is_due = each_run._is_due


@pytest.fixture
def tasks(
    small: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Tasks:
    """The tasks after a first run of the small catalogue."""
    monkeypatch.setattr(each_run, "_is_due", lambda *_: True)
    tasks = Tasks(small, monkeypatch, (postgres.port, elasticsearch_node.port))
    assert tasks.run()[small.definition.streams[-1].name]["difference"] == 0
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
    context = tasks.init()
    for stream in MOVIES.streams:
        if stream is MOVIES.streams[-1]:
            for _ in range(films):
                site.add_film("Just arrived", modified="now()")
        result = tasks.sync(stream, context)
    return int(result["difference"])


@each_index
def test_rows_that_were_deleted_are_no_drift(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    last = small.definition.streams[-1].name
    small.execute(f"DELETE FROM content.{small.table} WHERE id = %s", min(small.expected()))
    result = tasks.run()[last]
    assert (result["difference"], result["deleted"]) == (0, 1)
    assert tasks.run()[last]["difference"] == 0
    assert said(caplog) == []
    small.assert_equal()


@each_index
def test_a_row_behind_the_cursor_is_told_when_the_next_run_finds_it_too(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    last, nouns = small.definition.streams[-1].name, small.definition.nouns
    small.add_root("Back-dated", modified="1999-01-01 00:00:00+00")
    assert tasks.run()[last]["difference"] == 1
    assert said(caplog) == []
    assert tasks.run()[last]["difference"] == 1
    (warning,) = said(caplog)
    assert f"fewer {nouns} than the database: 1," in warning
    assert f"trigger {small.definition.sync_dag} with reload=all" in warning
    assert tasks.run(reload="all")[last]["difference"] == 0
    small.assert_equal()


def test_films_that_were_deleted_and_left_are_told_when_the_next_run_finds_them_too(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 1)
    small.execute("DELETE FROM content.film_work WHERE title IN ('Film 1', 'Film 2')")
    assert tasks.run()["person"]["difference"] == -2
    assert said(caplog) == []
    assert tasks.run()["person"]["difference"] == -2
    (warning,) = said(caplog)
    assert "more films than the database: 2," in warning


def test_what_is_recommended_against_a_surplus_helps(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 1)
    small.execute("DELETE FROM content.film_work WHERE title IN ('Film 1', 'Film 2')")
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [-2, -2]
    assert "movies_purge asks at the end of this run" in said(caplog)[-1]
    assert tasks.run(reload="all")["person"]["difference"] == -2
    with small.beside() as resources:
        one = next_list(resources, small.settings, "a run")
        assert one
        approved(resources, small.settings, one.digest, "Ann")
    assert tasks.run()["person"]["difference"] == 0
    small.assert_equal()


def test_what_is_recommended_against_a_shortfall_helps(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    assert [tasks.run()["person"]["difference"] for _ in range(2)] == [1, 1]
    assert said(caplog)[0].endswith("trigger movies_sync with reload=all")
    assert tasks.run(reload="all")["person"]["difference"] == 0
    small.assert_equal()


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
    for _ in range(3):
        small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
        differences.append(tasks.run()["person"]["difference"])
    assert differences == [1, 2, 3]
    assert [warning.partition(". ")[0] for warning in said(caplog)] == [
        f"The index has fewer films than the database: {now}, and {before} in the last comparison"
        for now, before in ((2, 1), (3, 2))
    ]


def test_what_was_deleted_does_not_make_up_for_what_is_missing(
    tasks: Tasks, small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.execute("DELETE FROM content.film_work WHERE title = 'Film 1'")
    small.execute("SELECT pg_stat_force_next_flush()")
    small.add_film("Back-dated", modified="1999-01-01 00:00:00+00")
    result = tasks.run()["person"]
    assert (result["difference"], result["deleted"]) == (1, 1)
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
    assert said(caplog) == []


def window_at(moment: datetime) -> RunContext:
    stamp = moment.isoformat(timespec="microseconds")
    database = Database(name="movies")
    return RunContext(
        index="i", uuid="u", database=database, m2m_start=stamp, horizon=stamp, version=1
    )


@pytest.mark.parametrize(("seconds", "runs"), [(60, 5), (50, 6), (180, 2), (3600, 1)])
def test_runs_that_load_nothing_compare_once_in_five_minutes_whatever_the_minute(
    seconds: int, runs: int
) -> None:
    began = datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
    last: Comparison | None = None
    compared = []
    for number in range(runs * 3 + 1):
        late = (0, 4, -4)[number % 3]  # a scheduler is not exact
        context = window_at(began + timedelta(seconds=number * seconds + late))
        if each_run._is_due(context, last):
            compared.append(number)
            last = Comparison(difference=0, at=context.m2m_start)
    assert compared == [0, runs, runs * 2, runs * 3]


def test_a_comparison_of_a_time_to_come_counts_for_none() -> None:
    later = Comparison(difference=0, at="2099-01-01T00:00:00.000000+00:00")
    assert each_run._is_due(window_at(datetime(2026, 1, 1, tzinfo=UTC)), later)


def test_a_run_that_finds_the_same_as_the_last_one_writes_nothing(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(each_run, "_is_due", is_due)
    kept = tasks.difference.kept
    assert kept is not None
    assert tasks.run()["person"]["difference"] == 0
    assert tasks.difference.kept is kept


def test_many_rows_are_not_counted_in_every_run(
    tasks: Tasks, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(each_run, "CHEAP_ROWS", 6)
    small.add_film("Of the future", modified="2099-01-01 00:00:00+00")
    monkeypatch.setattr(each_run, "_is_due", lambda *_: False)
    assert tasks.run()["person"]["difference"] == 0  # it sent something
    results = tasks.run()
    assert (results["film_work"]["read"], "difference" in results["person"]) == (1, False)
    small.add_film("Fresh", modified="now()")
    assert tasks.run()["person"]["difference"] == 0
