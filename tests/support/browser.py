"""The page's own files in a Chromium, with answers that a test gives in Airflow's place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from movies_etl.airflow.page import HEADERS, STATIC
from pydantic import BaseModel

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 120_000
"""Milliseconds that a busy machine may take for what is waited for."""
ADDRESS = "http://airflow.test/movies-etl/"

__all__ = ["ADDRESS", "CHROMIUM", "SECONDS", "Shown", "chromium"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser: Browser = driver.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@dataclass
class Shown:
    """The page in a browser.

    :param page: the browser's.
    :param answers: what is answered, by the path of the question behind the host; a list is
        answered one by one, its last one again and again.
    :param refused: the status that is answered instead, by path.
    :param asked: the paths that were asked for, with their methods.
    """

    page: Page
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SECONDS)
        self.page.route("**/*", self._answer)

    def open(self, place: str = "") -> None:
        self.page.goto(f"{ADDRESS}{place}")

    def _answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        self.asked.append(f"{route.request.method} {path}")
        name = path.removeprefix("/movies-etl/") or "index.html"
        if path.startswith("/movies-etl/") and (STATIC / name).is_file():
            route.fulfill(path=STATIC / name, headers={**HEADERS, "Content-Type": _type(name)})
            return
        if path in self.refused:
            route.fulfill(status=self.refused[path], json={"detail": "no"})
            return
        answer = self.answers.get(path)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            route.fulfill(status=404, json={"detail": f"a test does not answer {path}"})
            return
        text = answer.model_dump_json() if isinstance(answer, BaseModel) else json.dumps(answer)
        route.fulfill(body=text, content_type="application/json")


def _type(name: str) -> str:
    kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
    return kinds.get(name.rpartition(".")[2], "image/svg+xml")
