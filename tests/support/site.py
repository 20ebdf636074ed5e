"""A film site for tests: a catalogue that is written to, and the program run over it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.postgres.queries import Names, Queries
from movies_etl.postgres.replica import Replica
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Source
from movies_etl.reconcile.asked_for import ReconcileParams
from movies_etl.reconcile.context import loaded_context
from movies_etl.reconcile.each_run import checked
from movies_etl.reconcile.run import TASKS, run_task
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.settings import Settings
from movies_etl.state.comparison import Comparison
from movies_etl.state.cursors import Cursor
from movies_etl.state.layout import Layout, Layouts
from movies_etl.state.notices import Noticed, Notices
from movies_etl.state.reconcile import ReconcileState
from movies_etl.state.run_context import RunContext
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.counters import Counters
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import sync
from movies_etl.sync.starting_points import Reload

from tests.support.catalogue import Catalogue
from tests.support.expected import EXPECTED


@dataclass
class MemoryCursors:
    """Cursors kept as text, as Variables keep them."""

    texts: dict[str, str] = field(default_factory=dict)
    saves: list[tuple[str, Cursor]] = field(default_factory=list)
    others: dict[str, MemoryCursors] = field(default_factory=dict)

    def beside(self, index: str) -> MemoryCursors:
        return self.others.setdefault(index, MemoryCursors())

    def indexes(self) -> list[str]:
        return sorted(name for name, cursors in self.others.items() if cursors.texts)

    def forget(self, index: str) -> None:
        self.others.pop(index, None)

    def load(self, stream: str) -> Cursor | None:
        text = self.texts.get(stream)
        return None if text is None else Cursor.from_json(text, where=f"test.{stream}")

    def save(self, stream: str, cursor: Cursor) -> None:
        self.texts[stream] = cursor.to_json()
        self.saves.append((stream, cursor))


@dataclass
class MemoryHorizons:
    """What the last measurement left."""

    known: Known = field(default_factory=Known)

    def load(self) -> Known:
        return self.known

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        self.known = Known(horizon, epochs)


class MemoryNotices:
    """What was noticed last."""

    def __init__(self) -> None:
        self.kept: Noticed | None = None

    def load(self) -> Noticed | None:
        return self.kept

    def save(self, noticed: Noticed) -> None:
        self.kept = noticed


class MemoryDifference:
    """The last comparison of counts."""

    def __init__(self) -> None:
        self.kept: Comparison | None = None

    @property
    def last(self) -> int | None:
        return None if self.kept is None else self.kept.difference

    def load(self) -> Comparison | None:
        return self.kept

    def save(self, comparison: Comparison) -> None:
        self.kept = comparison


class MemoryLayout:
    """What the last run learned of the catalogue."""

    def __init__(self) -> None:
        self.kept: Layout | None = None

    def load(self) -> Layout | None:
        return self.kept and self.kept.model_copy(update={"is_earlier": True})

    def save(self, layout: Layout) -> None:
        self.kept = layout


class MemoryReconcile:
    """What the reconcile remembers, kept as text."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.others: dict[str, MemoryReconcile] = {}

    def beside(self, index: str) -> MemoryReconcile:
        return self.others.setdefault(index, MemoryReconcile())

    def forget(self, index: str) -> None:
        self.others.pop(index, None)

    def load(self) -> ReconcileState | None:
        return None if self.text is None else ReconcileState.model_validate_json(self.text)

    def save(self, state: ReconcileState) -> None:
        self.text = state.model_dump_json()


