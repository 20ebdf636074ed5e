"""A film site for tests: a catalogue that is written to, and the program run over it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from movies_etl.cursors import Cursor
from movies_etl.dead_letters import DeadLetters
from movies_etl.index import Index
from movies_etl.init import open_window
from movies_etl.settings import Settings
from movies_etl.source import Source
from movies_etl.starts import Reload
from movies_etl.streams import STREAMS, Stream
from movies_etl.sync import Counters, Parts, Requests, sync
from movies_etl.window import Window
from psycopg import sql

LONG_AGO = "2020-01-01 00:00:00+00"


@dataclass
class MemoryCursors:
    """Cursors kept as text, as Variables keep them."""

    texts: dict[str, str] = field(default_factory=dict)
    saves: list[tuple[str, Cursor]] = field(default_factory=list)

    def load(self, stream: str) -> Cursor | None:
        text = self.texts.get(stream)
        return None if text is None else Cursor.from_json(text, where=f"test.{stream}")

    def save(self, stream: str, cursor: Cursor) -> None:
        self.texts[stream] = cursor.to_json()
        self.saves.append((stream, cursor))


class Site:
    """Writes to the catalogue as a site does, and runs the sync as the DAG does."""

    def __init__(
        self, dsn: str, connection: psycopg.Connection[Any], client: Elasticsearch
    ) -> None:
        self.dsn = dsn
        self.connection = connection
        self.client = client
        self.cursors = MemoryCursors()
        self.settings = Settings(horizon_margin=0, patience=10)
        self._reader = psycopg.connect(dsn, autocommit=True)

    def close(self) -> None:
        self._reader.close()

    # -- the catalogue ---------------------------------------------------------------------------

    def execute(self, query: str, *parameters: object) -> psycopg.Cursor[Any]:
        return self.connection.execute(query, parameters)

    def _insert(self, table: str, row: Mapping[str, object]) -> None:
        self.connection.execute(
            sql.SQL("INSERT INTO content.{} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            ),
            list(row.values()),
        )

    def add_film(self, title: str = "A film", **columns: object) -> str:
        film = str(columns.pop("id", uuid4()))
        row = {"id": film, "title": title, "type": "movie", "modified": LONG_AGO} | columns
        self._insert("film_work", row)
        return film

    def add_person(self, name: str = "Somebody", **columns: object) -> str:
        person = str(columns.pop("id", uuid4()))
        self._insert("person", {"id": person, "full_name": name, "modified": LONG_AGO} | columns)
        return person

    def add_genre(self, name: str = "Drama", **columns: object) -> str:
        genre = str(columns.pop("id", uuid4()))
        self._insert("genre", {"id": genre, "name": name, "modified": LONG_AGO} | columns)
        return genre

    def cast(self, film: str, person: str, role: str | None = "actor", **columns: object) -> None:
        row = {"id": uuid4(), "film_work_id": film, "person_id": person, "role": role}
        self._insert("person_film_work", row | {"created": LONG_AGO} | columns)

    def label(self, film: str, genre: str, **columns: object) -> None:
        row = {"id": uuid4(), "film_work_id": film, "genre_id": genre}
        self._insert("genre_film_work", row | {"created": LONG_AGO} | columns)

    # -- the program -----------------------------------------------------------------------------

    def source(self) -> Source:
        zone = self.settings.timestamp_zone
        return Source(self._reader, self.settings.include_dir, zone=zone).prepared()

    def open(self, reload: Reload = "none") -> Window:
        return open_window(self.source(), self.client, self.cursors, self.settings, reload)

    def sync(self, stream: Stream, window: Window, asked: Requests | None = None) -> Counters:
        with ThreadPoolExecutor(self.settings.senders) as executor:
            parts = Parts(
                source=self.source(),
                index=Index(self.client, window.index, self.settings.patience),
                letters=DeadLetters(self.client),
                cursors=self.cursors,
                executor=executor,
            )
            return sync(stream, window, parts, self.settings, asked)

    def run(self, reload: Reload = "none", asked: Requests | None = None) -> dict[str, Counters]:
        """Do what one run of the DAG does; return each task's counters."""
        window = self.open(reload)
        return {
            stream.name: self.sync(stream, window, asked if stream.name == "film_work" else None)
            for stream in STREAMS
        }

    # -- what is, and what should be -------------------------------------------------------------

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return what a search of the alias sees, by film, without the checksums."""
        self.client.indices.refresh(index="movies")
        found = {}
        for hit in scan(self.client, index="movies", size=1000):
            assert hit["_id"] == hit["_source"]["id"]
            assert isinstance(hit["_source"].pop("checksum"), int)
            found[hit["_id"]] = hit["_source"]
        return found

    def expected(self) -> dict[str, dict[str, Any]]:
        """Build every document in Python, table by table: nothing is shared with the program."""
        people: dict[UUID, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
        for film, role, person, name in self.connection.execute(
            "SELECT l.film_work_id, l.role::text, p.id::text, p.full_name"
            " FROM content.person_film_work l, content.person p WHERE l.person_id = p.id"
        ):
            people[film][role].add((name, person))
        genres: dict[UUID, set[str]] = defaultdict(set)
        for film, name in self.connection.execute(
            "SELECT l.film_work_id, g.name"
            " FROM content.genre_film_work l, content.genre g WHERE l.genre_id = g.id"
        ):
            genres[film].add(name)
        documents = {}
        for film, title, description, rating in self.connection.execute(
            "SELECT id, title, description, rating FROM content.film_work"
        ):
            document: dict[str, Any] = {
                "id": str(film),
                "imdb_rating": None if rating is None else float(rating),
                "genres": _in_byte_order(genres[film]),
                "title": title,
                "description": description,
            }
            for role in ("director", "actor", "writer"):
                listed = _in_byte_order(people[film][role])
                document[f"{role}s_names"] = [name for name, _ in listed]
                document[f"{role}s"] = [{"id": key, "name": name} for name, key in listed]
            documents[str(film)] = document
        return documents

    def assert_equal(self) -> None:
        """Assert that the index equals the database, document by document."""
        found, wanted = self.documents(), self.expected()
        assert found.keys() == wanted.keys()
        for film, document in wanted.items():
            assert found[film] == document, json.dumps(found[film], ensure_ascii=False)

    def versions(self) -> dict[str, int]:
        """Return the external version of every document."""
        self.client.indices.refresh(index="movies")
        answer = self.client.search(index="movies", version=True, source=False, size=10_000)
        return {hit["_id"]: hit["_version"] for hit in answer["hits"]["hits"]}

    def letters(self) -> dict[str, dict[str, Any]]:
        """Return the dead letters by film."""
        answer = self.client.search(index="movies-dead-letters", size=1000)
        return {hit["_source"]["film"]: hit["_source"] for hit in answer["hits"]["hits"]}


def _in_byte_order(values: set[Any]) -> list[Any]:
    def key(value: Any) -> Any:
        parts = value if isinstance(value, tuple) else (value,)
        return [part.encode() for part in parts]

    return sorted(values, key=key)
