"""How `watch` shows what it has seen."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from local import watch
from local.airflow_api import Run
from local.indexes import indexes
from local.lag import MOST, IndexLag, Observer, StreamLag
from tests.local.scripted import Scripted, run

SEEN = [
    IndexLag(
        name="movies",
        streams=(
            StreamLag("film_work", 12.4, 3, 1_204, 1_095.0),
            StreamLag("genre", 20.0, MOST, 0, None),
        ),
        rows=17_480,
        documents=17_479,
        letters=1,
        rate=310.0,
        last=Run("a", "success", None, datetime.now(UTC) - timedelta(seconds=62)),
        running="film_work",
    ),
    IndexLag(
        name="persons",
        streams=(StreamLag("person", None, 1, 0, None),),
        rows=2,
        documents=1,
        letters=0,
        rate=None,
        last=None,
        running=None,
    ),
]


def shown(seen: list[IndexLag] | str) -> list[list[str]]:
    """Return the tables' words by line."""
    console = Console(file=io.StringIO(), width=80)
    console.print(watch.tables(seen))
    assert isinstance(console.file, io.StringIO)
    return [words for line in console.file.getvalue().splitlines() if (words := line.split())]


def test_a_line_has_the_greatest_lag_both_sides_and_the_rate() -> None:
    movies, persons = (line.partition(" ")[2] for line in watch.lines(SEEN))
    assert movies == (
        "movies: 20 s behind, 100,003 rows waiting, 17,479 documents of 17,480, 1 dead letter; "
        "film_work is running, 310 per second"
    )
    assert persons == "persons: loading, 1 row waiting, 1 document of 2; no task is running"


def test_the_tables_have_a_row_for_each_stream_and_for_each_index() -> None:
    rows = shown(SEEN)
    assert ["movies", "film_work", "12", "s", "3", "1,204", "1,095"] in rows
    assert ["movies", "genre", "20", "s", "100,000", "or", "more", "0"] in rows
    assert ["persons", "person", "loading", "1", "0"] in rows
    movies, persons = rows[-3:-1]
    assert movies[:7] == ["movies", "17,480", "17,479", "1", "310", "film_work", "success"]
    assert movies[-1] == "ago"
    assert persons == ["persons", "2", "1", "0", "-", "none", "has", "ended"]


def test_a_server_that_is_away_is_told_and_looked_for_again() -> None:
    api = Scripted([run("a", "success", 1)])
    api.silent, api.results = True, {"film_work": {}}
    observer = Observer("postgresql://nowhere", "http://nowhere", api, indexes()[0])
    seen = watch.look([observer])
    assert seen == "cannot look: timed out"
    assert watch.lines(seen)[0].endswith(" cannot look: timed out")
    words = ["cannot", "look:", "[Errno", "111]", "refused"]
    assert shown("cannot look: [Errno 111] refused") == [words]
