"""What leaves no trace is right in the search within the delays that are documented."""

from __future__ import annotations

from typing import Any

import pytest
from movies_etl.reconcile import fuses
from movies_etl.reconcile.purge import approved, next_list

from benchmarks.delays import Sides, add_emptied, delays, emptied
from benchmarks.figures import Part
from benchmarks.runs import BenchmarkError
from tests.support.site import Site

FILMS = 60


class Program:
    """The tasks of the DAGs, without Airflow."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def sync(self) -> dict[str, dict[str, Any]]:
        return {"person": {**self.site.run_and_check()}}

    def reconcile(self) -> dict[str, dict[str, Any]]:
        return self.site.reconcile()

    def purge(self) -> bool:
        lists = 0
        with self.site.beside() as resources:
            while one := next_list(resources, self.site.settings, "a run"):
                approved(resources, self.site.settings, one.digest, "Ann")
                lists += 1
        return bool(lists)


@pytest.fixture
def sides(site: Site, monkeypatch: pytest.MonkeyPatch) -> Sides:
    """A catalogue whose films have a director and an actor."""
    monkeypatch.setattr(fuses, "FEW_DELETIONS", 20)
    monkeypatch.setattr(fuses, "FEW_REWRITES", FILMS - 20)
    director, actor = site.add_person("Director"), site.add_person("Actor")
    for number in range(FILMS):
        film = site.add_film(f"Film {number}")
        site.cast(film, director, "director")
        site.cast(film, actor, "actor")
    url = str(next(iter(site.client.transport.node_pool.all())).base_url)
    return Sides(site.dsn, url)


@pytest.mark.long
def test_every_change_is_right_within_its_documented_delay(site: Site, sides: Sides) -> None:
    rows = delays(Program(site), sides, FILMS, lambda _: None)
    runs = {name: runs for name, _, runs, _ in rows}
    assert len(runs) == 12
    assert runs["film deleted, its links with it"] in {"1, 0", "2, 0"}
    assert runs["link deleted"] == "5, 1"
    assert runs["TRUNCATE and import with old stamps, approved at once"] == "5, 1"
    site.assert_equal()
    results = emptied(Program(site), sides)
    assert results["presence"]["asked"] == FILMS - 10


def test_a_change_that_is_never_right_is_told(
    site: Site, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.delays.MOST_MINUTES", 3)

    class Blind(Program):
        def reconcile(self) -> dict[str, dict[str, Any]]:
            return {}

    with pytest.raises(BenchmarkError, match="not right in the search after 3 minutes: link"):
        delays(Blind(site), sides, FILMS, lambda _: None)


def test_the_dearest_task_after_all_films_are_gone_is_told() -> None:
    part = Part(title="Delays")
    results = {
        "person": {"benchmark": {"peak": 150.0, "at": 9.5}, "deleted": 0},
        "presence": {"benchmark": {"peak": 180.0, "at": 7.0}, "asked": 1_000_000},
    }
    add_emptied(part, results, empty=100.0)
    assert part.summary == {"emptied_memory_mb": 80.0, "emptied_asked": 1_000_000}
    assert [row[1] for row in part.rows] == ["1,000,000", "9.5", "80.0"]
