"""Cursors as Airflow Variables: visible in Admin -> Variables, and there for as long as Airflow."""

from __future__ import annotations

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from pydantic import TypeAdapter, ValidationError

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, problems
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.state.comparison import Comparison
from movies_etl.state.cursors import Cursor, Stamp
from movies_etl.state.layout import Layout
from movies_etl.state.notices import Noticed
from movies_etl.state.reconcile import ReconcileState

_stamp: TypeAdapter[str] = TypeAdapter(Stamp)
_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


def _exists(key: str) -> bool:
    """Whether there is such a Variable.

    ``Variable.get`` with a default returns the default when the API server is unreachable, and
    would load everything again; listing raises then.
    """
    return key in list(Variable.keys(prefix=key))


def _value(key: str) -> str:
    """Return the value of a Variable that exists.

    :raises ConfigurationError: Airflow cannot decrypt it.
    """
    try:
        return str(Variable.get(key))
    except AirflowRuntimeError as error:  # also of a value that is there and cannot be decrypted
        if not _exists(key):
            raise
        raise ConfigurationError(
            f"Variable {key} exists, but Airflow cannot read its value: most likely it was saved "
            "with another Fernet key (the API server's log says so). Bring that key back ([core] "
            "fernet_key takes several, separated by commas), or delete the Variables movies_etl.*: "
            "everything is loaded again then."
        ) from error


class VariableCursorStore:
    """Keeps each stream's cursor in a Variable of its own, such as ``movies_etl.cursor.person``.

    :param definition: the index that the streams lead to.
    :param index: a concrete index without the alias, whose cursors these are.
    """

    def __init__(self, definition: IndexDefinition, index: str | None = None) -> None:
        self._definition = definition
        self._index = index

    def _key(self, stream: str) -> str:
        key = self._definition.cursor_variable(stream)
        return f"{key}.{self._index}" if self._index else key

    def load(self, stream: str) -> Cursor | None:
        """Return the stream's cursor, None when its Variable does not exist."""
        key = self._key(stream)
        if not _exists(key):
            return None
        return Cursor.from_json(_value(key), where=key)

    def save(self, stream: str, cursor: Cursor) -> None:
        """Write the stream's Variable, its description too: a write without one erases it."""
        definition = self._definition
        reloads = "everything" if stream == definition.root.name else "the stream"
        Variable.set(
            self._key(stream),
            cursor.to_json(),
            description=f"How far {stream} is loaded into index {self._index}, which does not have "
            "the alias. Delete this to stop feeding that index."
            if self._index
            else f"How far {definition.sync_dag} has loaded {stream}. Delete it to load "
            f"{reloads} again.",
        )

    def beside(self, index: str) -> VariableCursorStore:
        """Return where the cursors of an index without the alias are kept."""
        return VariableCursorStore(self._definition, index)

    def indexes(self) -> list[str]:
        """Return the indexes without the alias that have cursors."""
        prefix = f"{self._key(self._definition.root.name)}."
        return sorted(key.removeprefix(prefix) for key in Variable.keys(prefix=prefix))

    def forget(self, index: str) -> None:
        """Delete the cursors of an index without the alias, the first stream's first."""
        for stream in self._definition.streams:
            if _exists(key := f"{self._key(stream.name)}.{index}"):
                Variable.delete(key)


class VariableHorizonStore:
    """Keeps the horizon in a Variable such as ``movies_etl.horizon``.

    ``init`` writes it, and ``follow`` when it gives the lock away.

    A role that cannot see when transactions began needs the moments of earlier measurements too;
    they are kept in ``movies_etl.horizon.epochs``.

    :param definition: the index whose runs measure it.
    """

    def __init__(self, definition: IndexDefinition) -> None:
        self._horizon = definition.horizon_variable
        self._epochs = f"{definition.horizon_variable}.epochs"

    def load(self) -> Known:
        """Return what the last measurement left; nothing before the first run."""
        try:
            return Known(
                _stamp.validate_python(_value(self._horizon)) if _exists(self._horizon) else None,
                _epochs.validate_json(_value(self._epochs)) if _exists(self._epochs) else (),
            )
        except ValidationError as error:
            raise ConfigurationError(
                f"Variable {self._horizon} or {self._epochs} is not valid: "
                f"{problems(error)}. Delete both: the next run measures them anew."
            ) from error

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        """Write the horizon, and the moments where there are any."""
        Variable.set(
            self._horizon,
            horizon,
            description="What was committed before is in the index after the run. Init writes it, "
            "and follow.",
        )
        if epochs or _exists(self._epochs):
            Variable.set(
                self._epochs,
                _epochs.dump_json(epochs).decode(),
                description="Moments whose open transactions are not over yet. Init writes it, and "
                "follow.",
            )


class VariableNoticeStore:
    """Keeps what ``init`` warned of in a Variable such as ``movies_etl.notices``.

    :param definition: the index whose runs notice it.
    """

    def __init__(self, definition: IndexDefinition) -> None:
        self._key = definition.notices_variable

    def load(self) -> Noticed | None:
        """Return what was noticed last; a value that cannot be read is ignored and overwritten."""
        if not _exists(self._key):
            return None
        try:
            return Noticed.model_validate_json(_value(self._key))
        except ValidationError:
            return None

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
        """Return what was learned last; a value that cannot be read is ignored and overwritten."""
        if not _exists(self._key):
            return None
        try:
            layout = Layout.model_validate_json(_value(self._key))
        except ValidationError:
            return None
        return layout.model_copy(update={"is_earlier": True})

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
        """Return the last comparison, None when nothing was compared yet.

        A value that is no comparison was written by someone else; it is ignored and overwritten.
        """
        if not _exists(self._key):
            return None
        try:
            return Comparison.model_validate_json(_value(self._key))
        except ValidationError:
            return None

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
        """Return the state, None when there is none.

        A value that is no state was written by someone else, or by another version; it is ignored
        and overwritten.
        """
        if not _exists(self._key):
            return None
        try:
            return ReconcileState.model_validate_json(_value(self._key))
        except ValidationError:
            return None

    def save(self, state: ReconcileState) -> None:
        """Write the state."""
        Variable.set(
            self._key,
            state.model_dump_json(),
            description=f"What {self._definition.reindex_dag} saw of index {self._index}, which "
            "has not the alias, when it was compared last."
            if self._index
            else f"How far {self._definition.reconcile_dag} has come, since when everything is "
            "verified, and what its tasks did last. Delete it to have everything compared again.",
        )

    def beside(self, index: str) -> VariableReconcileStore:
        """Return where the state of an index without the alias is kept."""
        return VariableReconcileStore(self._definition, index)

    def forget(self, index: str) -> None:
        """Delete the state of an index without the alias."""
        if _exists(key := f"{self._key}.{index}"):
            Variable.delete(key)
