"""The simulation's model of Elasticsearch and the real server show the program the same.

The same random requests are sent to both; answers are compared as far as the program looks at them:
the outcome of every item of a bulk, gets in real time, searches and counts before and after a
refresh, indexes that are missing, recreated, or must not be created by a request.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import elasticsearch
import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import MoviesEtlError
from movies_etl.es.admin import (
    create,
    described,
    live,
)
from movies_etl.es.client import check_server
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.es.letters import Letter
from movies_etl.es.mapping import differences
from movies_etl.es.template import forbid_automatic_creation
from movies_etl.settings import Settings

from tests.simulation.client import SimulatedClient
from tests.simulation.elasticsearch import Node
from tests.simulation.world import World
from tests.support.divergence import POISON
from tests.support.samples import document

DESCRIBED = described(MOVIES, Settings().include_dir)
LETTERS = MOVIES.dead_letters
INDEXES = ("movies-1", "movies-2")
FILMS = [f"film-{number}" for number in range(5)]
NOW = "2026-03-03T12:00:00.000000+00:00"


class Failed(str):
    """The name of an error, in place of a result."""

    __slots__ = ()


class Both:
    """The model and the real server, asked alike."""

    def __init__(self, real: Elasticsearch, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a game
        world = World(seed)
        self.node = Node(world, MOVIES.alias)
        self.sides: tuple[Any, Any] = (SimulatedClient(self.node, 0.0), real)
        self.uuids: dict[str, str] = {}
        self.version = 1000

    def same(self, ask: Callable[[Any], Any]) -> Any:
        """Ask both sides; return the common answer."""
        model, real = (_outcome(ask, side) for side in self.sides)
        assert model == real
        return model

    def act(self) -> None:
        """Send one request to both."""
        actions = (
            *(self.bulk,) * 8,
            *(self.get,) * 4,
            self.refresh,
            *(self.count,) * 2,
            self.create,
            self.delete,
            self.forbid,
            self.look,
            self.park,
            self.resolve,
            self.create_letters,
        )
        self.random.choice(actions)()

    def _version(self) -> int:
        self.version += 10
        return self.version - self.random.choice((0, 0, 0, 10, 20, 200))

    def bulk(self) -> None:
        """Index or delete a few documents, one of them perhaps refused."""
        index = self.random.choice(INDEXES)
        is_there = index in self.node.indexes
        operations: list[dict[str, Any]] = []
        if self.random.random() < 0.25:
            films = self.random.sample(FILMS, 2)
            operations = [{"delete": _meta(film, self._version())} for film in sorted(films)]
        else:
            for _ in range(self.random.randint(1, 4)):
                film = self.random.choice(FILMS)
                source = self._document(film, may_be_refused=is_there)
                operations += ({"index": _meta(film, self._version())}, source)
        if self.random.random() < 0.5:
            body = b"".join(json.dumps(line).encode() + b"\n" for line in operations)
            self.same(lambda side: _items(side.bulk(index=index, operations=body)))
        else:
            refresh = self.random.random() < 0.3
            self.same(
                lambda side: _items(side.bulk(index=index, operations=operations, refresh=refresh))
            )
        if not is_there:
            self._forget(index)

    def _document(self, film: str, *, may_be_refused: bool) -> dict[str, Any]:
        title = self.random.choice(("A", "B", POISON + "x" * 33_000)[: 2 + may_be_refused])
        return document(film, title=title, checksum=self.random.randint(-9, 9))

    def _forget(self, name: str) -> None:
        """Delete an index that a request made on its own: its mapping is a guess."""
        if name in self.node.indexes:
            self.node.delete(name)
            self.sides[1].indices.delete(index=name)
        assert not self.sides[1].indices.exists(index=name)

    def get(self) -> None:
        index = self.random.choice(INDEXES)
        self.same(lambda side: Index(side, MOVIES, index).stored(FILMS))

    def refresh(self) -> None:
        index = self.random.choice(INDEXES)
        self.same(lambda side: Index(side, MOVIES, index).refresh())

    def count(self) -> None:
        """Count without a refresh, then with one."""
        index = self.random.choice(INDEXES)
        if index in self.node.indexes:
            self.same(lambda side: side.count(index=index)["count"])
        self.same(lambda side: Index(side, MOVIES, index).documents())

    def create(self) -> None:
        """Create an index behind the alias; the interval of its refresh is out of the way."""
        name = self.random.choice(INDEXES)
        hushed = {**DESCRIBED, "settings": _never_refreshed(DESCRIBED["settings"])}
        self.same(lambda side: create(side, MOVIES, name, hushed).name)

    def delete(self) -> None:
        name = self.random.choice(INDEXES)
        if name in self.node.indexes and self.random.random() < 0.5:
            self.node.delete(name)
            self.sides[1].indices.delete(index=name)

    def forbid(self) -> None:
        """Let requests no longer create indexes, or again."""
        if self.random.random() < 0.7:
            name = self.random.choice(INDEXES)
            self.same(lambda side: forbid_automatic_creation(side, MOVIES, name))
        else:
            self.node.template = None
            self.sides[1].options(ignore_status=404).indices.delete_index_template(name="movies")

    def look(self) -> None:
        """Find the live index, its uuid and its mapping."""
        self.same(check_server)
        found = self.same(lambda side: getattr(live(side, MOVIES), "name", None))
        name = self.random.choice(INDEXES)
        if found and not isinstance(found, Failed):
            self.same(lambda side: _mapped(Index(side, MOVIES, found)))
            self.same(lambda side: Index(side, MOVIES, found).history() is None)
        uuids = [
            _outcome(lambda side: Index(side, MOVIES, name).uuid(), side) for side in self.sides
        ]
        if name in self.node.indexes:
            assert self.uuids.setdefault(uuids[0], uuids[1]) == uuids[1]
            assert len(set(self.uuids.values())) == len(self.uuids)
        else:
            assert uuids[0] == uuids[1]

    # -- dead letters ----------------------------------------------------------------------------

    def create_letters(self) -> None:
        if self.random.random() < 0.2:
            self._forget(LETTERS)
        self.same(lambda side: DeadLetters(side, MOVIES).create())

    def park(self) -> None:
        """Park letters, also when their index is gone and must not come back by a request."""
        if LETTERS not in self.node.indexes and not self.node.template:
            return
        films = self.random.sample(FILMS, 2)
        letters = [Letter(film, "validation", "a reason", "{}") for film in films]
        version = self._version()
        self.same(lambda side: DeadLetters(side, MOVIES).park(letters, NOW, version))
        self._compare_letters()

    def resolve(self) -> None:
        """Remove letters, those of films that have none included."""
        if LETTERS not in self.node.indexes and not self.node.template:
            return
        films = self.random.sample(FILMS, 2)
        version = self._version()
        self.same(lambda side: DeadLetters(side, MOVIES).resolve(films, version))
        self._compare_letters()

    def _compare_letters(self) -> None:
        self.same(lambda side: DeadLetters(side, MOVIES).versions())
        self.same(lambda side: DeadLetters(side, MOVIES).parked(FILMS))
        if LETTERS in self.node.indexes:
            fields = ["film", "attempts", "first_seen", "last_seen", "reason"]
            self.same(
                lambda side: [
                    (one["_id"], one.get("_version"), one.get("_source"))
                    for one in side.mget(index=LETTERS, ids=FILMS, source_includes=fields)["docs"]
                ]
            )


def _mapped(index: Index) -> int:
    """Return how many differences of its mapping are found."""
    return len(differences(index, index.mapping(), DESCRIBED))


def _meta(film: str, version: int) -> dict[str, Any]:
    return {"_id": film, "version": version, "version_type": "external_gte"}


def _items(answer: Any) -> list[tuple[str, int, str | None]]:
    """Return what the program looks at: kind and status of each item, and a missing index.

    Whether a document that was taken is a new one is of no consequence.
    """
    found = []
    for item in answer["items"]:
        ((kind, result),) = item.items()
        status = 200 if result["status"] == 201 else result["status"]
        error = result.get("error", {}).get("type")
        missing = error if error == "index_not_found_exception" else None
        found.append((kind, status, missing))
    return found


def _outcome(ask: Callable[[Any], Any], side: Any) -> Any:
    try:
        return ask(side)
    except elasticsearch.ApiError as error:
        return Failed(f"{error.meta.status}")
    except MoviesEtlError as error:
        cause = error.__cause__
        status = cause.meta.status if isinstance(cause, elasticsearch.ApiError) else ""
        return Failed(f"{type(error).__name__} {status}")


def _never_refreshed(settings: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "index": {**settings["index"], "refresh_interval": "-1"}}


def play(client: Elasticsearch, seed: int, steps: int) -> None:
    both = Both(client, seed)
    for _ in range(steps):
        both.act()


def test_both_answer_the_same(client: Elasticsearch) -> None:
    play(client, 1, 80)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
def test_both_answer_the_same_for_long(client: Elasticsearch, seed: int) -> None:
    play(client, seed, 400)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4, 9))
def test_both_answer_the_same_for_very_long(client: Elasticsearch, seed: int) -> None:
    play(client, seed, 600)
