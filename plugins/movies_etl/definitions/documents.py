"""What every document model shares: it is strict, and its id fits Elasticsearch.

The text of a document is assembled by PostgreSQL (``include/sql/<index>/documents.sql``) and sent
as it is; the models say whether it may be. They are strict and change nothing, so the validated
text and the sent text are the same.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Keys repeat in every document, names and texts hardly ever: only keys are worth a cache.
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, cache_strings="keys")

MAX_ID_BYTES = 512


def _of_few_bytes(text: str) -> str:
    if len(text.encode()) > MAX_ID_BYTES:
        msg = f"an id has at most {MAX_ID_BYTES} bytes"
        raise ValueError(msg)
    return text


Id = Annotated[str, Field(min_length=1), AfterValidator(_of_few_bytes)]
"""Elasticsearch takes ids of 1 to 512 bytes, and refuses a whole request for any other."""


class IndexedDocument(BaseModel):
    """A document of any index; a model adds the fields of its own.

    :param id: the root row's id, and the document's.
    :param checksum: 64 bits of md5 over the document's text, made by the SQL that assembles it.
    """

    model_config = STRICT

    id: Id
    checksum: int
