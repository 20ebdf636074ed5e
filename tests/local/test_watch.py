"""How `watch` shows what it has seen."""

from __future__ import annotations

import io

from rich.console import Console

from local import watch
from local.lag import MOST, Lag, Observer, StreamLag
from tests.local.scripted import Scripted, run

SEEN = Lag(
    streams=(
        StreamLag("film_work", 12.4, 3, 1_204, 1_095.0),
        StreamLag("genre", None, MOST, 0, None),
    ),
    films=17_480,
    documents=17_479,
    letters=1,
    rate=310.0,
    last=run("a", "success", 1),
    running="film_work",
)


def shown(lag: Lag | str) -> str:
    """Return the table's text."""
    console = Console(file=io.StringIO(), width=120)
    console.print(watch.table(lag))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_has_each_stream_both_sides_and_the_rate() -> None:
    assert watch.line(SEEN)[9:] == (
        "film_work 12 s, 3 waiting; genre loading, 100,000 or more waiting; "
        "17,480 films in PostgreSQL, 17,479 in Elasticsearch, 1 dead letter; "
        "film_work is running, 310 films per second"
    )


def test_a_table_has_a_row_for_each_stream() -> None:
    text = shown(SEEN)
    rows = {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}
    assert rows["film_work"] == ["12", "s", "3", "1,204", "1,095"]
    assert rows["genre"] == ["loading", "100,000", "or", "more", "0"]
    assert "17,480 films in PostgreSQL, 17,479 in Elasticsearch, 1 dead letter" in text
    assert "last run: success" in text


def test_a_server_that_is_away_is_told_and_looked_for_again() -> None:
    api = Scripted([])
    api.silent = True
    api.script = [[run("a", "success", 1)]]
    seen = watch.look(Observer("postgresql://nowhere", "http://nowhere", api))
    assert seen == "cannot look: timed out"
    assert watch.line(seen).endswith(" cannot look: timed out")
    assert shown("cannot look: [Errno 111] refused").strip() == "cannot look: [Errno 111] refused"
