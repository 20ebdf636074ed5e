"""Breaks of rule 20: what is read on a replica is not older than what was read before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from movies_etl.postgres.replica import ReplicaSource

from tests.simulation.switches import Switches, always, patched

REPLICAS = Switches()


@REPLICAS.rule("20")
def replica_is_not_waited_for() -> AbstractContextManager[object]:
    """A replica is read wherever it stands."""
    return patched((ReplicaSource, "has_caught_up", always(True)))


@REPLICAS.rule("20-first")
def what_only_the_replica_shows_is_remembered() -> AbstractContextManager[object]:
    """A row version counts as followed although readers of the primary do not see it yet."""

    def broken(self: Any, feed: Any, rows: Sequence[Any]) -> list[Any]:
        del self, feed
        return [*rows]

    return patched((ReplicaSource, "lasting", broken))
