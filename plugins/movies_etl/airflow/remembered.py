"""What runs remember in Variables and may forget: without it they ask or compare again."""

from __future__ import annotations

from typing import TypeVar

from airflow.sdk import Variable
from pydantic import BaseModel, ValidationError

from movies_etl.airflow.variables import exists, value
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.state.comparison import Comparison
from movies_etl.state.layout import Layout
from movies_etl.state.notices import Noticed
from movies_etl.state.reconcile import ReconcileState

_ModelT = TypeVar("_ModelT", bound=BaseModel)


def _remembered(key: str, model: type[_ModelT]) -> _ModelT | None:
    """Return the value of a Variable, None when there is none.

    A value that cannot be decrypted, or is of another kind, is ignored and overwritten: someone
    else wrote it, or another version of the program.
    """
    if not exists(key):
        return None
    try:
        return model.model_validate_json(value(key))
    except (ConfigurationError, ValidationError):
        return None


class VariableNoticeStore:
    """Keeps what ``init`` warned of in a Variable such as ``movies_etl.notices``.

    :param definition: the index whose runs notice it.
    """

    def __init__(self, definition: IndexDefinition) -> None:
        self._key = definition.notices_variable

    def load(self) -> Noticed | None:
        """Return what was noticed last, None before the first time."""
        return _remembered(self._key, Noticed)

    def save(self, noticed: Noticed) -> None:
        """Write what there is to notice."""
        Variable.set(
            self._key,
            noticed.model_dump_json(indent=2),
            description="What init warns of in the catalogue; each is logged once. Delete it to "
            "have all of it logged again.",
        )


class VariableLayoutStore:
    """Keeps what ``init`` learned of the catalogue in a Variable such as ``movies_etl.layout``.

    :param definition: the index whose tables these are.
    """

    def __init__(self, definition: IndexDefinition) -> None:
        self._key = definition.layout_variable

    def load(self) -> Layout | None:
        """Return what was learned last, None before the first time."""
        layout = _remembered(self._key, Layout)
        return layout and layout.model_copy(update={"is_earlier": True})

    def save(self, layout: Layout) -> None:
        """Write what was learned."""
        Variable.set(
            self._key,
            layout.model_dump_json(exclude={"is_earlier"}),
            description="What init learned of the catalogue's columns, and when. Delete it to have "
            "them asked again.",
        )


class VariableDifferenceStore:
    """Keeps the last comparison of counts in a Variable such as ``movies_etl.difference``.

    :param definition: the index that is compared.
    """

    def __init__(self, definition: IndexDefinition) -> None:
        self._key = definition.difference_variable
        self._nouns = definition.nouns

    def load(self) -> Comparison | None:
        """Return the last comparison, None when nothing was compared yet."""
        return _remembered(self._key, Comparison)

    def save(self, comparison: Comparison) -> None:
        """Write a comparison."""
        Variable.set(
            self._key,
            comparison.model_dump_json(),
            description=f"Rows less documents less {self._nouns} that were always refused. The "
            "same sign twice in a row is drift: rows were deleted, or changed behind the cursors.",
        )


class VariableReconcileStore:
    """Keeps what the reconcile remembers in a Variable such as ``movies_etl.reconcile``.

    :param definition: the index that is compared.
    :param index: a concrete index without the alias, whose state this is.
    """

    def __init__(self, definition: IndexDefinition, index: str | None = None) -> None:
        self._definition = definition
        self._index = index
        key = definition.reconcile_variable
        self._key = f"{key}.{index}" if index else key

    def load(self) -> ReconcileState | None:
        """Return the state, None when there is none."""
        return _remembered(self._key, ReconcileState)

    def save(self, state: ReconcileState) -> None:
        """Write the state."""
        Variable.set(
            self._key,
            state.model_dump_json(),
            description=f"What {self._definition.reindex_dag} saw of index {self._index}, which "
            "does not have the alias, when it was compared last."
            if self._index
            else f"How far {self._definition.reconcile_dag} has come, since when everything is "
            "verified, and what its tasks did last. Delete it to have everything compared again.",
        )

    def beside(self, index: str) -> VariableReconcileStore:
        """Return where the state of an index without the alias is kept."""
        return VariableReconcileStore(self._definition, index)

    def forget(self, index: str) -> None:
        """Delete the state of an index without the alias."""
        if exists(key := f"{self._key}.{index}"):
            Variable.delete(key)
