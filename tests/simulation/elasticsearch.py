"""A model of Elasticsearch: documents and their versions, refresh, requests under way.

What is modelled: external versions (``external_gte``); gets in real time, searches and counts of
the last refresh; items that are refused for now (429) or for good (400); requests that are lost,
that are carried out without an answer, or that arrive late, even after the task died; indexes that
are deleted and recreated (another uuid), restored (another history), and created by a request
unless a template forbids it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.simulation.fuse_lists import SimulatedFuseLists
from tests.simulation.world import World
from tests.support.divergence import POISON


class Held(NamedTuple):
    """A document as the index holds it.

    :param sequence: its place in the order of what was written to the index.
    """

    version: int
    source: dict[str, Any]
    sequence: int


class Operation(NamedTuple):
    """One item of a bulk request; no source deletes."""

    key: str
    version: int | None
    source: dict[str, Any] | None


class Late(NamedTuple):
    """A request that is still under way."""

    target: str
    operations: list[Operation]
    refresh: bool


class IndexModel:
    """One index: what a get sees, what a search sees, and versions of what was deleted."""

    def __init__(self, uuid: str, mappings: dict[str, Any]) -> None:
        self.uuid = uuid
        self.history = uuid
        self.mappings = mappings
        self.settings: dict[str, Any] = {}
        self.held: dict[str, Held] = {}
        self.searchable: dict[str, Held] = {}
        self.deleted: dict[str, int] = {}
        self._writes = 0

    def put(self, key: str, version: int, source: dict[str, Any]) -> None:
        """Write a document."""
        self.held[key] = Held(version, source, self._writes)
        self._writes += 1

    def remove(self, key: str, version: int) -> bool:
        """Delete a document; say whether there was one."""
        self.deleted[key] = version
        self._writes += 1
        return self.held.pop(key, None) is not None

    def version(self, key: str) -> int:
        """Return the version of a document that is there or was deleted; 0 when it never was."""
        there = self.held.get(key)
        return there.version if there else self.deleted.get(key, 0)

    def refresh(self) -> None:
        """Make what is held visible to searches."""
        self.searchable = dict(self.held)

    def copy(self) -> IndexModel:
        """Return a snapshot."""
        copy = IndexModel(self.uuid, self.mappings)
        copy.settings = self.settings
        copy.held, copy.deleted = dict(self.held), dict(self.deleted)
        copy._writes = self._writes
        return copy

    def restore(self, snapshot: IndexModel) -> None:
        """Take the state of a snapshot; the index keeps its uuid and gets another history."""
        self.mappings = snapshot.mappings
        self.held, self.deleted = dict(snapshot.held), dict(snapshot.deleted)
        self.history += "'"
        self.refresh()


class Node:
    """The server.

    :param alias: of the one index that is written to.

    ``other_aliases`` are names of letters, each with its index.
    """

    def __init__(self, world: World, alias: str) -> None:
        self.world = world
        self.alias = alias
        self.indexes: dict[str, IndexModel] = {}
        self.aliased: set[str] = set()
        self.written_to: set[str] = set()
        self.other_aliases: dict[str, str] = {}
        self.template: dict[str, Any] | None = None
        self.late: list[Late] = []
        self.fuse_lists = SimulatedFuseLists(world)
        self.arrived = 0
        self.pressure = 0.0
        self.partial_answers = 0
        self._uuids = 0

    def create(self, name: str, mappings: dict[str, Any], *, aliased: bool) -> IndexModel:
        """Create an index, in place of one of that name."""
        self._uuids += 1
        self.indexes[name] = IndexModel(f"uuid-{self._uuids}", mappings)
        self.written_to.discard(name)
        if aliased:
            self.aliased.add(name)
        return self.indexes[name]

    def delete(self, name: str) -> None:
        """Delete an index, and its alias with it."""
        del self.indexes[name]
        self.aliased.discard(name)
        for alias in [one for one, index in self.other_aliases.items() if index == name]:
            del self.other_aliases[alias]

    def resolved(self, name: str) -> str:
        """Return the index that a name of letters leads to."""
        return self.other_aliases.get(name, name)

    def move(self, actions: list[dict[str, dict[str, Any]]]) -> None:
        """Carry out what is to be done about aliases, all of it at once."""
        for action in actions:
            ((kind, of),) = action.items()
            index, alias = of["index"], of.get("alias")
            if kind == "remove_index":
                self.delete(index)
            elif alias != self.alias:
                if kind == "add":
                    self.other_aliases[str(alias)] = index
                else:
                    self.other_aliases.pop(str(alias), None)
            elif kind == "add":
                self.aliased.add(index)
                if of.get("is_write_index"):
                    self.written_to.add(index)
            else:
                self.aliased.discard(index)
                self.written_to.discard(index)

    def live(self) -> IndexModel | None:
        """Return the index behind the alias, None when it has none or several."""
        names = list(self.aliased)
        return self.indexes[names[0]] if len(names) == 1 else None

    def arrive(self, request: Late) -> None:
        """Carry out a request for which nobody waits any more."""
        self.late.remove(request)
        self.arrived += 1
        self.carry_out(request)

    def carry_out(self, request: Late) -> list[dict[str, Any]]:
        """Apply a bulk request; return the answer's items."""
        index = self.indexes.get(self.resolved(request.target))
        if index is None:
            if self.template and request.target in self.template["index_patterns"]:
                return [_refused(404, "index_not_found_exception")] * len(request.operations)
            index = self.create(request.target, {}, aliased=False)
        items = [self._apply(index, operation) for operation in request.operations]
        if request.refresh:
            index.refresh()
        return items

    def _apply(self, index: IndexModel, operation: Operation) -> dict[str, Any]:
        key, version, source = operation
        if self.pressure and self.world.chance(self.pressure):
            return _refused(429, "es_rejected_execution_exception")
        if source and str(source.get("title", source.get("full_name"))).startswith(POISON):
            return _refused(400, "document_parsing_exception")  # before its version is looked at
        known = index.version(key)
        if version is None:
            version = known + 1
        elif version < known:
            return _refused(409, "version_conflict_engine_exception")
        if source is None:
            return {"status": 200 if index.remove(key, version) else 404, "_id": key}
        index.put(key, version, source)
        return {"status": 200, "_id": key}


def _refused(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "_id": "", "error": {"type": kind, "reason": kind}}
