"""A letter about a refused document, and what is kept of the document.

A large document is truncated: what rejected its size would reject the letter as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from movies_etl.definitions.documents import MAX_ID_BYTES

MAX_DOCUMENT_BYTES = 400_000
"""Bytes that are kept of a document; in a letter's JSON they become twice as many at most."""
MAX_REQUEST_BYTES = 1_000_000
"""Size of a request that parks letters: what any server takes, and nginx before it by default."""
_META_BYTES = 800
"""Bytes of a letter in a request besides its values, with the longest id."""


class Letter(NamedTuple):
    """A refused document.

    :param id: the document's.
    :param stage: ``assembly`` (PostgreSQL could not read its rows), ``validation`` (pydantic
        refused it) or ``indexing`` (Elasticsearch did).
    :param reason: why, in one line.
    :param document: the document's text, of which `MAX_DOCUMENT_BYTES` bytes are kept; empty where
        there was none.
    """

    id: str
    stage: str
    reason: str
    document: str


def key_of(id_: str) -> str:
    """Return the letter's id: the document's, or a digest of one that Elasticsearch refuses."""
    if 0 < len(id_.encode()) <= MAX_ID_BYTES:
        return id_
    return f"sha256:{hashlib.sha256(id_.encode()).hexdigest()}"


def kept(document: bytes) -> bytes:
    """Return what a letter keeps of a document: all, or its beginning and a digest of all."""
    if len(document) <= MAX_DOCUMENT_BYTES:
        return document
    beginning = document[:MAX_DOCUMENT_BYTES].decode(errors="ignore")
    digest = hashlib.sha256(document).hexdigest()
    return f"{beginning} ... (cut, sha256 of all: {digest})".encode()


def pieces(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Shorten letters to what is kept; yield as many at once as fit into a request."""
    piece: list[Letter] = []
    size = 0
    for letter in letters:
        shortened = letter._replace(document=kept(letter.document.encode()).decode())
        bytes_more = len(to_json(shortened)) + _META_BYTES
        if piece and size + bytes_more > MAX_REQUEST_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(shortened)
        size += bytes_more
    if piece:
        yield piece
