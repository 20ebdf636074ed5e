"""What an index is made of: the tables that are watched, and how their rows lead to documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from movies_etl.definitions.column import ID, STAMP, Column
from movies_etl.definitions.documents import IndexedDocument

Stamp = Literal["modified", "created"]
"""A cursor column by its usual name; settings say what the catalogue calls it."""


@dataclass(frozen=True)
class Feed:
    """One table, read in the order of its cursor column and its id.

    :param table: the table, without its schema.
    :param stamp: the cursor column.
    :param root: the column that holds a document's id: ``id`` where a row is the document's own;
        None where documents are found by a fan-out.
    """

    table: str
    stamp: Stamp
    root: str | None


@dataclass(frozen=True)
class FanOut:
    """How changed rows lead to documents: by the links of one table.

    :param link: the link table.
    :param key: its column that holds a changed row's id.
    :param root: its column that holds a document's id.
    """

    link: str
    key: str
    root: str


@dataclass(frozen=True)
class Stream:
    """A kind of change, with a cursor and a task of its own.

    :param name: of the task, of the cursor, and of the choice in the param ``reload``.
    :param rows: the changed rows.
    :param links: new links that lead to documents, in a table of their own.
    :param fan_out: how ``rows`` lead to documents; None where a row is a document's own.
    """

    name: str
    rows: Feed
    links: Feed | None = None
    fan_out: FanOut | None = None

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The tables that this stream pages through, in the order in which it does."""
        return (self.rows,) if self.links is None else (self.rows, self.links)


@dataclass(frozen=True)
class IndexDefinition:
    """An index by declaration: from these values follow its DAGs, names, queries and checks.

    :param name: of the index's alias, of ``sql/<name>/documents.sql`` and of
        ``elasticsearch/<name>.json``.
    :param noun: one document in words, for messages; the dead letters' key field, too.
    :param document: the pydantic model of a document.
    :param streams: in the order of a run. The first is the *root*: its rows are the documents' own.
    :param reads: columns that ``documents.sql`` reads besides ids, cursor columns and keys, by
        table, and what they must be.
    :param variables: prefix of the Airflow Variables; ``movies_etl.<name>`` when empty. No
        prefix may begin another one, because absence is decided by listing a prefix.
    :param plural: several documents in words; the noun with an s when empty.
    :param prefix: what stands before every name in Elasticsearch (``MOVIES_ETL_INDEX_PREFIX``).
    """

    name: str
    noun: str
    document: type[IndexedDocument]
    streams: tuple[Stream, ...]
    reads: Mapping[str, Mapping[str, Column]]
    variables: str = ""
    plural: str = ""
    prefix: str = ""

    def prefixed(self, prefix: str) -> Self:
        """Return the same definition with another prefix of its names in Elasticsearch."""
        return replace(self, prefix=prefix)

    @property
    def root(self) -> Stream:
        """The stream whose rows are the documents' own."""
        return self.streams[0]

    @property
    def nouns(self) -> str:
        """Several documents in words."""
        return self.plural or f"{self.noun}s"

    @property
    def alias(self) -> str:
        """The alias that searches use; also the name of the index template."""
        return f"{self.prefix}{self.name}"

    @property
    def dead_letters(self) -> str:
        """The index of refused documents."""
        return f"{self.alias}-dead-letters"

    @property
    def fuse_lists(self) -> str:
        """The index of lists of documents that a person is asked about."""
        return f"{self.alias}-reconcile"

    @property
    def sync_dag(self) -> str:
        """The id of the DAG that keeps the index equal to the catalogue."""
        return f"{self.name}_sync"

    @property
    def reconcile_dag(self) -> str:
        """The id of the DAG that finds what leaves no trace in ``modified``."""
        return f"{self.name}_reconcile"

    @property
    def purge_dag(self) -> str:
        """The id of the DAG that asks a person about many deletions or rewrites."""
        return f"{self.name}_purge"

    @property
    def reindex_dag(self) -> str:
        """The id of the DAG that makes the index anew."""
        return f"{self.name}_reindex"

    @property
    def _variables(self) -> str:
        return self.variables or f"movies_etl.{self.name}"

    def cursor_variable(self, stream: str) -> str:
        """Return the Variable that keeps the cursor of a stream."""
        return f"{self._variables}.cursor.{stream}"

    @property
    def horizon_variable(self) -> str:
        """The Variable that keeps the horizon of the newest run."""
        return f"{self._variables}.horizon"

    @property
    def difference_variable(self) -> str:
        """The Variable that keeps the last comparison of counts."""
        return f"{self._variables}.difference"

    @property
    def notices_variable(self) -> str:
        """The Variable that keeps what ``init`` warned of."""
        return f"{self._variables}.notices"

    @property
    def layout_variable(self) -> str:
        """The Variable that keeps what the last run learned of the catalogue's columns."""
        return f"{self._variables}.layout"

    @property
    def links(self) -> dict[str, str]:
        """The link tables, each with its column of the document's id."""
        found: dict[str, str] = {}
        for stream in self.streams:
            if stream.links and stream.links.root:
                found[stream.links.table] = stream.links.root
            if fan_out := stream.fan_out:
                found[fan_out.link] = fan_out.root
        return found

    @property
    def reconcile_variable(self) -> str:
        """The Variable that keeps how far the reconcile has come."""
        return f"{self._variables}.reconcile"

    @property
    def text_column(self) -> str | None:
        """The root table's column that people know a document by: the first text that is read."""
        columns = self.reads.get(self.root.rows.table, {})
        return next((name for name, column in columns.items() if column.kind == "text"), None)

    @property
    def required(self) -> dict[str, dict[str, Column]]:
        """What the columns that queries read must be, by table; stamps by their usual names."""
        columns: defaultdict[str, dict[str, Column]] = defaultdict(dict)
        of_root = Column("key", of=self.root.rows.table)
        for stream in self.streams:
            for feed in stream.feeds:
                columns[feed.table] |= {"id": ID, feed.stamp: STAMP}
                if feed.root not in (None, "id"):
                    columns[feed.table][feed.root] = of_root
            if fan_out := stream.fan_out:
                key = Column("key", of=stream.rows.table)
                columns[fan_out.link] |= {fan_out.root: of_root, fan_out.key: key}
        for table, read in self.reads.items():
            columns[table] |= read
        return dict(columns)

    @property
    def read_by(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The leading columns of the indexes that the queries read by, by table."""
        wanted: list[tuple[str, tuple[str, ...]]] = []
        for stream in self.streams:
            wanted += [(feed.table, (feed.stamp, "id")) for feed in stream.feeds]
            if stream.links and stream.links.root:
                wanted.append((stream.links.table, (stream.links.root,)))
            if fan_out := stream.fan_out:
                wanted.append((fan_out.link, (fan_out.key, fan_out.root)))
        return tuple(dict.fromkeys(wanted))
