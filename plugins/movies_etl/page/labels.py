"""What people call a document, and how times are written for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from movies_etl.definitions.definition import IndexDefinition


def label_of(definition: IndexDefinition, document: Mapping[str, Any]) -> str | None:
    """Return a document's title or name: the first text of its model after the id."""
    for name, field in definition.document.model_fields.items():
        if name != "id" and field.annotation is str and isinstance(document.get(name), str):
            return str(document[name])
    return None


def to_the_second(stamp: str) -> str:
    """Write an ISO 8601 time for people: to the second, with its zone."""
    day, _, rest = stamp.partition("T")
    zone = rest[len("00:00:00.000000") :]
    return f"{day} {rest[:8]} {'UTC' if zone in ('+00:00', '') else zone}"


def times(number: int) -> str:
    """Say how often."""
    return "once" if number == 1 else f"{number} times"
