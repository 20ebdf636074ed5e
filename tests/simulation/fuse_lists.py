"""A model of the index of fuse lists: lists of documents about which a person is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from movies_etl.es.fuse_lists import Place
from movies_etl.state.fuse_list import FuseList, Kind

from tests.simulation.world import World


class SimulatedFuseLists:
    """Stands for the program's ``FuseLists``; a list is kept at once or not at all."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lists: dict[str, FuseList] = {}
        self._ids: dict[str, list[str]] = {}

    def keep(self, found: FuseList, ids: Iterable[str]) -> None:
        self._ids[found.digest] = [*ids]
        self.change(found)

    def change(self, changed: FuseList) -> None:
        self._world.step("store a list")
        self._lists[changed.digest] = changed
        self._world.step("store a list, carried out, before its answer")

    def take(self, changed: FuseList, place: Place) -> bool:
        del place
        self.change(changed)
        return True

    def found(self, digest: str) -> FuseList | None:
        self._world.step("look for a list")
        return self._lists.get(digest)

    def open(self, index: str) -> list[tuple[FuseList, Place]]:
        self._world.step("look for lists")
        return [
            (one, Place(0, 0))
            for one in self._lists.values()
            if one.index == index and one.state != "done"
        ]

    def set_aside(self, index: str, kind: Kind) -> Iterator[list[str]]:
        for one, _ in self.open(index):
            if one.kind == kind:
                yield from self.pieces(one)

    def pieces(self, of: FuseList, first: int = 0) -> Iterator[list[str]]:
        yield from [self._ids[of.digest]][first:]

    def drop_ids(self, of: FuseList) -> None:
        self._world.step("drop the ids of a list")
        self._ids.pop(of.digest, None)

    def asked_about(self, index: str, kind: Kind) -> set[str]:
        """Return the documents on lists that wait or were refused, without a request."""
        lists = [
            one
            for one in self._lists.values()
            if (one.index, one.kind) == (index, kind) and one.state != "done"
        ]
        return {id_ for one in lists for id_ in self._ids[one.digest]}
