"""The index ``genres``: one document per genre."""

from __future__ import annotations

from movies_etl.definitions.column import TEXT
from movies_etl.definitions.definition import Feed, IndexDefinition, Stream
from movies_etl.definitions.documents import IndexedDocument


class Genre(IndexedDocument):
    """A genre."""

    name: str
    description: str | None


GENRES = IndexDefinition(
    name="genres",
    noun="genre",
    document=Genre,
    streams=(Stream("genre", rows=Feed("genre", "modified", root="id")),),
    reads={"genre": {"name": TEXT, "description": TEXT}},
)
