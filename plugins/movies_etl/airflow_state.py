"""Cursors as Airflow Variables: visible in Admin -> Variables, and there for as long as Airflow."""

from __future__ import annotations

from airflow.sdk import Variable

from movies_etl.cursors import Cursor

PREFIX = "movies_etl.cursor."
HORIZON = "movies_etl.horizon"


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


def save_horizon(horizon: str) -> None:
    """Show how far the run may read: what was committed before it is in the index afterwards."""
    Variable.set(
        HORIZON,
        horizon,
        description="The safe horizon of the newest movies_sync run (written by init only).",
    )
