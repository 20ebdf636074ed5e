"""What happens to a stack of containers while something is broken."""

from __future__ import annotations

import psycopg

from tests.containers.stack import Stack, wait_until

TAKEN_UP = 240.0
"""Seconds; by Airflow's own defaults it takes 300 and more."""


def rename_persons(stack: Stack) -> None:
    """Change films while something is broken; wait for PostgreSQL as an editor would."""

    def renamed() -> bool:
        try:
            with stack.catalogue() as catalogue:
                catalogue.execute(
                    "UPDATE content.person SET full_name = full_name || '!', modified = now()"
                    " WHERE id IN (SELECT id FROM content.person ORDER BY id LIMIT 40)"
                )
        except psycopg.OperationalError:
            return False
        return True

    wait_until(renamed, what="the catalogue takes an edit")
