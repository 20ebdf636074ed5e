"""Documents for tests, as ``documents.sql`` would write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from movies_etl.es.outcome import Item


def document(film: str = "film", **fields: Any) -> dict[str, Any]:
    """Return a valid document with these fields changed."""
    return {
        "id": film,
        "imdb_rating": 7.5,
        "genres": ["Drama"],
        "title": "A film",
        "description": None,
        "directors_names": [],
        "actors_names": ["Ann"],
        "writers_names": [],
        "directors": [],
        "actors": [{"id": "p1", "name": "Ann"}],
        "writers": [],
        "checksum": 1,
    } | fields


def item(film: str = "film", version: int = 1, **fields: Any) -> Item:
    """Return a document on its way to the index."""
    text = json.dumps(document(film, **fields), ensure_ascii=False)
    return Item(film, version, text.encode())


def films(items: Iterable[Item]) -> list[str]:
    """Return the films of documents."""
    return [item.id for item in items]
