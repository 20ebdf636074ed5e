"""What `run` tells after its first run of movies_sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from local.airflow_settings import USER
from local.outcome import Outcome, warnings
from local.rest import RestError, UnreachableError
from local.search import ALIAS, LETTERS, count, search
from local.words import counted

if TYPE_CHECKING:
    from local.airflow_api import AirflowApi, Run
    from local.stack import Stack

SHOWCASE = ("kubrick science fiction", "слёзы Москвы")
"""Words of the sample's films: no title has all of the first ones, and the others are inflected."""


def films_in_database(dsn: str) -> int:
    """Return the number of films in the catalogue."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM content.film_work").fetchone()
    return int(row[0]) if row else 0


def summary(stack: Stack, run: Run) -> tuple[str, bool]:
    """Return the text, and whether database and index have the same number of films."""
    films, documents = films_in_database(stack.dsn), count(stack.elasticsearch.url)
    lines = [
        "",
        f"films in PostgreSQL      {films:>9,}",
        f"films in Elasticsearch   {documents:>9,}  (alias {ALIAS})",
        *dead_letters(stack),
        *result(stack.api(), run),
    ]
    for words in _showcase(stack):
        lines += ["", *found(stack, words, size=3)]
    lines += ["", *addresses(stack)]
    return "\n".join(lines), films == documents


def _showcase(stack: Stack) -> list[str]:
    """Return words that find something: in a generated catalogue the newest film's title."""
    words = [one for one in SHOWCASE if search(stack.elasticsearch.url, one, size=1)[0]]
    if words:
        return words
    newest = "SELECT title FROM content.film_work ORDER BY modified DESC, id LIMIT 1"
    with psycopg.connect(stack.dsn) as connection:
        return [title for (title,) in connection.execute(newest).fetchall()]


def dead_letters(stack: Stack) -> list[str]:
    """Return a line when there are dead letters."""
    letters = count(stack.elasticsearch.url, LETTERS)
    return [f"dead letters             {letters:>9,}  (index {LETTERS})"] if letters else []


def result(api: AirflowApi, run: Run) -> list[str]:
    """Return how many films the run's first task sent, how fast, and what the run warned of."""
    try:
        outcome, said = Outcome.of(api, run), warnings(api, run)
    except (UnreachableError, RestError) as error:
        return [f"task film_work           its result cannot be read: {error}"]
    films, seconds = outcome.sent.get("film_work", 0), outcome.seconds.get("film_work") or 1e-9
    rate = f", {films / seconds:,.0f} films per second" if films else ""
    return [f"task film_work           {films:>9,} sent in {seconds:.1f} s{rate}", *said]


def found(stack: Stack, words: str, *, size: int) -> list[str]:
    """Return the lines of a search: how many, and the best films."""
    total, hits = search(stack.elasticsearch.url, words, size=size, dsn=stack.dsn)
    lines = [f'search "{words}": {counted(total, "film")}']
    return lines + [f"{rank:>4}. {hit}" for rank, hit in enumerate(hits, 1)]


def addresses(stack: Stack) -> list[str]:
    """Return where everything is, and what to try."""
    return [
        f"Airflow        {stack.settings.url}  (user {USER}, password {stack.settings.password()})",
        f"Elasticsearch  {stack.elasticsearch.url}/{ALIAS}/_search",
        f"PostgreSQL     {stack.dsn}",
        "try            .venv/bin/python -m local edit | search WORDS | psql | status",
    ]
