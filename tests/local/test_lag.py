"""What `watch` shows of the real servers."""

from __future__ import annotations

import pytest

from local import watch
from local.elasticsearch import Elasticsearch
from local.indexes import indexes
from local.lag import IndexLag, Observer
from tests.local.scripted import Scripted, run
from tests.support.site import Site


class Watched:
    """A site, with an Airflow that has its cursors."""

    def __init__(self, site: Site, node: Elasticsearch) -> None:
        self.site = site
        self.api = Scripted([])
        self.index = indexes()[0]
        self.observer = Observer(site.dsn, node.url, self.api, self.index)

    def look(self) -> IndexLag:
        self.api.texts = {
            self.index.cursor_variable(stream): text
            for stream, text in self.site.cursors.texts.items()
        }
        return self.observer.look()


@pytest.fixture
def watched(site: Site, elasticsearch_node: Elasticsearch) -> Watched:
    return Watched(site, elasticsearch_node)


def test_before_the_first_run_everything_waits(watched: Watched) -> None:
    watched.site.add_film()
    seen = watched.look()
    assert [(one.name, one.lag) for one in seen.streams] == [
        ("film_work", None),
        ("genre", None),
        ("person", None),
    ]
    assert (seen.rows, seen.documents, seen.letters) == (1, 0, 0)
    assert seen.streams[0].waiting == 1
    assert seen.last is None
    (line,) = watch.lines([seen])
    assert "movies: loading, 1 row waiting, 0 documents of 1;" in line


def test_after_a_run_nothing_waits_and_the_lag_is_known(watched: Watched) -> None:
    site = watched.site
    site.cast(site.add_film(), site.add_person())
    site.add_film("Not a number", rating=float("nan"))
    site.run()
    seen = watched.look()
    assert [one.waiting for one in seen.streams] == [0, 0, 0]
    assert all(one.lag is not None and one.lag >= 0 for one in seen.streams)
    assert (seen.rows, seen.documents, seen.letters) == (2, 1, 1)


def test_what_is_changed_waits_in_its_own_stream(watched: Watched) -> None:
    site = watched.site
    film, person = site.add_film(), site.add_person()
    site.run()
    site.execute("UPDATE content.person SET modified = now() WHERE id = %s", person)
    site.execute("UPDATE content.film_work SET modified = now()")
    site.execute(
        "INSERT INTO content.person_film_work (id, film_work_id, person_id, role)"
        " VALUES (gen_random_uuid(), %s, %s, 'actor')",
        film,
        person,
    )
    assert [one.waiting for one in watched.look().streams] == [1, 0, 2]


def test_the_rate_is_what_the_index_took_since_the_look_before(watched: Watched) -> None:
    watched.site.add_film()
    watched.site.run()
    assert watched.look().rate is None
    assert watched.look().rate == 0
    watched.site.execute("UPDATE content.film_work SET title = 'Another', modified = now()")
    watched.site.run()
    rate = watched.look().rate
    assert rate is not None
    assert rate > 0


def test_the_last_run_and_the_running_task_are_told(watched: Watched) -> None:
    api = watched.api
    api.script = [[run("b", "running", None), run("a", "success", 1)]]
    api.results = {"genre": {"indexed": 30, "seconds": 1.5}}
    api.state = "running"
    seen = watched.look()
    assert seen.last is not None
    assert seen.last.run_id == "a"
    assert seen.running == "film_work"
    assert [(one.sent, one.rate) for one in seen.streams] == [(0, None), (30, 20.0), (0, None)]


def test_every_declared_index_can_be_looked_at(
    site: Site, elasticsearch_node: Elasticsearch
) -> None:
    site.cast(site.add_film(), site.add_person())
    seen = {
        index.name: Observer(site.dsn, elasticsearch_node.url, Scripted([]), index).look()
        for index in indexes()
    }
    assert next(iter(seen)) == "movies"
    found = {
        name: (one.rows, [stream.waiting for stream in one.streams]) for name, one in seen.items()
    }
    assert found["movies"] == (1, [1, 0, 2])
    assert found["genres"] == (0, [0])
    assert found["persons"] == (1, [2, 1])
