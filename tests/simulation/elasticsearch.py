"""A model of Elasticsearch and of its client: just the calls that the program makes.

What is modelled: external versions (``external_gte``); gets in real time, searches and counts of
the last refresh; items that are refused for now (429) or for good (400); requests that are lost,
that are carried out without an answer, or that arrive late, even after the task died; indexes that
are deleted and recreated (another uuid), and created by a request unless a template forbids it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import elasticsearch
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from tests.simulation.world import Killed, World

POISON = "poison"
"""A title that begins so is refused by Elasticsearch."""


class Held(NamedTuple):
    """A document as the index holds it."""

    version: int
    source: dict[str, Any]


class Operation(NamedTuple):
    """One item of a bulk request; no source deletes."""

    key: str
    version: int | None
    source: dict[str, Any] | None


class Late(NamedTuple):
    """A request that is still under way."""

    index: str
    operations: list[Operation]
    refresh: bool


class IndexModel:
    """One index: what a get sees, what a search sees, and versions of what was deleted."""

    def __init__(self, uuid: str, mappings: dict[str, Any]) -> None:
        self.uuid = uuid
        self.mappings = mappings
        self.held: dict[str, Held] = {}
        self.searchable: dict[str, Held] = {}
        self.deleted: dict[str, int] = {}

    def refresh(self) -> None:
        """Make what is held visible to searches."""
        self.searchable = dict(self.held)


class Node:
    """The server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.indexes: dict[str, IndexModel] = {}
        self.aliased: set[str] = set()
        self.forbids_automatic_creation = False
        self.late: list[Late] = []
        self.pressure = 0.0
        self._uuids = 0

    def create(self, name: str, mappings: dict[str, Any], *, aliased: bool) -> IndexModel:
        """Create an index, in place of one of that name."""
        self._uuids += 1
        self.indexes[name] = IndexModel(f"uuid-{self._uuids}", mappings)
        if aliased:
            self.aliased.add(name)
        return self.indexes[name]

    def delete(self, name: str) -> None:
        """Delete an index, and its alias with it."""
        del self.indexes[name]
        self.aliased.discard(name)

    def live(self) -> IndexModel | None:
        """Return the index behind the alias, None when it has none or several."""
        names = list(self.aliased)
        return self.indexes[names[0]] if len(names) == 1 else None

    def arrive(self, request: Late) -> None:
        """Carry out a request for which nobody waits any more."""
        self.late.remove(request)
        self.carry_out(request)

    def carry_out(self, request: Late) -> list[dict[str, Any]]:
        """Apply a bulk request; return the answer's items."""
        index = self.indexes.get(request.index)
        if index is None:
            if self.forbids_automatic_creation and request.index.startswith("movies"):
                return [_refused(404, "index_not_found_exception")] * len(request.operations)
            index = self.create(request.index, {}, aliased=False)
        items = [self._apply(index, operation) for operation in request.operations]
        if request.refresh:
            index.refresh()
        return items

    def _apply(self, index: IndexModel, operation: Operation) -> dict[str, Any]:
        key, version, source = operation
        if self.pressure and self.world.chance(self.pressure):
            return _refused(429, "es_rejected_execution_exception")
        if source and str(source.get("title", "")).startswith(POISON) and "film" not in source:
            return _refused(400, "document_parsing_exception")  # before its version is looked at
        before = index.held.get(key)
        known = before.version if before else index.deleted.get(key, 0)
        if version is None:
            version = known + 1
        elif version < known:
            return _refused(409, "version_conflict_engine_exception")
        if source is None:
            index.deleted[key] = version
            return {"status": 200 if index.held.pop(key, None) else 404, "_id": key}
        index.held[key] = Held(version, source)
        return {"status": 200, "_id": key}


def _refused(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "_id": "", "error": {"type": kind, "reason": kind}}


@lru_cache(1000)
def _loaded(line: bytes) -> dict[str, Any]:
    """Read a line of a bulk request; nobody changes what comes out."""
    loaded: dict[str, Any] = json.loads(line)
    return loaded


def _parsed(operations: bytes | Sequence[dict[str, Any]]) -> list[Operation]:
    lines: Iterable[dict[str, Any]]
    if isinstance(operations, bytes):
        lines = [_loaded(line) for line in operations.split(b"\n") if line]
    else:
        lines = operations
    found = []
    rest = iter(lines)
    for action in rest:
        ((kind, meta),) = action.items()
        source = next(rest) if kind == "index" else None
        found.append(Operation(meta["_id"], meta.get("version"), source))
    if all(operation.source is None for operation in found):
        found.sort(key=lambda operation: operation.key)  # the letters' come from a set
    return found


_NODE = NodeConfig("http", "simulated", 9200)


@cache
def _meta(status: int) -> ApiResponseMeta:
    return ApiResponseMeta(
        node=_NODE, status=status, http_version="1.1", headers=HttpHeaders(), duration=0.0
    )


def api_error(status: int, kind: str) -> elasticsearch.ApiError:
    """Return the error that the client raises for an answer of this status."""
    error = {404: elasticsearch.NotFoundError, 400: elasticsearch.BadRequestError}.get(
        status, elasticsearch.ApiError
    )
    return error(kind, _meta(status), {"error": {"type": kind}})


