"""The usual cursor program, for comparison: what most such loaders look like, written with care.

One query joins film, persons and genres, filters by `modified > cursor`, and takes the first
thousand films; pydantic models are made of the rows; `helpers.bulk` sends their dictionaries; the
cursor is kept in a file. One thread, the libraries' defaults, the same mapping and index settings.
It has no protection against what a cursor by `modified` loses.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from psycopg.rows import dict_row
from pydantic import BaseModel

from benchmarks.meter import peak_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY = """
    SELECT
        fw.id, fw.title, fw.description, fw.rating, fw.modified,
        coalesce(
            json_agg(DISTINCT jsonb_build_object('role', pfw.role, 'id', p.id, 'name', p.full_name))
                FILTER (WHERE p.id IS NOT NULL),
            '[]'
        ) AS persons,
        array_remove(array_agg(DISTINCT g.name), NULL) AS genres
    FROM content.film_work AS fw
    LEFT JOIN content.person_film_work AS pfw ON pfw.film_work_id = fw.id
    LEFT JOIN content.person AS p ON p.id = pfw.person_id
    LEFT JOIN content.genre_film_work AS gfw ON gfw.film_work_id = fw.id
    LEFT JOIN content.genre AS g ON g.id = gfw.genre_id
    WHERE fw.modified > %s
    GROUP BY fw.id
    ORDER BY fw.modified
    LIMIT %s
"""
PAGE = 1000


class Person(BaseModel):
    """A person in a document."""

    id: UUID
    name: str


class Movie(BaseModel):
    """A film's document."""

    id: UUID
    imdb_rating: float | None
    genres: list[str]
    title: str
    description: str | None
    directors_names: list[str]
    actors_names: list[str]
    writers_names: list[str]
    directors: list[Person]
    actors: list[Person]
    writers: list[Person]


class State:
    """The cursor in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def modified(self) -> datetime:
        """Return where the last page ended; long ago before the first one."""
        if not self._path.exists():
            return datetime(1970, 1, 1, tzinfo=UTC)
        return datetime.fromisoformat(json.loads(self._path.read_text())["modified"])

    def save(self, modified: datetime) -> None:
        """Note where a page ended."""
        self._path.write_text(json.dumps({"modified": modified.isoformat()}))


def pages(connection: psycopg.Connection[dict[str, Any]], state: State) -> Iterator[Any]:
    """Yield pages of rows until nothing is newer than the cursor."""
    while page := connection.execute(QUERY, (state.modified(), PAGE)).fetchall():
        yield page


def transform(row: dict[str, Any]) -> Movie:
    """Make the document of a row."""
    persons = sorted(row["persons"], key=lambda person: (person["name"], person["id"]))
    by_role = {
        role: [Person(**person) for person in persons if person["role"] == role]
        for role in ("director", "actor", "writer")
    }
    return Movie(
        id=row["id"],
        imdb_rating=row["rating"],
        genres=sorted(row["genres"]),
        title=row["title"],
        description=row["description"],
        directors_names=[person.name for person in by_role["director"]],
        actors_names=[person.name for person in by_role["actor"]],
        writers_names=[person.name for person in by_role["writer"]],
        directors=by_role["director"],
        actors=by_role["actor"],
        writers=by_role["writer"],
    )


def load(
    connection: psycopg.Connection[dict[str, Any]], client: Elasticsearch, state: State, index: str
) -> int:
    """Load everything that is newer than the cursor; return how many films."""
    films = 0
    for page in pages(connection, state):
        movies = [transform(row) for row in page]
        bulk(
            client,
            (
                {"_index": index, "_id": str(movie.id), "_source": movie.model_dump(mode="json")}
                for movie in movies
            ),
        )
        state.save(page[-1]["modified"])
        films += len(page)
    client.indices.refresh(index=index)
    return films


def main() -> None:
    """Load into an index that exists; print what it took as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.usual", description=__doc__)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    began, cpu = time.monotonic(), time.process_time()
    with (
        psycopg.connect(arguments.dsn, autocommit=True, row_factory=dict_row) as connection,
        Elasticsearch(arguments.url, request_timeout=300) as client,
    ):
        films = load(connection, client, State(arguments.state), arguments.index)
    print(
        json.dumps(
            {
                "films": films,
                "at": time.monotonic() - began,
                "task": time.process_time() - cpu,
                "peak": peak_memory(),
            }
        )
    )


if __name__ == "__main__":
    main()
