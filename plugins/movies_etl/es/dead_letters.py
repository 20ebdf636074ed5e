"""Documents that were refused: kept apart so that one bad film stops nobody.

A film has at most one letter. It says what was refused, why, and how often; it goes away when the
film is indexed later. Letters are written, and looked up by their films, in real time; which films
have one is told by a search, kept current by a refresh with every change. They carry the version of
the reading that decided: a late request brings no resolved letter back.

A large document is kept in part, for whatever refused its size would refuse the letter, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch
from pydantic_core import to_json

from movies_etl.errors import IndexUnavailableError
from movies_etl.es.index import translated_errors
from movies_etl.retries import retrying

INDEX = "movies-dead-letters"
LETTERS_PER_SEARCH = 10_000
"""Letters that one search returns."""
MAX_DOCUMENT_BYTES = 400_000
"""Bytes that are kept of a document; in a letter's JSON they become twice as many at most."""
MAX_REQUEST_BYTES = 1_000_000
"""Size of a request that parks letters: what any server takes, and nginx before it by default."""
_META_BYTES = 800
"""What a letter has in a request beside its values, with the longest id."""
_NEWER_IS_THERE = 409
_TEXT = {"type": "text", "index": False}
_MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "film": {"type": "keyword"},
        "stage": {"type": "keyword"},
        "reason": {"type": "text"},
        "document": _TEXT,
        "first_seen": {"type": "date_nanos"},
        "last_seen": {"type": "date_nanos"},
        "attempts": {"type": "integer"},
    },
}


class Letter(NamedTuple):
    """A refused document.

    :param film: the film's id.
    :param stage: ``validation`` (pydantic refused it) or ``indexing`` (Elasticsearch did).
    :param reason: why, in one line.
    :param document: the document's text, of which `MAX_DOCUMENT_BYTES` bytes are kept.
    """

    film: str
    stage: str
    reason: str
    document: str


class Parked(NamedTuple):
    """A letter as it lies in the index.

    :param version: of the reading that was refused.
    :param document: the text that was refused; see :func:`kept`.
    """

    version: int
    document: str


class DeadLetters:
    """The index of letters.

    :param client: of the Elasticsearch that has the index ``movies`` too.
    :param patience: seconds that each method waits for a lost or overloaded Elasticsearch.
    """

    def __init__(self, client: Elasticsearch, patience: float = 0.0) -> None:
        self._client = client
        self._patience = patience

    def create(self) -> bool:
        """Create the index if there is none; return whether there was none."""
        with translated_errors():
            if self._client.indices.exists(index=INDEX):
                return False
            self._client.indices.create(
                index=INDEX,
                settings={
                    "number_of_shards": 1,
                    "auto_expand_replicas": "0-1",
                    "gc_deletes": "1h",
                },
                mappings=_MAPPINGS,
            )
        return True

    def films(self) -> set[str]:
        """Return the films that have a letter."""
        return set(self.versions())

    def versions(self) -> dict[str, int]:
        """Return the films that have a letter, and the letters' versions."""
        found: dict[str, int] = {}
        after: list[str] | None = None
        while True:
            hits = retrying(self._patience)(self._page, after)
            found |= {hit["_source"]["film"]: hit["_version"] for hit in hits}
            if len(hits) < LETTERS_PER_SEARCH:
                return found
            after = hits[-1]["sort"]

    def _page(self, after: list[str] | None) -> list[dict[str, Any]]:
        with translated_errors():
            answer = self._client.search(
                index=INDEX,
                size=LETTERS_PER_SEARCH,
                source_includes=["film"],
                version=True,
                sort="film",
                search_after=after,
                filter_path="hits.hits._source,hits.hits._version,hits.hits.sort",
            )
        hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        return hits

    def parked(self, films: Collection[str]) -> dict[str, Parked]:
        """Return the letters of these films, in real time."""
        if not films:
            return {}
        return retrying(self._patience)(self._parked, list(films))

    def _parked(self, films: Sequence[str]) -> dict[str, Parked]:
        with translated_errors():
            answer = self._client.mget(
                index=INDEX, ids=[_key(film) for film in films], source_includes=["document"]
            )
        return {
            film: Parked(found["_version"], found["_source"]["document"])
            for film, found in zip(films, answer["docs"], strict=True)
            if found.get("found")
        }

    def park(self, letters: Sequence[Letter], now: str, version: int) -> None:
        """Store letters; a film that has one already keeps its first time and counts the attempt.

        :param now: the database's time, ISO 8601.
        :param version: of the reading that was refused; a letter of a later one stays.
        :raises IndexUnavailableError: Elasticsearch cannot be reached, or does not take a letter.
        :raises ConfigurationError: it refuses the request.
        """
        for piece in _pieces(letters):
            retrying(self._patience)(self._park, piece, now, version)

    def _park(self, letters: Sequence[Letter], now: str, version: int) -> None:
        with translated_errors():
            before = self._client.mget(
                index=INDEX,
                ids=[_key(letter.film) for letter in letters],
                source_includes=["first_seen", "attempts"],
            )
        operations: list[dict[str, Any]] = []
        for letter, found in zip(letters, before["docs"], strict=True):
            earlier = found.get("_source", {})
            operations += (
                {"index": _meta(letter.film, version)},
                {
                    **letter._asdict(),
                    "first_seen": earlier.get("first_seen", now),
                    "last_seen": now,
                    "attempts": earlier.get("attempts", 0) + 1,
                },
            )
        self._write(operations)

    def resolve(self, films: Collection[str], version: int) -> None:
        """Remove the letters of films that were indexed.

        :param version: of the reading that was indexed; a letter of a later one stays.
        """
        if films:
            deletions = [{"delete": _meta(film, version)} for film in films]
            retrying(self._patience)(self._write, deletions)

    def _write(self, operations: Sequence[dict[str, Any]]) -> None:
        with translated_errors():
            answer = self._client.bulk(index=INDEX, operations=operations, refresh=True)
        for item in answer["items"]:
            (result,) = item.values()
            if result["status"] == _NEWER_IS_THERE:
                continue
            if "error" in result:  # a letter to be removed that is not there has none
                raise IndexUnavailableError(
                    f"A dead letter of film {result['_id']} could not be written to {INDEX}: "
                    f"{result['error'].get('reason')}. The cursor stays before the film."
                )


def _pieces(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
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


def kept(document: bytes) -> bytes:
    """Return what a letter keeps of a document: all, or its beginning and a digest of all."""
    if len(document) <= MAX_DOCUMENT_BYTES:
        return document
    beginning = document[:MAX_DOCUMENT_BYTES].decode(errors="ignore")
    digest = hashlib.sha256(document).hexdigest()
    return f"{beginning} ... (cut, sha256 of all: {digest})".encode()


def _meta(film: str, version: int) -> dict[str, Any]:
    return {"_id": _key(film), "version": version, "version_type": "external_gte"}


def _key(film: str) -> str:
    """Return the letter's id: the film's, or a digest of one that Elasticsearch does not take."""
    if 0 < len(film.encode()) <= 512:
        return film
    return f"sha256:{hashlib.sha256(film.encode()).hexdigest()}"
