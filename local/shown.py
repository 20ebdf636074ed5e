"""Texts of the servers as a terminal may show them."""

from __future__ import annotations

from local.indexes import find_program


def shown(text: str) -> str:
    """Return a text on one line, with control characters and terminal sequences as escapes."""
    find_program()
    from movies_etl.errors import printable  # noqa: PLC0415 - not before it is found

    return printable(text)
