"""What the page's script makes of answers, in a real Chromium: no Airflow and no other server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from movies_etl.airflow.page import Diagnosis
from movies_etl.page.day import Day, Piece
from movies_etl.page.facts import Facts
from movies_etl.page.freshness import IndexState, StreamState
from movies_etl.page.letters import Letters, LetterSeen
from movies_etl.page.memory import Run
from movies_etl.page.rebuild import BesideState, RebuildState
from movies_etl.page.steps import steps
from movies_etl.page.verdict import verdict
from movies_etl.page.word import Word

from tests.support.browser import CHROMIUM, Shown, chromium
from tests.test_page_verdict import facts

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]

API = "/movies-etl/api/"
RUNS = "/api/v2/dags/movies_sync/dagRuns"
NOW = datetime(2026, 11, 29, 12, 7, tzinfo=UTC)
RUN = Run(run_id="manual__1", state="running", started=NOW - timedelta(minutes=4))
LETTER = LetterSeen(
    id="f1",
    label="Solaris <script>document.title = 'run'</script>",
    cause="a value does not fit the model",
    reason="imdb_rating: NaN",
    first_seen=NOW - timedelta(days=2),
    last_seen=NOW,
    attempts=3,
    document="{}",
)


def state(**changes: Any) -> IndexState:
    usual = {
        "name": "movies",
        "dag": "movies_sync",
        "noun": "film",
        "nouns": "films",
        "word": Word(state="current", headline="Up to date"),
        "streams": [StreamState(name=name, lag=9.0, waiting=0) for name in ("film_work", "genre")],
        "problems": [],
        "rows": 17_472,
        "documents": 17_472,
        "difference": 0,
        "compared": NOW,
        "letters": 0,
        "concrete": "movies-20261129000000",
        "created": NOW - timedelta(days=3),
    }
    return IndexState.model_validate(usual | changes)


def answers(**of_movies: Any) -> dict[str, Any]:
    """Return what is answered about one index."""
    day = Day(index="movies", noun="film", nouns="films", total=Piece(start=NOW))
    return {
        f"{API}about": {"version": "1", "indices": {"movies": "movies_sync"}},
        f"{API}movies/freshness": state(**of_movies),
        f"{API}movies/letters": Letters(index="movies", dag="movies_sync", noun="film", total=0),
        f"{API}movies/day": day,
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def shown(browser: Browser) -> Iterator[Shown]:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.clock.set_fixed_time(NOW)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield Shown(page)
    page.close()
    assert problems == []


def rebuild(**changes: Any) -> RebuildState:
    usual = {
        "dag": "movies_reindex",
        "run": RUN,
        "state": "running",
        "sentence": "The new index is loaded: 3 of 8 ranges are done.",
        "since": NOW - timedelta(minutes=3),
        "done": 3,
        "ranges": 8,
        "index": "movies-20261129120000",
        "documents": 6_500,
    }
    return RebuildState.model_validate(usual | changes)


def test_a_rebuild_under_way_is_shown_with_its_bar_and_the_indexes_beside_the_live_one(
    shown: Shown,
) -> None:
    beside = [
        BesideState(name="movies-20261129120000", created=NOW, documents=6_500, fate="made"),
        BesideState(name="movies-20261101000000", created=NOW, documents=17_400, fate="kept"),
    ]
    shown.answers = answers(rebuild=rebuild(), beside=beside)
    shown.open()
    shown.page.locator(".card", has_text="Rebuild: 3 of 8 ranges").wait_for()
    bar = shown.page.locator("#details progress")
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("3", "8")
    said = shown.page.locator("#details").inner_text()
    for text in (
        "3 of 8 ranges are done",
        "6,500 of 17,472 documents are searchable in it",
        "since 3 min ago",
        "movies-20261101000000",
        "kept up to date, for rollback",
    ):
        assert text in said
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_rebuild_that_waits_for_a_person_is_said_at_the_top(shown: Shown) -> None:
    asking = rebuild(state="waiting", sentence="A person is asked.", done=8, documents=17_567)
    shown.answers = answers(rebuild=asking)
    shown.open()
    shown.page.locator(".card", has_text="Rebuild waits for a person").wait_for()
    shown.page.locator("#details", has_text="17,567 documents are searchable in it;").wait_for()
    assert shown.page.locator("#details button", has_text="answer").count() == 1


def test_a_letter_is_tried_again_while_a_run_goes_on_without_waiting_for_its_end(
    shown: Shown,
) -> None:
    listed = Letters(index="movies", dag="movies_sync", noun="film", total=1, letters=[LETTER])
    shown.answers = answers(letters=1, running=RUN, is_moving=True)
    shown.answers[f"{API}movies/letters"] = [listed, listed.model_copy(update={"total": 0})]
    run = {"dag_run_id": "manual__2", "state": "running"}
    shown.answers[RUNS] = run
    shown.answers[f"{RUNS}/manual__2"] = run
    loading = [
        {"task_id": "init", "state": "success"},
        {"task_id": "film_work", "state": "running"},
        {"task_id": "follow", "state": None},
    ]
    loaded = [{"task_id": name, "state": "success"} for name in ("init", "film_work")]
    following = {"task_id": "follow", "state": "running"}
    shown.answers[f"{RUNS}/manual__2/taskInstances"] = [
        {"task_instances": loading},
        {"task_instances": [*loaded, following]},
    ]
    shown.open()
    shown.page.locator("#letters button", has_text="Try again").last.press("Enter")
    assert shown.page.locator("#dialog").evaluate("dialog => dialog.open")
    shown.page.locator("#dialog-yes").press("Enter")
    shown.page.locator("#toast", has_text="movies_sync: done").wait_for()
    shown.page.locator("#letters", has_text="No film was refused").wait_for()
    asked = [one for one in shown.asked if one.endswith("/taskInstances")]
    assert len(asked) == 2  # and no more: the run goes on for minutes
    assert f"POST {RUNS}" in shown.asked


def test_a_refresh_leaves_the_keyboard_where_it_was(shown: Shown) -> None:
    shown.answers = answers()
    shown.answers[f"{API}movies/freshness"] = [state(), state(documents=17_473)]
    shown.page.clock.install(time=NOW)
    shown.open()
    shown.page.locator("#details button", has_text="Run now").focus()
    shown.page.clock.fast_forward(11_000)
    shown.page.locator("#details", has_text="17,473 documents").wait_for()
    assert shown.page.evaluate("document.activeElement.textContent") == "Run now"

    shown.page.locator('#cards input[value="movies"]').focus()
    shown.answers[f"{API}movies/freshness"] = state(documents=17_474)
    shown.page.clock.fast_forward(11_000)
    shown.page.locator("#details", has_text="17,474 documents").wait_for()
    assert shown.page.evaluate("document.activeElement.value") == "movies"


def test_nothing_of_a_letter_is_cut_off_on_a_narrow_screen(shown: Shown) -> None:
    shown.answers = answers(letters=1)
    listed = Letters(index="movies", dag="movies_sync", noun="film", total=1, letters=[LETTER])
    shown.answers[f"{API}movies/letters"] = listed
    shown.open()
    again = shown.page.locator("#letters button", has_text="Try again")
    again.wait_for()
    box = again.bounding_box()
    assert box
    assert box["x"] + box["width"] <= 390 - 12
    assert shown.page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
    )
    assert shown.page.locator("#letters button", has_text="Try all").count() == 0
    assert shown.page.title() == "Movies: search freshness"


def test_a_text_of_the_database_is_data_that_nothing_obeys(shown: Shown) -> None:
    letter = LETTER.model_copy(
        update={
            "label": "<b>Solaris</b>\u202esiraloS\x1b]0;owned\x07",
            "reason": "x" * 30_000,
            "document": "{\n\x9b2J}",
        }
    )
    shown.answers = answers(letters=1)
    shown.answers[f"{API}movies/letters"] = Letters(
        index="movies", dag="movies_sync", noun="film", total=1, letters=[letter]
    )
    shown.open()
    listed = shown.page.locator("#letters tbody")
    label = listed.locator("th button")
    label.wait_for()
    assert label.text_content() == "<b>Solaris</b>\\u202esiraloS\\u001b]0;owned\\u0007"
    assert listed.locator("code").text_content() == f"{'x' * 20_000}... (30,000 characters)"
    assert listed.locator("pre").text_content() == "{\n\\u009b2J}"


def test_all_letters_are_tried_again_by_one_run(shown: Shown) -> None:
    letters = [LETTER, LETTER.model_copy(update={"id": "f2", "label": "Stalker"})]
    shown.answers = answers(letters=2)
    shown.answers[f"{API}movies/letters"] = Letters(
        index="movies", dag="movies_sync", noun="film", total=2, letters=letters
    )
    shown.answers[RUNS] = {"dag_run_id": "manual__2", "state": "running"}
    shown.open()
    shown.page.locator("#letters button", has_text="Try all again").press("Enter")
    with shown.page.expect_request(lambda request: request.method == "POST") as posted:
        shown.page.locator("#dialog-yes").press("Enter")
    assert (posted.value.post_data_json or {})["conf"] == {"replay": ["all"]}


def test_a_part_that_could_not_be_read_is_named_beside_the_rest(shown: Shown) -> None:
    said = "Index movies-20260101000000: 0 of 1 shards"
    beside = [BesideState(name="movies-20260101000000", created=NOW, documents=None, fate="kept")]
    shown.answers = answers(unread=[said], beside=beside)
    shown.open()
    shown.page.locator("#details .unread", has_text=said).wait_for()
    details = shown.page.locator("#details").inner_text()
    assert "? documents: kept up to date" in details
    assert "17,472 documents" in details
    assert shown.page.locator(".card.current", has_text="Up to date").count() == 1


def test_what_was_not_answered_is_said_to_be_neither_none_nor_nothing(shown: Shown) -> None:
    streams = [StreamState(name="film_work", lag=9.0, waiting=None)]
    shown.answers = answers(streams=streams, concrete=None, knows_index=False, knows_holder=False)
    shown.open()
    assert "nothing waits" not in shown.page.locator(".card").inner_text()
    told = shown.page.locator("#details").inner_text()
    assert "Index\nnot known" in told
    assert "Oldest open transaction\nnot known" in told
    shown.answers = answers(concrete=None)
    shown.page.reload()
    shown.page.locator(".card", has_text="nothing waits").wait_for()
    assert "Index\nnone" in shown.page.locator("#details").inner_text()


def test_an_index_that_airflow_says_nothing_of_hides_no_other(shown: Shown) -> None:
    shown.answers = answers()
    shown.answers[f"{API}about"] = {"version": "1", "indices": {"movies": "m", "genres": "g"}}
    shown.answers[f"{API}genres/freshness"] = state(name="genres")
    shown.refused[f"{API}genres/freshness"] = 503
    shown.page.clock.install(time=NOW)
    shown.open()
    shown.page.locator(".card.current", has_text="movies").wait_for()
    lost = shown.page.locator(".card.unknown", has_text="genres")
    assert "Airflow answered 503" in lost.inner_text()
    shown.page.locator('#cards input[value="genres"]').check(force=True)
    shown.page.locator("#details > .problem", has_text="Airflow answered 503").wait_for()

    del shown.refused[f"{API}genres/freshness"]
    shown.page.clock.fast_forward(11_000)
    shown.page.locator(".card.current", has_text="genres").wait_for()
    shown.refused[f"{API}genres/freshness"] = 503
    shown.page.clock.fast_forward(11_000)
    lost.wait_for()
    shown.page.locator("#details > .problem", has_text="Airflow answered 503").wait_for()
    assert "17,472 documents" in shown.page.locator("#details").inner_text()


def test_a_screen_reader_has_a_name_for_everything_that_can_be_used(shown: Shown) -> None:
    shown.answers = answers(letters=2, rebuild=rebuild(state="waiting", sentence="Asked."))
    listed = Letters(index="movies", dag="movies_sync", noun="film", total=2, letters=[LETTER] * 2)
    shown.answers[f"{API}movies/letters"] = listed
    shown.open()
    shown.page.locator("#letters button", has_text="Try all again").wait_for()
    shown.page.locator(".card", has_text="Rebuild waits for a person").wait_for()
    tree = shown.page.locator("body").aria_snapshot()
    found = re.findall(r"- (button|textbox|radio|link|progressbar)\b(.*)", tree)
    assert {"button", "textbox", "radio"} <= {role for role, _ in found}
    assert [said for _, said in found if not re.match(r' "[^"]+"', said)] == []


def test_whoever_lost_the_login_is_told_so(shown: Shown) -> None:
    shown.answers = answers()
    shown.open()
    shown.page.locator(".card").wait_for()
    shown.page.locator("#details button", has_text="Run now").wait_for()
    shown.refused[RUNS] = 403
    shown.page.locator("#details button", has_text="Run now").press("Enter")
    shown.page.locator("#dialog-yes").press("Enter")
    shown.page.locator("#toast", has_text="your role lacks the right").wait_for()
    shown.page.locator("#why-words").fill("solaris")
    shown.refused[f"{API}movies/lookup"] = 401
    shown.page.locator("#why-words").press("Enter")
    shown.page.locator("#why", has_text="log in again").wait_for()


def test_what_a_server_had_no_answer_to_is_asked_again(shown: Shown) -> None:
    silent = "Elasticsearch did not answer within 1.8 s."
    shown.answers = answers()
    letters = shown.answers[f"{API}movies/letters"]
    lost = letters.model_copy(update={"total": None, "problem": silent})
    shown.answers[f"{API}movies/letters"] = lost
    shown.answers[f"{API}movies/why"] = diagnosis(facts(document=None, problems=[silent]))
    shown.page.clock.install(time=NOW)
    shown.open("#index=movies&id=x")
    shown.page.locator("#why", has_text=silent).wait_for()
    shown.page.locator("#letters", has_text=silent).wait_for()
    shown.answers[f"{API}movies/letters"] = letters
    shown.answers[f"{API}movies/why"] = diagnosis(facts())
    shown.page.clock.fast_forward(11_000)
    shown.page.locator(".verdict.found").wait_for()
    shown.page.locator("#letters", has_text="No film was refused").wait_for()
    asked = sum(one.endswith("/why") for one in shown.asked)
    with shown.page.expect_response("**/movies/freshness"):
        shown.page.clock.fast_forward(11_000)
    assert sum(one.endswith("/why") for one in shown.asked) == asked


def diagnosis(known: Facts) -> Diagnosis:
    return Diagnosis(verdict=verdict(known), steps=steps(known), facts=known)
