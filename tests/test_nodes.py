"""Elasticsearch at several addresses, or behind a path: every task finds the node that lives."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import elastic_transport
import pytest
from movies_etl.airflow import tasks as airflow_tasks
from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.definitions.movies import FILM_WORK
from movies_etl.errors import IndexUnavailableError
from movies_etl.es import transport
from movies_etl.es.client import check_server, translated_errors

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import free_port
from tests.support.faults import refusal
from tests.support.proxy import Fault, Link, Proxy, answer, cut_answer, silence
from tests.support.site import Site
from tests.support.tasks import Tasks

BULK = b"/_bulk?filter_path"
FOREVER = float("inf")
FILMS = 60


@pytest.fixture
def live(elasticsearch_node: Elasticsearch) -> Iterator[Proxy]:
    """What stands before the node that lives, to count what it is asked."""
    with Proxy(elasticsearch_node.port, http=True) as proxy:
        yield proxy


@pytest.fixture
def dead(request: pytest.FixtureRequest, elasticsearch_node: Elasticsearch) -> Iterator[int]:
    """The port of a node that is dead in one of many ways."""
    with ExitStack() as stack:
        if request.param == "refuses":
            yield free_port()
        elif request.param == "swallows":
            yield stack.enter_context(swallowing())
        else:
            proxy = stack.enter_context(Proxy(elasticsearch_node.port, http=True))
            fault = silence if request.param == "hangs" else answer(*refusal(503))
            proxy.plan(fault, times=FOREVER)
            yield proxy.port


class swallowing:  # noqa: N801 - used like a function
    """A port whose packets nobody takes: its queue of connections is full."""

    def __enter__(self) -> int:
        self._sockets = [socket.socket()]
        self._sockets[0].bind(("127.0.0.1", 0))
        self._sockets[0].listen(0)
        address = self._sockets[0].getsockname()
        for _ in range(4):  # more than the queue has room for; the last ones are not answered
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address)
            self._sockets.append(client)
        return int(address[1])

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def tasks(site: Site, postgres: Postgres, live: Proxy, monkeypatch: pytest.MonkeyPatch) -> Tasks:
    """The tasks over a catalogue that is not loaded yet."""
    site.fill(FILMS)
    monkeypatch.setattr(transport, "GREETING_SECONDS", 0.5)
    return Tasks(site, monkeypatch, (postgres.port, live.port), page_size="20", bulk_bytes="20000")


def asked_first(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let clients begin with one of their nodes, where chance decides otherwise."""

    def shuffle(nodes: list[elastic_transport.NodeConfig]) -> None:
        nodes.sort(key=lambda node: node.port != port)

    monkeypatch.setattr(random, "shuffle", shuffle)


@pytest.mark.long
@pytest.mark.parametrize("dead", ["refuses", "swallows", "hangs", "answers 503"], indirect=True)
def test_every_task_uses_the_node_that_lives(
    tasks: Tasks, site: Site, dead: int, live: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_first(monkeypatch, dead)
    hosts = f"127.0.0.1:{dead},127.0.0.1:{live.port}"
    tasks.connect("movies_elasticsearch", "elasticsearch", 1, host=hosts)
    tasks.configure(patience="0")
    monkeypatch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 0.0)
    results = tasks.run()
    assert results["film_work"]["indexed"] == FILMS
    site.assert_equal()


def test_a_node_that_fails_during_a_load_is_greeted_before_it_is_used_again(
    tasks: Tasks,
    site: Site,
    live: Proxy,
    elasticsearch_node: Elasticsearch,
) -> None:
    tasks.configure(bulk_bytes="2000")
    with Proxy(elasticsearch_node.port, http=True) as other:
        hosts = f"127.0.0.1:{other.port},127.0.0.1:{live.port}"
        tasks.connect("movies_elasticsearch", "elasticsearch", 1, host=hosts)
        context = tasks.init()
        for node in (live, other):
            node.requests.clear()
            node.plan(cut_answer(0), BULK)
        assert tasks.sync(FILM_WORK, context)["indexed"] == FILMS
        site.assert_equal()
        for node in (live, other):
            kinds = ["bulk" if BULK in one else one[:7] for one in node.requests]
            failed = kinds.index("bulk")
            assert kinds.index(b"HEAD / ") < failed
            assert b"HEAD / " in kinds[failed:]


def test_a_request_that_may_have_arrived_is_given_to_no_other_node(
    tasks: Tasks, live: Proxy, elasticsearch_node: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(elasticsearch_node.port, http=True) as other:
        asked_first(monkeypatch, other.port)
        hosts = f"127.0.0.1:{other.port},127.0.0.1:{live.port}"
        tasks.connect("movies_elasticsearch", "elasticsearch", 1, host=hosts)
        other.plan(cut_answer(0), b"PUT /movies-once")
        with MoviesElasticsearchHook().get_conn as client:
            with pytest.raises(IndexUnavailableError), translated_errors():
                client.indices.create(index="movies-once")
            assert not [one for one in live.requests if b"movies-once" in one]
            assert client.indices.exists(index="movies-once")


def test_of_nodes_that_are_all_dead_each_is_named(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 0.0)
    refusing = free_port()
    with swallowing() as port:
        hosts = f"127.0.0.1:{port},127.0.0.1:{refusing}"
        tasks.connect("movies_elasticsearch", "elasticsearch", 1, host=hosts)
        with pytest.raises(IndexUnavailableError) as caught:
            tasks.init()
    said = str(caught.value)
    assert f"http://127.0.0.1:{port}: Connection timed out" in said
    assert re.search(f"http://127.0.0.1:{refusing}: .*Connection refused", said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(silence, "timed out"), (answer(*refusal(503)), "503"), (cut_answer(0), "reset")],
)
def test_a_single_node_is_named_too(tasks: Tasks, live: Proxy, fault: Fault, said: str) -> None:
    tasks.connect("movies_elasticsearch", "elasticsearch", live.port, extra={"request_timeout": 1})
    live.plan(fault, times=FOREVER)
    with MoviesElasticsearchHook().get_conn as client, pytest.raises(IndexUnavailableError) as lost:
        check_server(client)
    assert f"http://127.0.0.1:{live.port}" in str(lost.value)
    assert said in str(lost.value)


def test_a_load_behind_a_path(tasks: Tasks, site: Site, live: Proxy) -> None:
    async def strip(request: bytes, link: Link) -> None:
        method, target, rest = request.split(b" ", 2)
        await link.forward(b" ".join((method, target.removeprefix(b"/elastic"), rest)))

    live.plan(strip, b" /elastic/", times=FOREVER)
    live.plan(answer(404, {}), times=FOREVER)  # what the proxy has beside
    tasks.connect("movies_elasticsearch", "elasticsearch", live.port, host="127.0.0.1/elastic")
    assert tasks.run()["film_work"]["indexed"] == FILMS
    site.assert_equal()
