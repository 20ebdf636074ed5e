"""Cursors as Airflow Variables: visible in Admin -> Variables, and there for as long as Airflow."""

from __future__ import annotations

from airflow.sdk import Variable
from pydantic import TypeAdapter, ValidationError

from movies_etl.errors import ConfigurationError
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.state.cursors import Cursor, Stamp
from movies_etl.sync.counts import Comparison

PREFIX = "movies_etl.cursor."
HORIZON = "movies_etl.horizon"
EPOCHS = HORIZON + ".epochs"
DIFFERENCE = "movies_etl.difference"

_stamp: TypeAdapter[str] = TypeAdapter(Stamp)
_epochs: TypeAdapter[tuple[Epoch, ...]] = TypeAdapter(tuple[Epoch, ...])


class VariableCursorStore:
    """Keeps each stream's cursor in the Variable ``movies_etl.cursor.<stream>``.

    Whether there is a cursor is decided by listing the keys: ``Variable.get`` with a default
    returns the default when the API server is unreachable, and would load everything again.
    """

    def load(self, stream: str) -> Cursor | None:
        """Return the stream's cursor, None when its Variable does not exist."""
        key = PREFIX + stream
        if key not in list(Variable.keys(prefix=key)):
            return None
        return Cursor.from_json(Variable.get(key), where=key)

    def save(self, stream: str, cursor: Cursor) -> None:
        """Write the stream's Variable, its description too: a write without one erases it."""
        Variable.set(
            PREFIX + stream,
            cursor.to_json(),
            description=f"How far movies_sync has loaded {stream}. Delete it to load "
            + ("everything again." if stream == "film_work" else "the stream again."),
        )


class VariableHorizonStore:
    """Keeps the horizon in the Variable ``movies_etl.horizon``, written by ``init`` only.

    A role that cannot see when transactions began needs the moments of earlier measurements too;
    they are kept in ``movies_etl.horizon.epochs``.
    """

    def load(self) -> Known:
        """Return what the last measurement left; nothing before the first run."""
        keys = list(Variable.keys(prefix=HORIZON))
        try:
            return Known(
                _stamp.validate_python(Variable.get(HORIZON)) if HORIZON in keys else None,
                _epochs.validate_json(Variable.get(EPOCHS)) if EPOCHS in keys else (),
            )
        except ValidationError as error:
            raise ConfigurationError(
                f"Variable {HORIZON} or {EPOCHS} is not valid: {error}. Delete both: the next run "
                "measures them anew."
            ) from error

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        """Write the horizon, and the moments where there are any."""
        Variable.set(
            HORIZON,
            horizon,
            description="What was committed before is in the index after the run. Init writes it.",
        )
        if epochs or EPOCHS in list(Variable.keys(prefix=EPOCHS)):
            Variable.set(
                EPOCHS,
                _epochs.dump_json(epochs).decode(),
                description="Moments whose open transactions are not over yet. Init writes it.",
            )


class VariableDifferenceStore:
    """Keeps the last comparison of counts in the Variable ``movies_etl.difference``."""

    def load(self) -> Comparison | None:
        """Return the last comparison, None when nothing was compared yet.

        What is none was written by somebody else, and is overwritten.
        """
        if DIFFERENCE not in list(Variable.keys(prefix=DIFFERENCE)):
            return None
        try:
            return Comparison.model_validate_json(Variable.get(DIFFERENCE))
        except ValidationError:
            return None

    def save(self, comparison: Comparison) -> None:
        """Write a comparison."""
        Variable.set(
            DIFFERENCE,
            comparison.model_dump_json(),
            description="Films less documents less films that were always refused. The same sign "
            "twice in a row is drift: films were deleted, or changed behind the cursors.",
        )
