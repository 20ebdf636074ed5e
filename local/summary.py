"""What `run` tells after its first run of movies_sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from local.airflow_settings import USER
from local.rest import RestError, UnreachableError
from local.search import ALIAS, count, search

if TYPE_CHECKING:
    from local.airflow_api import AirflowApi, Run
    from local.stack import Stack

ENGLISH = "time travel scientists"
RUSSIAN = "слёзы Москвы"


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
        f"task film_work           {sent(stack.api(), run)}",
    ]
    for words in (ENGLISH, RUSSIAN):
        lines += ["", *found(stack, words, size=3)]
    lines += ["", *addresses(stack)]
    return "\n".join(lines), films == documents


def sent(api: AirflowApi, run: Run) -> str:
    """Return how many films the run's first task sent, and how fast."""
    try:
        result = api.result(run.run_id, "film_work")
    except (UnreachableError, RestError) as error:
        return f"its result cannot be read: {error}"
    films, seconds = int(result.get("indexed", 0)), float(result.get("seconds", 0)) or 1e-9
    rate = f", {films / seconds:,.0f} films a second" if films else ""
    return f"{films:>9,} sent in {seconds:.1f} s{rate}"


def found(stack: Stack, words: str, *, size: int) -> list[str]:
    """Return the lines of a search: how many, and the best films."""
    total, hits = search(stack.elasticsearch.url, words, size=size, dsn=stack.dsn)
    lines = [f'search "{words}": {total:,} film{"" if total == 1 else "s"}']
    return lines + [f"{rank:>4}. {hit}" for rank, hit in enumerate(hits, 1)]


def addresses(stack: Stack) -> list[str]:
    """Return where everything is, and what to try."""
    return [
        f"Airflow        {stack.settings.url}  (user {USER}, password {stack.settings.password()})",
        f"Elasticsearch  {stack.elasticsearch.url}/{ALIAS}/_search",
        f"PostgreSQL     {stack.dsn}",
        "try            .venv/bin/python -m local edit | search WORDS | psql | status",
    ]
