"""What every document model shares: it is strict, its id fits Elasticsearch, its faults are told.

The text of a document is assembled by PostgreSQL (``include/sql/documents.sql``) and sent as it
is; the models say whether it may be. They are strict and change nothing, so the validated text
and the sent text are the same.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

# Names and texts hardly repeat within the cache of strings, keys always do.
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, cache_strings="keys")

MAX_ID_BYTES = 512


def _of_few_bytes(text: str) -> str:
    if len(text.encode()) > MAX_ID_BYTES:
        msg = f"an id has at most {MAX_ID_BYTES} bytes"
        raise ValueError(msg)
    return text


Id = Annotated[str, Field(min_length=1), AfterValidator(_of_few_bytes)]
"""Elasticsearch takes ids of 1 to 512 bytes, and refuses a whole request for any other."""


def problems(error: ValidationError) -> str:
    """Say in one line what is wrong with a document: field, problem and value."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        f" (got {json.dumps(problem['input'], ensure_ascii=False, default=repr)[:80]})"
        for problem in error.errors(include_url=False)[:3]
    ]
    more = error.error_count() - len(problems)
    return "; ".join(problems) + (f"; and {more} more" if more > 0 else "")
