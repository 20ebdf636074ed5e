"""The log of each task fits a screen: a line per page with its rate, and a sentence at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from movies_etl.airflow import follow_task
from movies_etl.follow import hints
from movies_etl.follow import run as runs
from movies_etl.follow import spell as spells
from movies_etl.postgres.server import Server
from movies_etl.state.visible import Cluster
from movies_etl.sync import settlement

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.indices import each_index
from tests.support.site import Site
from tests.support.tasks import Tasks

SCREEN = 40
"""Lines that a log has at most."""
SAMPLE = 17_472
"""Films of the sample catalogue."""
PAGE = re.compile(r"\w+: page \d+ is done: [\d,]+ \w+ in \d+\.\d s \([\d,]+ \w+/s\)")
DICTIONARY = re.compile(r"\{['\"]\w+['\"]:")


@pytest.fixture
def tasks(
    site: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Tasks:
    monkeypatch.setattr(follow_task, "spare_the_collector", lambda: None)
    port = elasticsearch_node.port
    tasks = Tasks(site, monkeypatch, (postgres.port, port))
    tasks.connect("movies_elasticsearch", "elasticsearch", port, extra={"request_timeout": 60})
    return tasks


class Logs:
    """What the tasks of a run log."""

    def __init__(self, tasks: Tasks, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        self._tasks = tasks
        self._site = site
        self._caplog = caplog
        caplog.set_level("INFO")
        self.context: dict[str, Any] = {}

    def of(self, task: Callable[[], dict[str, Any]]) -> list[str]:
        """Return the lines of a task; each log fits a screen and has no dictionary."""
        self._caplog.clear()
        result = task()
        assert result
        said = [(one.name, one.getMessage()) for one in self._caplog.records]
        assert [line for _, line in said if DICTIONARY.search(line)] == []
        lines = [line for name, line in said if name.startswith("movies_etl")]
        assert 0 < len(lines) <= SCREEN
        return lines

    def of_run(self) -> dict[str, list[str]]:
        """Do a run; return the lines of each task."""

        def init() -> dict[str, Any]:
            self.context = self._tasks.init()
            return self.context

        found = {"init": self.of(init)}
        for stream in self._site.definition.streams:
            found[stream.name] = self.of(lambda stream=stream: self._sync(stream))  # type: ignore[misc]
            *before, last = found[stream.name]
            assert last.startswith(f"{stream.name} is done: ")
            assert [one for one in before if " is done: " in one and not PAGE.fullmatch(one)] == []
        return found

    def _sync(self, stream: Any) -> dict[str, Any]:
        return self._tasks.sync(stream, self.context)


@pytest.fixture
def logs(tasks: Tasks, site: Site, caplog: pytest.LogCaptureFixture) -> Logs:
    return Logs(tasks, site, caplog)


@pytest.mark.long
def test_a_first_load_of_the_sample_has_a_line_per_page(logs: Logs, site: Site) -> None:
    site.fill(SAMPLE)
    told = logs.of_run()
    assert re.fullmatch(
        r"Movies ETL \S+: M2M start \S+, horizon \S+, index movies-\d{14}", told["init"][-1]
    )
    *pages, last = told["film_work"]
    assert all(map(PAGE.fullmatch, pages))
    assert len(pages) > 3
    assert f"{SAMPLE:,} films in " in last
    assert last.endswith(f"films/s): {SAMPLE:,} indexed")
    assert [len(told[stream]) for stream in ("genre", "person")] == [1, 1]


@each_index
def test_a_run_with_few_changes_says_what_it_decided_and_why(logs: Logs, site: Site) -> None:
    site.add_small_catalogue()
    logs.of_run()
    with psycopg.connect(site.dsn) as holder:
        holder.execute("SELECT txid_current()")
        site.change("Changed")
        told = logs.of_run()
    root = site.definition.root.name
    rows = len(site.expected())
    above = f"{rows} rows above the horizon "
    assert f": {rows} indexed; {above}" in told[root][-1]
    assert told[root][-1].endswith(" for the next run to read again")
    assert logs.of_run()[root][-1].endswith(f": {rows} unchanged")


def test_an_idle_run_has_a_line_per_task_and_says_why_nothing_was_read(
    logs: Logs, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "cluster", lambda _: Cluster("7", 1, "life", "1:1:"))
    site.add_small_catalogue()
    for _ in range(2):
        logs.of_run()
    told = logs.of_run()
    assert {name: len(lines) for name, lines in told.items()} == dict.fromkeys(told, 1)
    why = "nothing was committed since the stream was read last"
    for stream in site.definition.streams:
        said = rf"{stream.name} is done: nothing to load, after \d\.\d s; {why}"
        assert re.fullmatch(said, told[stream.name][0])


def test_what_many_letters_say_fits_a_screen(logs: Logs, site: Site) -> None:
    site.fill(310)
    site.execute(
        "UPDATE content.film_work SET rating = 'NaN' WHERE id IN"
        " (SELECT id FROM content.film_work ORDER BY modified, id OFFSET 10)"
    )
    refused = logs.of_run()["film_work"]
    told = settlement.MAX_TOLD_DOCUMENTS
    assert sum("is kept as a dead letter" in line for line in refused) == told
    assert sum(f"More dead letters: {300 - told};" in line for line in refused) == 1
    site.execute("UPDATE content.film_work SET rating = 5, modified = now()")
    (resolved,) = (line for line in logs.of_run()["film_work"] if "resolved" in line)
    assert resolved.endswith(" and 290 more")


def test_a_task_that_follows_tells_once_a_minute_and_at_the_end(
    logs: Logs, tasks: Tasks, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two minutes in simulated time, with a change every five seconds."""
    site.add_small_catalogue()
    tasks.configure(follow_seconds="121")
    logs.of_run()
    clock = SimpleNamespace(now=1000.0, changes=0)

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 1005 + 5 * clock.changes:
            clock.changes += 1
            site.change(f"Change {clock.changes}")

    clock.sleep, clock.monotonic = sleep, lambda: clock.now
    monkeypatch.setattr(runs, "time", clock)
    monkeypatch.setattr(spells, "time", clock)
    monkeypatch.setattr(hints, "time", clock)
    begin, *minutes, end = logs.of(lambda: tasks.follow(logs.context))
    assert begin == "Following for 121 s"
    assert [re.sub(r"\d+ cycles, \d+ indexed", "", one) for one in minutes] == [
        "Following: , 0 deleted, 0 refused; 61 s are left",
        "Following: , 0 deleted, 0 refused; 1 s are left",
    ]
    indexed = clock.changes * len(site.expected())
    assert re.fullmatch(rf"follow is done: {indexed} indexed.*, in \d+ cycles, after .* s", end)
