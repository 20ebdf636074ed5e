"""What is kept of the index with the alias and of those beside it, for all tasks that feed them."""

from __future__ import annotations

from movies_etl.airflow.variables import (
    VariableCursorStore,
    VariableHorizonStore,
    VariableReconcileStore,
)
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.rebuild.plan import Stores


def stores_of(definition: IndexDefinition) -> Stores:
    """Return where it is kept: Variables."""
    return Stores(
        VariableCursorStore(definition),
        VariableHorizonStore(definition),
        VariableReconcileStore(definition),
    )
