"""Searching the index of films, as a film site would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from local.rest import RestError, call
from local.shown import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

ALIAS = "movies"
_FIELDS = ["title^3", "description", "actors_names", "directors_names", "writers_names"]


@dataclass(frozen=True)
class Hit:
    """A film found; `year` is None when the catalogue does not have it."""

    id: str
    score: float
    title: str
    rating: float | None
    genres: list[str]
    directors: list[str]
    year: int | None = None

    def __str__(self) -> str:
        rating = "  - " if self.rating is None else f"{self.rating:4.1f}"
        year = "" if self.year is None else f" ({self.year})"
        directors = f", by {' and '.join(self.directors)}" if self.directors else ""
        genres = f" [{', '.join(self.genres)}]" if self.genres else ""
        return shown(f"{rating}  {self.title}{year}{directors}{genres}")


def search(url: str, words: str, *, size: int = 10, dsn: str = "") -> tuple[int, list[Hit]]:
    """Return how many films have all the words, and the best of them: a whole name above its parts.

    One word may be in the title and another in a name.

    :param url: address of Elasticsearch.
    :param dsn: the catalogue, which knows the films' years; without it years are None.

    Raises LookupError when there is no index yet, RestError or UnreachableError.
    """
    match = {"query": words, "fields": _FIELDS}
    everywhere = {"multi_match": match | {"type": "cross_fields", "operator": "and"}}
    together = {"multi_match": match | {"type": "phrase", "boost": 10}}
    body = {
        "size": size,
        "query": {"bool": {"must": everywhere, "should": together}},
        "_source": ["title", "imdb_rating", "genres", "directors"],
        "track_total_hits": True,
    }
    try:
        found = call("POST", f"{url}/{ALIAS}/_search", body)["hits"]
    except RestError as error:
        if error.status != 404:
            raise
        msg = f"there is no index {ALIAS} yet: wait for the first run of movies_sync"
        raise LookupError(msg) from None
    years = _years(dsn, [hit["_id"] for hit in found["hits"]])
    return found["total"]["value"], [_hit(hit, years) for hit in found["hits"]]


def count(url: str, index: str = ALIAS) -> int:
    """Return the number of documents in the index; 0 when there is none."""
    return int(call("GET", f"{url}/{index}/_count?ignore_unavailable=true")["count"])


def _hit(hit: dict[str, Any], years: dict[str, int]) -> Hit:
    film = hit["_source"]
    return Hit(
        id=hit["_id"],
        score=hit["_score"],
        title=film["title"],
        rating=film["imdb_rating"],
        genres=film["genres"],
        directors=[person["name"] for person in film["directors"]],
        year=years.get(hit["_id"]),
    )


def _years(dsn: str, ids: Sequence[str]) -> dict[str, int]:
    if not dsn:
        return {}
    query = """
        SELECT id::text, extract(YEAR FROM creation_date)::int FROM content.film_work
        WHERE id = ANY(%s::uuid[]) AND creation_date IS NOT NULL
    """
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            return dict(connection.execute(query, (list(ids),)).fetchall())
    except psycopg.Error:
        return {}
