"""What the page says of what is known: the word at the top, the last day, times. No servers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import IndexUnavailableError
from movies_etl.page import asking, rounds
from movies_etl.page.day import last_day
from movies_etl.page.labels import label_of, times, to_the_second
from movies_etl.page.memory import Finished, Memory, Run, Servers
from movies_etl.page.word import Standing, duration, word_of
from movies_etl.state.cursors import Cursor
from movies_etl.state.database import Database

NOW = datetime(2026, 11, 29, 12, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def run(state: str = "success", minutes_ago: float = 1, seconds: float = 10) -> Run:
    ended = NOW - timedelta(minutes=minutes_ago)
    started = ended - timedelta(seconds=seconds)
    if state in ("queued", "running"):
        return Run(run_id=state, state=state, started=ended)
    return Run(run_id=f"r{minutes_ago}", state=state, started=started, ended=ended)


def standing(**changes: Any) -> Standing:
    usual = Standing(
        lags=[10.0, 20.0, 43.4],
        waiting=[0, 0, 0],
        memory=Memory({}, runs=(run(),)),
        holder=None,
        now=NOW,
        period=MINUTE,
        problems=[],
    )
    return usual._replace(**changes)


def test_nothing_that_waits_is_up_to_date_and_rows_that_wait_are_told_by_the_oldest_stream() -> (
    None
):
    word = word_of(standing())
    assert (word.state, word.headline, word.because) == ("current", "Up to date", "")
    word = word_of(standing(waiting=[0, 3, 0]))
    assert (word.state, word.headline) == ("behind", "43 s behind")


def test_a_server_without_an_answer_makes_everything_unknown() -> None:
    word = word_of(standing(problems=["PostgreSQL did not answer within 3 s."]))
    assert (word.state, word.because) == ("unknown", "PostgreSQL did not answer within 3 s.")


def test_a_stream_without_a_first_load_is_loading() -> None:
    memory = Memory({}, runs=(run("running", 3),))
    word = word_of(standing(lags=[10.0, None], waiting=[1, 1], memory=memory))
    assert (word.state, word.because) == ("loading", "A run is under way: running.")


LATE: dict[str, Any] = {"lags": [3600.0], "waiting": [5]}


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"memory": Memory({}, paused=None)}, "does not know the DAG"),
        ({"memory": Memory({}, paused=True)}, "The DAG is paused"),
        ({"memory": Memory({}, runs=(run("failed"),))}, "The last run failed (r1)"),
        ({"holder": "the transaction of pid 7"}, "Held by the transaction of pid 7"),
        ({"memory": Memory({}, held_by="prepared transactions")}, "held by prepared transactions"),
        ({"memory": Memory({}, runs=(run("queued"),))}, "look whether the scheduler runs"),
        ({"period": None}, "There is no schedule"),
        ({}, "No run begins"),
    ],
)
def test_what_does_not_move_says_since_when_and_why(
    changes: Mapping[str, Any], because: str
) -> None:
    word = word_of(standing(**LATE)._replace(**changes))
    assert word.state == "stuck"
    assert word.headline == "Not moving since 2026-11-29 11:07:00 UTC"
    assert because in word.because


def cursor(confirmed: float, version: float | None = None) -> Cursor:
    """Return a cursor by minutes ago: confirmed up to then, and read last then."""
    moment = NOW - timedelta(minutes=confirmed)
    read = NOW - timedelta(minutes=confirmed if version is None else version)
    return Cursor(
        index="u",
        database=Database(name="movies"),
        horizon=f"{moment:%Y-%m-%dT%H:%M:%S}.000000+00:00",
        version=int(read.timestamp() * 1_000_000),
    )


FOLLOWING = (run("queued", 0.1), run("running", 1), run("running", 55))
"""A run that waits, one that stands by, and the one that goes on."""


def test_a_long_run_that_saves_its_cursor_is_behind_but_moves() -> None:
    cursors = {"film_work": cursor(60), "person": cursor(60, version=2)}
    word = word_of(standing(**LATE, memory=Memory(cursors, runs=(run("running", 50),))))
    assert (word.state, word.headline) == ("behind", "60 min behind")
    assert word.because == "A run is under way: running."


def test_a_run_that_has_just_begun_moves_whatever_was_saved_before() -> None:
    memory = Memory({"film_work": cursor(60)}, runs=(run("running", 1),))
    assert word_of(standing(**LATE, memory=memory)).state == "behind"


def test_a_run_that_goes_on_and_saves_nothing_does_not_move() -> None:
    memory = Memory({"film_work": cursor(60, version=20)}, runs=FOLLOWING)
    word = word_of(standing(**LATE, memory=memory))
    assert (word.state, word.headline) == ("stuck", "Not moving since 2026-11-29 11:47:00 UTC")
    assert "has saved nothing for 20 min" in word.because
    moving = Memory({"film_work": cursor(60, version=4)}, runs=FOLLOWING)
    assert word_of(standing(**LATE, memory=moving)).state == "behind"


def test_a_run_that_goes_on_up_to_date_is_up_to_date_however_long_nothing_changed() -> None:
    memory = Memory({"film_work": cursor(60)}, runs=FOLLOWING)
    word = word_of(standing(lags=[3600.0], waiting=[0], memory=memory))
    assert (word.state, word.headline) == ("current", "Up to date")


def test_a_transaction_that_holds_a_run_that_goes_on_is_the_reason() -> None:
    memory = Memory({"film_work": cursor(60)}, runs=FOLLOWING)
    word = word_of(standing(**LATE, memory=memory, holder="pid 7"))
    assert (word.state, word.because[:13]) == ("stuck", "Held by pid 7")
    # What changes is searchable meanwhile, though it is not confirmed.
    memory = Memory({"film_work": cursor(60, version=1)}, runs=FOLLOWING)
    word = word_of(standing(**LATE, memory=memory, holder="pid 7"))
    assert (word.state, word.because[:13]) == ("behind", "Held by pid 7")


def test_of_several_runs_the_one_that_others_stand_by_for_is_told() -> None:
    memory = Memory({}, runs=FOLLOWING)
    assert memory.running == FOLLOWING[-1]
    assert not memory.is_moving(NOW)
    assert memory._replace(cursors={"film_work": cursor(60, version=-1)}).is_moving(NOW)
    assert not Memory({"film_work": cursor(0)}).is_moving(NOW)


def test_a_slow_schedule_has_three_of_its_periods() -> None:
    hour = timedelta(hours=1)
    assert word_of(standing(**LATE, period=hour)).state == "behind"
    assert word_of(standing(lags=[4 * 3600.0], waiting=[5], period=hour)).state == "stuck"


class Remembering:
    """Servers of which only Airflow is asked."""

    def __init__(self, ended: list[Finished]) -> None:
        self.ended = ended

    def finished(self, _: object, since: datetime) -> list[Finished]:
        return [one for one in self.ended if one.run.ended and one.run.ended >= since]


def test_the_last_day_is_added_up_by_quarters_of_an_hour() -> None:
    ended = [
        Finished(run("success", 24 * 60 + 5), {"film_work": {"indexed": 99, "seconds": 1}}),
        Finished(
            run("success", 5, 30),
            {"init": {"index": "x"}, "film_work": {"indexed": 40, "seconds": 2.0}},
        ),
        Finished(
            run("success", 3, 20),
            {
                "film_work": {"indexed": 0, "seconds": 8, "unchanged": 4},
                "person": {"indexed": 20, "seconds": 1.0, "refused": 2, "deleted": 3},
            },
        ),
        Finished(run("failed", 9), {}),
    ]
    told = last_day(MOVIES, cast("Servers", Remembering(ended)), NOW)
    assert len(told.pieces) == 96
    assert told.pieces[-1].start == datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    last, before = told.pieces[-1], told.pieces[-2]
    assert (last.runs, last.failed, before.runs, before.failed) == (2, 0, 1, 1)
    counted = (last.indexed, last.unchanged, last.refused, last.deleted)
    assert counted == (60, 4, 2, 3)
    assert (last.rate, last.longest) == (20.0, 30.0)
    assert told.total
    assert (told.total.runs, told.total.indexed) == (3, 60)


class Silent:
    """Servers of which none answers."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def memory(self, _: object) -> Memory:
        self.is_over.wait()
        return Memory({})


