"""Changes to the catalogue, committed at the first moment of a task that shall find them."""

from __future__ import annotations

import time
from typing import Any

import psycopg


def commit(edit: dict[str, Any]) -> float:
    """Run the statements in one transaction; return the wall clock right after its commit.

    :param edit: `dsn` and `statements`.
    """
    with psycopg.connect(edit["dsn"]) as connection:
        for statement in edit["statements"]:
            connection.execute(statement.encode())
        connection.commit()
        return time.time()