class WatchedQueries(Queries):
    """Queries that are counted by file and table, for tests of what is not read again."""

    def __init__(self, queries: Queries, counted: Counter[str]) -> None:
        super().__init__(queries.connection, queries._folder, queries.schema)
        self._counted = counted

    def rows(
        self, file: str, names: Names | None = None, **parameters: object
    ) -> list[tuple[Any, ...]]:
        table = (names or {}).get("table")
        self._counted[f"{file} {table}" if table else file] += 1
        return super().rows(file, names, **parameters)

    def pieces(
        self, file: str, size: int, **parameters: object
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        self._counted[file] += 1
        return super().pieces(file, size, **parameters)


class Site(Catalogue):
    """Writes to the catalogue as a site does, and runs the sync of one index as its DAG does.

    :param definition: the index.

    ``table`` is the table of its root rows, ``text`` the column that its documents show.
    """

    def __init__(
        self,
        dsn: str,
        connection: psycopg.Connection[Any],
        client: Elasticsearch,
        definition: IndexDefinition = MOVIES,
    ) -> None:
        super().__init__(dsn, connection)
        self.client = client
        self.definition = definition
        self.table = definition.root.rows.table
        self.text = definition.text_column or "id"
        self.cursors = MemoryCursors()
        self.horizons = MemoryHorizons()
        self.notices = MemoryNotices()
        self.difference = MemoryDifference()
        self.layouts = MemoryLayout()
        self.reconciled = MemoryReconcile()
        self.settings = Settings(horizon_margin=0, patience=10)
        self.queries: Counter[str] = Counter()
        self.replica: Replica | None = None

    def configure(self, **changes: object) -> None:
        """Change settings of the program."""
        self.settings = Settings(**(self.settings.model_dump() | changes))

    def reconnect(self) -> None:
        """Give the program a session that begins with the database's present defaults."""
        self._reader.close()
        self._reader = psycopg.connect(self.reading_dsn, autocommit=True)

    @contextmanager
    def another(self) -> Iterator[Site]:
        """Give out this site for another task: what is kept is shared, the session is not."""
        other = Site(self.dsn, self.connection, self.client, self.definition)
        other.cursors, other.horizons = self.cursors, self.horizons
        other.reconciled = self.reconciled
        try:
            yield other
        finally:
            other.close()

    def add_root(self, text: str | None = "A root row", **columns: object) -> str:
        """Add a root row, and so a document; return its id."""
        add: dict[str, Callable[..., str]] = {
            "film_work": self.add_film,
            "genre": self.add_genre,
            "person": self.add_person,
        }
        return add[self.table](text, **columns)

    def change(self, text: str, where: str = "true") -> None:
        """Give root rows another text, and stamp them.

        :param where: which ones; ``text`` stands for the column of the text.
        """
        where = where.replace("text", self.text)
        self.execute(
            f"UPDATE content.{self.table} SET {self.text} = %s, modified = now() WHERE {where}",
            text,
        )

    # -- the program -----------------------------------------------------------------------------

    def source(self, zone: str | None = None, known: Layout | None = None) -> Source:
        settings = self.settings.model_copy(
            update={"timestamp_zone": zone or self.settings.timestamp_zone}
        )
        source = Source.opened(self._reader, self.definition, settings, known)
        queries = WatchedQueries(source.queries, self.queries)
        server = Server(queries, settings.horizon_ignore)
        return Source(queries, server, self.definition, source.layout)

    def open(self, reload: Reload = "none") -> RunContext:
        # Most tests are about what a run does that looks at everything, and not about rule 19.
        with suppress(psycopg.Error):
            self.execute("SELECT txid_current()")
        layouts = Layouts(self.layouts)
        notices = Notices(self.notices)
        state = State(self.cursors, self.horizons, self.reconciled, notices, layouts)
        source = self.source(known=layouts.known)
        return prepare_run(source, self.client, state, self.settings, reload)

    @contextmanager
    def resources(self, context: RunContext) -> Iterator[Resources]:
        """Give out what a task of a run works with."""
        with ThreadPoolExecutor(self.settings.senders) as executor:
            yield Resources(
                source=self.source(known=context.layout),
                client=self.client,
                context=context,
                cursors=self.cursors,
                executor=executor,
                patience=self.settings.patience,
                replica=self.replica,
            )

    @contextmanager
    def beside(self) -> Iterator[Resources]:
        """Give out what a task beside the sync works with."""
        context = loaded_context(self.source(), self.client, self.cursors, 0)
        assert context is not None
        with self.resources(context) as resources:
            yield resources

    def sync(self, stream: Stream, context: RunContext, asked: RunParams | None = None) -> Counters:
        with self.resources(context) as resources:
            return sync(stream, resources, self.settings, asked)

    def check(self, context: RunContext) -> dict[str, int]:
        """Do what a run does when its streams are loaded; return its figures."""
        with self.resources(context) as resources:
            return checked(resources, self.settings, self.difference)

    def run_and_check(self) -> dict[str, int]:
        """Do what one run of the DAG does; return the figures of its end."""
        context = self.open()
        for stream in self.definition.streams:
            self.sync(stream, context)
        return self.check(context)

    def run(self, reload: Reload = "none", asked: RunParams | None = None) -> dict[str, Counters]:
        """Do what one run of the DAG does; return each task's counters."""
        context = self.open(reload)
        return {
            stream.name: self.sync(
                stream, context, asked if stream is self.definition.root else None
            )
            for stream in self.definition.streams
        }

    def reconcile(self, *tasks: str, **asked: Any) -> dict[str, dict[str, Any]]:
        """Do what the reconcile's tasks do, all of them by default; return their results."""
        params = ReconcileParams(**asked)
        results = {}
        for name in tasks or TASKS:
            with self.beside() as resources:
                task = ReconcileTask(resources, self.settings, self.reconciled, params)
                results[name] = run_task(name, task)
        return results

    # -- what is, and what should be -------------------------------------------------------------

    def expected(self) -> dict[str, dict[str, Any]]:
        """Build every document of the index in Python."""
        return EXPECTED[self.definition.name](self.connection)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return what a search of the alias sees, by id, without the checksums."""
        alias = self.definition.alias
        self.client.indices.refresh(index=alias)
        found = {}
        for hit in scan(self.client, index=alias, size=1000):
            assert hit["_id"] == hit["_source"]["id"]
            assert isinstance(hit["_source"].pop("checksum"), int)
            found[hit["_id"]] = hit["_source"]
        return found

    def assert_equal(self) -> None:
        """Assert that the index equals the database, document by document."""
        found, wanted = self.documents(), self.expected()
        assert found.keys() == wanted.keys()
        for id_, document in wanted.items():
            assert found[id_] == document, json.dumps(found[id_], ensure_ascii=False)

    def versions(self) -> dict[str, int]:
        """Return the external version of every document."""
        alias = self.definition.alias
        self.client.indices.refresh(index=alias)
        answer = self.client.search(index=alias, version=True, source=False, size=10_000)
        return {hit["_id"]: hit["_version"] for hit in answer["hits"]["hits"]}

    def letters(self) -> dict[str, dict[str, Any]]:
        """Return the dead letters by the document's id."""
        answer = self.client.search(index=self.definition.dead_letters, size=1000)
        noun = self.definition.noun
        return {hit["_source"][noun]: hit["_source"] for hit in answer["hits"]["hits"]}


def sent(counters: Mapping[str, Counters]) -> int:
    """Return how many documents a run sent and Elasticsearch took."""
    return sum(counter.indexed for counter in counters.values())
