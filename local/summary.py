"""What `run` prints after the first run of each DAG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from local.airflow_settings import USER
from local.indexes import indexes
from local.outcome import Outcome, warnings
from local.rest import RestError, UnreachableError
from local.search import ALIAS, count, search
from local.shown import shown
from local.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from movies_etl.definitions.definition import IndexDefinition

    from local.airflow_api import AirflowApi, Run
    from local.stack import Stack

SHOWCASE = ("kubrick science fiction", "слёзы Москвы")
"""Words of the sample's films: no title has all of the first ones, and the others are inflected."""


@dataclass(frozen=True)
class Sides:
    """One index and the rows that it is made of.

    :param rows: rows in the catalogue: as many documents should be there.
    :param documents: documents in the index.
    :param letters: documents that were refused.
    """

    index: IndexDefinition
    rows: int
    documents: int
    letters: int

    @classmethod
    def of(cls, stack: Stack, index: IndexDefinition) -> Sides:
        """Count both sides."""
        url = stack.elasticsearch.url
        return cls(
            index,
            rows_in_database(stack.dsn, index.root.rows.table),
            count(url, index.alias),
            count(url, index.dead_letters),
        )

    @property
    def equal(self) -> bool:
        """Whether each row has its document, as far as counts show."""
        return self.rows == self.documents

    def __str__(self) -> str:
        letters = f", {counted(self.letters, 'dead letter')}" if self.letters else ""
        return (
            f"{self.index.nouns:<14} {self.rows:,} in PostgreSQL, {self.documents:,} in "
            f"Elasticsearch (alias {self.index.alias}){letters}"
        )


def rows_in_database(dsn: str, table: str = "film_work") -> int:
    """Return the number of rows of a table of the catalogue."""
    query = sql.SQL("SELECT count(*) FROM content.{}").format(sql.Identifier(table))
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def both_sides(stack: Stack) -> list[Sides]:
    """Count rows and documents of every declared index."""
    return [Sides.of(stack, index) for index in indexes()]


def summary(stack: Stack, runs: Mapping[str, Run]) -> tuple[str, bool]:
    """Return the text, and whether every index has as many documents as the catalogue has rows.

    :param runs: the first run of each DAG that had one, by the DAG's id.
    """
    sides = both_sides(stack)
    lines = ["", *map(str, sides), ""]
    for one in sides:
        if run := runs.get(one.index.sync_dag):
            lines += result(stack.api(one.index.sync_dag), run, one.index.root.name)
    for words in _showcase(stack):
        lines += ["", *found(stack, words, size=3)]
    lines += ["", *addresses(stack)]
    return "\n".join(lines), all(one.equal for one in sides)


def _showcase(stack: Stack) -> list[str]:
    """Return words that find something: in a generated catalogue the newest film's title."""
    words = [one for one in SHOWCASE if search(stack.elasticsearch.url, one, size=1)[0]]
    if words:
        return words
    newest = "SELECT title FROM content.film_work ORDER BY modified DESC, id LIMIT 1"
    with psycopg.connect(stack.dsn) as connection:
        return [title for (title,) in connection.execute(newest).fetchall()]


def result(api: AirflowApi, run: Run, stream: str) -> list[str]:
    """Return how many documents a stream of the run sent, how fast, and the run's warnings."""
    try:
        outcome, said = Outcome.of(api, run), warnings(api, run)
    except (UnreachableError, RestError) as error:
        return [f"{api.dag_id:<14} its result cannot be read: {error}"]
    documents, seconds = outcome.sent.get(stream, 0), outcome.seconds.get(stream) or 1e-9
    rate = f", {documents / seconds:,.0f} per second" if documents else ""
    return [
        f"{api.dag_id:<14} {documents:,} sent by {stream} in {seconds:.1f} s{rate}",
        *said,
    ]


def found(stack: Stack, words: str, *, size: int) -> list[str]:
    """Return the lines of a search: how many, and the best films."""
    total, hits = search(stack.elasticsearch.url, words, size=size, dsn=stack.dsn)
    lines = [shown(f'search "{words}": {counted(total, "film")}')]
    return lines + [f"{rank:>4}. {hit}" for rank, hit in enumerate(hits, 1)]


def addresses(stack: Stack) -> list[str]:
    """Return where everything is, and what to try."""
    return [
        f"Airflow        {stack.settings.url}  (user {USER}, password {stack.settings.password()})",
        f"Elasticsearch  {stack.elasticsearch.url}/{ALIAS}/_search",
        f"PostgreSQL     {stack.dsn}",
        "try            .venv/bin/python -m local edit | search WORDS | psql | status",
    ]
