"""The page in a real Chromium, inside a real Airflow: what operators see and press."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from local.airflow_settings import USER
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import DATA
from tests.support.browser import CHROMIUM, SECONDS, chromium
from tests.support.scheduled import NEVER, Scheduled, running_airflow
from tests.support.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

TITLE = "Solaris <script>document.title = 'run'</script>"

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]


@pytest.fixture
def scheduled(
    site: Site,  # noqa: ARG001 - the database and the empty index are there before Airflow
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scheduled]:
    monkeypatch.setenv("MOVIES_ETL_SCHEDULE", NEVER)
    monkeypatch.setenv("MOVIES_ETL_RECONCILE_SCHEDULE", NEVER)
    home = DATA / "page"
    shutil.rmtree(home, ignore_errors=True)
    here = {"host": "127.0.0.1"}
    catalogue = {"conn_type": "postgres", "port": postgres.port, "login": "postgres"}
    connections: dict[str, dict[str, object]] = {
        "movies_postgres": {**here, **catalogue, "schema": "movies"},
        "movies_elasticsearch": {
            **here,
            "conn_type": "elasticsearch",
            "port": elasticsearch_node.port,
        },
    }
    with running_airflow(home, postgres, connections) as scheduled:
        yield scheduled


@pytest.fixture
def page(scheduled: Scheduled) -> Iterator[Page]:
    """A browser that is logged in."""
    with chromium() as browser:
        page: Page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(SECONDS)
        page.goto(f"{scheduled.settings.url}/auth/login")
        page.fill('input[name="username"]', USER)
        page.fill('input[name="password"]', scheduled.settings.password())
        page.click('button[type="submit"]')
        page.wait_for_url(lambda url: "login" not in url)
        yield page


def wait_for(frame: FrameLocator, place: str, text: str) -> None:
    frame.locator(place, has_text=text).first.wait_for()


def test_an_operator_finds_out_why_a_film_is_not_found_and_brings_it_into_the_search(
    page: Page, scheduled: Scheduled, small: Site
) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    assert scheduled.trigger("first").state == "success"

    page.goto(f"{scheduled.settings.url}/plugin/movies")
    frame = page.frame_locator("iframe")
    wait_for(frame, ".card.current", "Up to date")
    documents = small.client.count(index="movies")["count"]
    assert documents == len(small.expected()) == 7
    wait_for(frame, "#details", f"{len(small.expected())} films, {documents} documents")
    wait_for(frame, "#day", "1 run: 7 films sent")

    film = small.add_film(TITLE, rating="NaN", modified="now()")
    frame.locator("#why-words").fill("solaris")
    frame.locator("#why-words").press("Enter")
    frame.locator("#why .plain button", has_text=TITLE).click()
    wait_for(frame, ".verdict.waiting", "will be refused")
    assert frame.locator(".verdict h3").inner_text() == TITLE

    frame.locator("#details button", has_text="Run now").click()
    frame.locator("#dialog-yes").click()
    wait_for(frame, "#toast", "success")
    wait_for(frame, "#letters", "1 dead letter")
    frame.locator("#letters button", has_text=TITLE).click()
    wait_for(frame, ".verdict.refused", "a value does not fit the model")

    small.execute("UPDATE content.film_work SET rating = 5 WHERE id = %s", film)
    frame.locator(".verdict button", has_text="Try again").click()
    frame.locator("#dialog-no").click()
    assert len(scheduled.api.runs()) == 2
    frame.locator(".verdict button", has_text="Try again").click()
    frame.locator("#dialog-yes").click()
    wait_for(frame, ".verdict.found", "It is found")
    assert frame.locator(".way .yes").count() == 6

    frame.locator("#visitor-words").fill("solariss")
    frame.locator("#visitor-words").press("Enter")
    wait_for(frame, "#visitor .hits", TITLE)
    assert problems == []
    assert page.title() != "run"

    frame.locator('input[value="movies"]').press("ArrowRight")
    wait_for(frame, "#details", "2 genres")
    page.evaluate('localStorage.setItem("theme", "dark")')
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{scheduled.settings.url}/movies-etl/#index=movies&id={film}")
    page.locator(".verdict.found").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
