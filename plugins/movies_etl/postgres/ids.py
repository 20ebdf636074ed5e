"""Ids that people write, as PostgreSQL writes them.

The lowest id of a column (:data:`~movies_etl.postgres.layout.LOWEST_IDS`) tells its type.
"""

from __future__ import annotations

import re
from uuid import UUID

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")


def written(id_: str, lowest: str) -> str | None:
    """Return an id as PostgreSQL writes it; None when it cannot be one of this column."""
    if not lowest:
        return None if "\0" in id_ else id_
    if _is_integer(lowest):
        number = int(id_) if _INTEGER.fullmatch(id_) else None
        return None if number is None or not int(lowest) <= number < -int(lowest) else str(number)
    return str(UUID(id_)) if _UUID.fullmatch(id_) else None


def in_words(lowest: str) -> str:
    """Say what an id of this column is."""
    if not lowest:
        return "a text"
    return (
        f"a whole number from {lowest} to {-int(lowest) - 1}" if _is_integer(lowest) else "a UUID"
    )


def _is_integer(lowest: str) -> bool:
    return lowest.startswith("-")