class SimulatedClient:
    """A client of one task; it stands for ``Elasticsearch`` and its ``indices`` as well.

    :param faults: probability that a request goes wrong on its way.
    """

    def __init__(self, node: Node, faults: float) -> None:
        self.node = node
        self.faults = faults
        self.dead = False
        self.indices = self

    def options(self, **_options: Any) -> SimulatedClient:
        """Return a client with other options: they are of no consequence here."""
        return self

    def _request(self, action: str) -> None:
        self.node.world.step(action)
        if self.faults and self.node.world.chance(self.faults):
            if self.node.world.chance(0.3):
                raise api_error(self.node.world.random.choice((429, 503)), "busy")
            raise elasticsearch.ConnectionError(f"lost at {action}")

    def _index(self, name: str) -> IndexModel:
        if name not in self.node.indexes:
            raise api_error(404, "index_not_found_exception")
        return self.node.indexes[name]

    # -- the server and its indexes --------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        self._request("info")
        return {"version": {"number": f"{elasticsearch.__version__[0]}.19.3"}}

    def get(self, *, index: str, ignore_unavailable: bool) -> list[str]:
        del ignore_unavailable
        self._request("get alias")
        return [index] if index in self.node.indexes else sorted(self.node.aliased)

    def get_settings(self, *, index: str, name: str) -> dict[str, Any]:
        del name
        self._request("get uuid")
        return {index: {"settings": {"index": {"uuid": self._index(index).uuid}}}}

    def get_mapping(self, *, index: str) -> dict[str, Any]:
        self._request("get mapping")
        return {index: {"mappings": self._index(index).mappings}}

    def exists(self, *, index: str) -> bool:
        self._request("exists")
        return index in self.node.indexes

    def create(
        self,
        *,
        index: str,
        settings: object,
        mappings: dict[str, Any],
        aliases: object = None,
        wait_for_active_shards: object = None,
    ) -> None:
        del settings, wait_for_active_shards
        self._request("create index")
        if index in self.node.indexes:
            raise api_error(400, "resource_already_exists_exception")
        self.node.create(index, mappings, aliased=bool(aliases))
        self._answer("create index")

    def exists_index_template(self, *, name: str) -> bool:
        self._request(f"exists template {name}")
        return self.node.forbids_automatic_creation

    def put_index_template(self, *, allow_auto_create: bool, **_described: Any) -> None:
        self._request("put template")
        self.node.forbids_automatic_creation = not allow_auto_create

    def refresh(self, *, index: str) -> None:
        self._request("refresh")
        self._index(index).refresh()

    # -- documents -------------------------------------------------------------------------------

    def mget(
        self,
        *,
        index: str,
        ids: Sequence[str],
        source_includes: Sequence[str],
        realtime: bool = True,
        filter_path: object = None,
    ) -> dict[str, Any]:
        del filter_path
        self._request("mget")
        if index not in self.node.indexes:
            error = {"type": "index_not_found_exception", "reason": "no such index"}
            return {"docs": [{"_id": key, "error": error} for key in ids]}
        of = self.node.indexes[index]
        held = of.held if realtime else of.searchable
        return {"docs": [_got(key, held.get(key), source_includes) for key in ids]}

    def search(
        self,
        *,
        index: str,
        size: int,
        source_includes: Sequence[str],
        sort: str,
        search_after: Sequence[str] | None,
        **_options: Any,
    ) -> dict[str, Any]:
        self._request("search")
        found = sorted(
            (held.source[sort], key)
            for key, held in self._index(index).searchable.items()
            if search_after is None or held.source[sort] > search_after[0]
        )
        searchable = self._index(index).searchable
        hits = [
            _got(key, searchable[key], source_includes) | {"sort": [place]}
            for place, key in found[:size]
        ]
        return {"hits": {"hits": hits}}

    def count(self, *, index: str) -> dict[str, int]:
        self._request("count")
        return {"count": len(self._index(index).searchable)}

    def bulk(
        self,
        *,
        index: str,
        operations: bytes | Sequence[dict[str, Any]],
        filter_path: object = None,
        refresh: bool = False,
    ) -> dict[str, Any]:
        del filter_path
        request = Late(index, _parsed(operations), refresh)
        if self.dead:
            self.node.late.append(request)
            raise Killed
        world = self.node.world
        try:
            self._request("bulk")
        except Killed:
            if world.chance(0.5):
                self.node.late.append(request)  # it left before the task died
            raise
        if self.faults and world.chance(self.faults):
            self.node.late.append(request)
            if world.chance(0.5):
                self.node.arrive(request)
            raise elasticsearch.ConnectionTimeout("no answer to bulk")
        items = self.node.carry_out(request)
        self._answer("bulk")
        kinds = ("index" if one.source is not None else "delete" for one in request.operations)
        return {"items": [{kind: item} for kind, item in zip(kinds, items, strict=True)]}

    def _answer(self, action: str) -> None:
        """Let the world move between what is carried out and its answer."""
        self.node.world.step(f"{action}, carried out, before its answer")


def _got(key: str, held: Held | None, includes: Sequence[str]) -> dict[str, Any]:
    if held is None:
        return {"_id": key, "found": False}
    source = {name: held.source[name] for name in includes if name in held.source}
    return {"_id": key, "found": True, "_version": held.version, "_source": source}
