"""An index beside the one with the alias: what is kept of both, and what tasks work on it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from movies_etl.airflow.hooks import MoviesElasticsearchHook
from movies_etl.airflow.remembered import VariableReconcileStore
from movies_etl.airflow.servers import Servers, elasticsearch, resources_of
from movies_etl.airflow.variables import VariableCursorStore, VariableHorizonStore
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.plan import Plan, Stores
from movies_etl.settings import Settings
from movies_etl.sync.counters import Counters


def stores_of(definition: IndexDefinition) -> Stores:
    """Return where it is kept: Variables."""
    return Stores(
        VariableCursorStore(definition),
        VariableHorizonStore(definition),
        VariableReconcileStore(definition),
    )


@contextmanager
def candidate_of(
    definition: IndexDefinition, settings: Settings, name: str, plan: Plan
) -> Iterator[Candidate]:
    """Give out the index that is to take the alias, with its servers.

    :param name: what PostgreSQL shows of the task.
    """
    with (
        elasticsearch(MoviesElasticsearchHook(), definition) as client,
        resources_of(definition, name, Servers(client), plan.context, Counters()) as resources,
    ):
        yield Candidate(plan, resources, stores_of(definition), settings)


class TaskPosition:
    """Keeps how far a range is loaded in the state of the task, which its retries find.

    :param store: Airflow's.
    :param key: of the range.
    """

    def __init__(self, store: Any, key: str) -> None:  # noqa: ANN401 - Airflow's
        self._store = store
        self._key = key

    def load(self) -> str | None:
        """Return what was kept, None at the first attempt."""
        kept = self._store.get(self._key)
        return None if kept is None else str(kept)

    def save(self, position: str) -> None:
        """Keep it."""
        self._store.set(self._key, position)
