"""A client of the model of Elasticsearch: just the calls that the program makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import elasticsearch
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from movies_etl.es.carried import by_whole_name

from tests.simulation.elasticsearch import IndexModel, Late, Node, Operation
from tests.simulation.searches import got, hits, in_order, inventory
from tests.support.one_thread import Killed


def _parsed(operations: bytes | Sequence[dict[str, Any]]) -> list[Operation]:
    lines: Iterable[dict[str, Any]]
    if isinstance(operations, bytes):
        lines = json.loads(b"[%b]" % operations.rstrip().replace(b"\n", b","))
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


_OK = 200
_ALL_SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
_NO_SHARD = {"total": 1, "successful": 0, "skipped": 0, "failed": 1}
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

    ``deleted`` is called with each document that a request deletes: the index and the key.
    ``rewritten`` is called with the index of each that gets another text.
    """

    def __init__(self, node: Node, faults: float) -> None:
        self.node = node
        self.faults = faults
        self.dead = False
        self.indices = self.cluster = self
        self.deleted: Callable[[str, str], None] = lambda _index, _key: None
        self.rewritten: Callable[[str], None] | None = None

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
        name = self.node.resolved(name)
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

    def get_settings(
        self, *, index: str, name: str = "settings", flat_settings: bool = False
    ) -> dict[str, Any]:
        self._request(f"get {name}")
        settings = {"uuid": self._index(index).uuid, "number_of_shards": "1"}
        if flat_settings:
            whole = {f"index.{name}": value for name, value in settings.items()}
            return {index: {"settings": self._index(index).settings | whole}}
        return {index: {"settings": {"index": settings}}}

    def stats(self, *, index: str, **_what: Any) -> dict[str, Any]:
        self._request("get history")
        commit = {"user_data": {"history_uuid": self._index(index).history}}
        shards = {"0": [{"routing": {"primary": True}, "commit": commit}]}
        return {"indices": {index: {"shards": shards}}}

    def get_mapping(self, *, index: str, **_options: Any) -> dict[str, Any]:
        self._request("get mapping")
        if index.endswith("*"):
            found = {
                name: of for name, of in self.node.indexes.items() if name.startswith(index[:-1])
            }
            return {name: {"mappings": of.mappings} for name, of in found.items()}
        return {index: {"mappings": self._index(index).mappings}}

    def put_mapping(self, *, index: str, meta: dict[str, Any]) -> None:
        self._request("put mapping")
        of = self._index(index)
        of.mappings = of.mappings | {"_meta": meta}

    def exists(self, *, index: str, expand_wildcards: object = None) -> bool:
        del expand_wildcards
        self._request("exists")
        return self.node.resolved(index) in self.node.indexes

    def exists_alias(self, *, name: str) -> bool:
        self._request("exists alias")
        return name in self.node.other_aliases

    def get_alias(self, *, index: str = "", name: str = "") -> dict[str, Any]:
        self._request("get aliases")
        if name:
            return {self.node.other_aliases[name]: {}}
        is_written_to = index in self.node.written_to
        aliases = {self.node.alias: {"is_write_index": True} if is_written_to else {}}
        return {index: {"aliases": aliases if index in self.node.aliased else {}}}

    def update_aliases(self, *, actions: list[dict[str, dict[str, Any]]]) -> None:
        self._request("move aliases")
        self.node.move(actions)
        self._answer("move aliases")

    def put_settings(self, *, index: str, settings: dict[str, Any]) -> None:
        self._request("put settings")
        of = self._index(index)
        wanted = of.settings | settings
        of.settings = {name: value for name, value in wanted.items() if value is not None}

    def delete(self, *, index: str, ignore_unavailable: bool) -> None:
        del ignore_unavailable
        self._request("delete index")
        if index in self.node.indexes:
            self.node.delete(index)

    def health(self, **_options: Any) -> dict[str, Any]:
        self._request("health")
        return {"timed_out": False}

    def create(
        self,
        *,
        index: str,
        settings: dict[str, Any],
        mappings: dict[str, Any],
        aliases: dict[str, dict[str, bool]] | None = None,
        wait_for_active_shards: object = None,
    ) -> None:
        del wait_for_active_shards
        self._request("create index")
        if index in self.node.indexes:
            raise api_error(400, "resource_already_exists_exception")
        if aliases and self.node.written_to & self.node.aliased:
            raise api_error(500, "illegal_state_exception")  # two write indexes of one alias
        created = self.node.create(index, mappings, aliased=bool(aliases))
        created.settings = dict(by_whole_name(settings))
        if aliases:
            self.node.written_to.add(index)
        self._answer("create index")

    def get_index_template(
        self, *, name: str | None = None, filter_path: object = None
    ) -> dict[str, Any]:
        del filter_path
        self._request("get template" if name else "get all templates")
        if self.node.template:
            template = {"name": self.node.alias, "index_template": self.node.template}
            return {"index_templates": [template]}
        if name:
            raise api_error(404, "resource_not_found_exception")
        return {}

    def put_index_template(self, *, meta: dict[str, str], **described: Any) -> None:
        self._request("put template")
        self.node.template = {"_meta": meta, **described}

    def refresh(self, *, index: str) -> None:
        self._request("refresh")
        self._index(index).refresh()

    # -- documents -------------------------------------------------------------------------------

    def mget(
        self,
        *,
        index: str,
        ids: Sequence[str],
        source_includes: Sequence[str] | None = None,
        realtime: bool = True,
        filter_path: object = None,
    ) -> dict[str, Any]:
        del filter_path
        self._request("mget")
        index = self.node.resolved(index)
        if index not in self.node.indexes:
            error = {"type": "index_not_found_exception", "reason": "no such index"}
            return {"docs": [{"_id": key, "error": error} for key in ids]}
        of = self.node.indexes[index]
        held = of.held if realtime else of.searchable
        return {"docs": [got(key, held.get(key), source_includes) for key in ids]}

    def search(self, *, index: str, **asked: Any) -> dict[str, Any]:
        self._request("search what was written" if "seq_no_primary_term" in asked else "search")
        of = self._index(index)
        shards = _ALL_SHARDS
        if self.node.partial_answers or (self.faults and self.node.world.chance(self.faults)):
            self.node.partial_answers = 0
            of, shards = IndexModel(of.uuid, {}), _NO_SHARD
        if "seq_no_primary_term" in asked:
            answer = in_order(of, **asked)
        else:
            answer = hits(of, **asked) if "sort" in asked else inventory(of, **asked)
        return answer | {"timed_out": False, "_shards": shards}

    def count(self, *, index: str) -> dict[str, Any]:
        self._request("count")
        return {"count": len(self._index(index).searchable), "_shards": _ALL_SHARDS}

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
            if world.requests_leave or world.chance(0.5):
                self.node.late.append(request)  # it left before the task died
            raise
        if self.faults and world.chance(self.faults):
            self.node.late.append(request)
            if world.chance(0.5):
                self.node.arrive(request)
            raise elasticsearch.ConnectionTimeout("no answer to bulk")
        before = dict(self.node.indexes[index].held) if index in self.node.indexes else {}
        items = self.node.carry_out(request)
        for one, item in zip(request.operations, items, strict=True):
            if item["status"] != _OK:
                continue
            if one.source is None:
                self.deleted(index, one.key)
            elif self.rewritten and one.key in before and before[one.key].source != one.source:
                self.rewritten(index)
        self._answer("bulk")
        kinds = ("index" if one.source is not None else "delete" for one in request.operations)
        return {"items": [{kind: item} for kind, item in zip(kinds, items, strict=True)]}

    def _answer(self, action: str) -> None:
        """Let the world move between what is carried out and its answer."""
        self.node.world.step(f"{action}, carried out, before its answer")