def test_a_question_of_two_rounds_is_answered_within_two_seconds_when_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    def together(questions: Mapping[str, Any], seconds: float) -> Any:
        waited.append(seconds)
        return asking.together(questions, seconds)

    monkeypatch.setattr(rounds, "together", together)
    servers = Silent()
    questions = {name: lambda _: servers.is_over.wait() for name in ("PostgreSQL", "Elasticsearch")}
    try:
        said = rounds.in_two_rounds(MOVIES, cast("Servers", servers), questions)
    finally:
        servers.is_over.set()
    assert sum(waited) <= asking.ANSWER_SECONDS < 2
    assert not said.is_remembered
    assert [one.partition(" did not answer")[0] for one in said.problems] == [
        "Airflow's database",
        "PostgreSQL",
        "Elasticsearch",
    ]


def test_a_server_that_hangs_does_not_hold_up_the_questions_to_others() -> None:
    is_over = threading.Event()
    try:
        for _ in range(asking.THREADS + 1):
            asking.together({"hangs": is_over.wait}, 0.01)
        said = asking.together({"hangs": lambda: 1, "answers": lambda: 2}, 1.0)
    finally:
        is_over.set()
    assert said["answers"] == (2, None)
    assert said["hangs"].problem == "hangs did not answer within 1.0 s."


def test_what_one_server_cannot_say_hides_nothing_of_the_others() -> None:
    def lost() -> None:
        raise IndexUnavailableError("Elasticsearch\n is away")

    def broken() -> None:
        raise ZeroDivisionError

    said = asking.together({"one": lambda: 1, "lost": lost, "broken": broken})
    assert said["one"] == (1, None)
    assert said["lost"] == (None, "Elasticsearch is away")
    assert "API server" in (said["broken"].problem or "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_and_labels_are_written_for_people() -> None:
    assert to_the_second("2026-11-29T19:16:45.990281+00:00") == "2026-11-29 19:16:45 UTC"
    assert to_the_second("2026-11-29T19:16:45.990281+03:00") == "2026-11-29 19:16:45 +03:00"
    assert (times(1), times(3)) == ("once", "3 times")
    film = {"id": "x", "imdb_rating": "NaN", "title": "Solaris", "description": "long"}
    assert label_of(MOVIES, film) == "Solaris"
