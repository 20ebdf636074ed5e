"""Cursors as Airflow Variables: visible in Admin -> Variables, and there for as long as Airflow."""

from __future__ import annotations

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from pydantic import TypeAdapter, ValidationError

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError, problems
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.state.cursors import Cursor, Stamp

_stamp: TypeAdapter[str] = TypeAdapter(Stamp)
_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


def exists(key: str) -> bool:
    """Whether there is such a Variable.

    ``Variable.get`` with a default returns the default when the API server is unreachable, and
    would load everything again; listing raises then.
    """
    return key in list(Variable.keys(prefix=key))


def value(key: str) -> str:
    """Return the value of a Variable that exists.

    :raises ConfigurationError: Airflow cannot decrypt it.
    """
    try:
        return str(Variable.get(key))
    except AirflowRuntimeError as error:  # also of a value that is there and cannot be decrypted
        if not exists(key):
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
        if not exists(key):
            return None
        return Cursor.from_json(value(key), where=key)

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
        """Delete the cursors of an index without the alias.

        The first stream's goes last: while it is there, ``indexes`` still names the index.
        """
        for stream in reversed(self._definition.streams):
            if exists(key := f"{self._key(stream.name)}.{index}"):
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
                _stamp.validate_python(value(self._horizon)) if exists(self._horizon) else None,
                _epochs.validate_json(value(self._epochs)) if exists(self._epochs) else (),
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
        if epochs or exists(self._epochs):
            Variable.set(
                self._epochs,
                _epochs.dump_json(epochs).decode(),
                description="Moments whose open transactions are not over yet. Init writes it, and "
                "follow.",
            )
