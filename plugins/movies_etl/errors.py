"""What can go wrong, sorted by what an operator does about it.

Every message names the connection, setting, object or film, and the next step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class MoviesEtlError(Exception):
    """An error of this program."""


class ConfigurationError(MoviesEtlError):
    """An operator has to fix a connection, a setting, a schema or a cursor; a retry cannot help."""


class SourceUnavailableError(MoviesEtlError):
    """PostgreSQL cannot be reached or was lost; a retry goes on from the cursor."""


class CancelledStatementError(SourceUnavailableError):
    """PostgreSQL cancelled a statement, because it took too long; it may answer smaller ones."""


class IndexUnavailableError(MoviesEtlError):
    """Elasticsearch is lost or overloaded; a retry goes on from the cursor."""


class WriterBusyError(MoviesEtlError):
    """Another task writes to the index; a retry waits for it."""


class RefusedDocumentsError(MoviesEtlError):
    """Documents were refused in a way that no single film explains.

    The cursor stands at the last settled page.
    """


MAX_NAMED_IDS = 10
"""Ids that a message names; there may be thousands."""

MAX_PRINTED_CHARACTERS = 4_000
"""Characters of a text that are shown; what comes from a database may have a gigabyte."""


def on_one_line(error: Exception) -> str:
    """Return an error's own words on one line, printable."""
    return printable(" ".join(str(error).split()))


def printable(text: str) -> str:
    """Return a text as it may be shown: control characters and terminal sequences as escapes.

    Names, ids and reasons come from databases: they are data, and no terminal may obey them.
    """
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text[:MAX_PRINTED_CHARACTERS]
    )
    return shown if len(text) <= MAX_PRINTED_CHARACTERS else f"{shown}... ({len(text)} characters)"


def named(ids: Collection[str]) -> str:
    """Return the first of these ids, printable, and how many more there are."""
    first = ", ".join(repr(one) for one in [*ids][:MAX_NAMED_IDS])
    more = len(ids) - MAX_NAMED_IDS
    return f"{first} and {more} more" if more > 0 else first


def problems(
    error: ValidationError, *, name: Callable[[str], str] = str, with_values: bool = False
) -> str:
    """Say in one line what pydantic found: field and problem, of the first three.

    :param name: what a field is called where an operator sets it.
    :param with_values: add what was given; never for a value that may be a secret.
    """
    said = []
    for problem in error.errors(include_url=False, include_input=with_values)[:3]:
        field = ".".join(str(part) for part in problem["loc"])
        words = problem["msg"].removeprefix("Value error, ")
        given = ""
        if with_values:
            value = json.dumps(problem["input"], ensure_ascii=False, default=repr)
            given = f" (got {value[:80]})"
        said.append(f"{name(field) if field else 'the value'}: {words}{given}")
    more = error.error_count() - len(said)
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")
