"""The page of operators in Airflow's web UI: routes that only read, each guarded by one right.

Buttons of the page call Airflow's own API; nothing here changes anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from croniter import croniter
from elasticsearch import Elasticsearch
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint

from movies_etl import __version__, page
from movies_etl.airflow import memory
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.registry import declared
from movies_etl.errors import MoviesEtlError, on_one_line
from movies_etl.page import asking
from movies_etl.page.day import Day, last_day
from movies_etl.page.facts import Facts
from movies_etl.page.freshness import IndexState, freshness
from movies_etl.page.inquiry import known_of
from movies_etl.page.letters import Letters, letters
from movies_etl.page.lookup import Candidates, looked_up
from movies_etl.page.memory import Finished, Memory
from movies_etl.page.steps import Step, steps
from movies_etl.page.verdict import Verdict, verdict
from movies_etl.page.visitor import Found, as_a_visitor
from movies_etl.postgres.source import Source
from movies_etl.settings import load_settings

STATIC = Path(page.__file__).with_name("static")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

MayRead = Depends(
    cast(
        "Callable[..., None]",
        requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=MOVIES.sync_dag),
    )
)
Words = Annotated[str, Query(min_length=1, max_length=512)]

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[MayRead])


class AirflowServers:
    """The servers behind Airflow's connections; the page waits for them for seconds only."""

    @contextmanager
    def catalogue(self, definition: IndexDefinition) -> Iterator[Source]:
        """Connect to PostgreSQL; see :class:`MoviesPostgresHook` for the errors."""
        last_answer = time.monotonic() + asking.SERVER_SECONDS
        connection = MoviesPostgresHook(application="movies_etl page").connect()
        try:
            connection.expect_answers(until=last_answer)
            yield Source.opened(connection, definition, load_settings())
        finally:
            connection.close()

    @contextmanager
    def elasticsearch(self) -> Iterator[Elasticsearch]:
        """Give out a client; see :class:`MoviesElasticsearchHook` for the errors."""
        with cast("Elasticsearch", MoviesElasticsearchHook().get_conn) as client:
            yield client.options(request_timeout=asking.SERVER_SECONDS)

    def memory(self, definition: IndexDefinition) -> Memory:
        """Return what Airflow remembers of an index."""
        return memory.remembered(definition)

    def finished(self, definition: IndexDefinition, since: datetime) -> list[Finished]:
        """Return the runs that ended since a moment."""
        return memory.finished(definition, since)


SERVERS = AirflowServers()


class Diagnosis(BaseModel):
    """What is known of one document, and what follows from it."""

    verdict: Verdict
    steps: list[Step]
    facts: Facts


class About(BaseModel):
    """What the page has to know before it asks anything."""

    version: str
    indices: dict[str, str]


@app.middleware("http")
async def with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Let the browser load nothing from elsewhere, and keep nothing."""
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


@app.exception_handler(MoviesEtlError)
async def with_the_reason(_: Request, error: Exception) -> Response:
    """Say why nothing can be asked: a setting is wrong, for example."""
    return JSONResponse({"detail": on_one_line(error)}, status_code=503)


def chosen(index: str) -> IndexDefinition:
    """Return a declared index with the names that it has in Elasticsearch."""
    found = declared().get(index)
    if found is None:
        raise HTTPException(404, f"No index {index!r} is declared.")
    return found.prefixed(load_settings().index_prefix)


Chosen = Annotated[IndexDefinition, Depends(chosen)]


@app.get("/api/about")
def about() -> About:
    """Name the indices, `movies` first, each with the DAG that keeps it up to date."""
    order = sorted(declared().values(), key=lambda one: (one is not MOVIES, one.name))
    return About(version=__version__, indices={one.name: one.sync_dag for one in order})


@app.get("/api/{index}/freshness")
def how_fresh(definition: Chosen) -> IndexState:
    """Say whether search is up to date."""
    return freshness(definition, SERVERS, _period(load_settings().schedule))


@app.get("/api/{index}/lookup")
def look_up(definition: Chosen, words: Words) -> Candidates:
    """Say which documents are meant by an id or by words."""
    return looked_up(definition, SERVERS, words.strip())


@app.get("/api/{index}/why")
def why(definition: Chosen, id: Words) -> Diagnosis:  # noqa: A002 - the parameter's name
    """Say why a document is not found."""
    found = known_of(definition, SERVERS, id)
    return Diagnosis(verdict=verdict(found), steps=steps(found), facts=found)


@app.get("/api/{index}/letters")
def dead_letters(definition: Chosen) -> Letters:
    """List the newest dead letters."""
    return letters(definition, SERVERS)


@app.get("/api/{index}/day")
def day(definition: Chosen) -> Day:
    """Tell what the runs of the last day did."""
    return last_day(definition, SERVERS)


@app.get("/api/{index}/search")
def search(definition: Chosen, words: Words) -> Found:
    """Search as a visitor does."""
    return as_a_visitor(definition, SERVERS, words.strip())


@app.get("/")
@app.get("/{name}")
def static(name: str = "index.html") -> FileResponse:
    """Return a file of the page."""
    file = STATIC / name
    if file.name not in {one.name for one in STATIC.iterdir()} or file.parent != STATIC:
        raise HTTPException(404, f"The page has no file {name!r}.")
    return FileResponse(file)


def _period(schedule: str | None) -> timedelta | None:
    """Return the time between two runs of a schedule; of none, and of ``@once``, None."""
    if schedule in (None, "@once"):
        return None
    if schedule == "@continuous":
        return timedelta(0)
    runs = croniter(schedule, datetime.now(UTC))
    first: datetime = runs.get_next(datetime)
    second: datetime = runs.get_next(datetime)
    return second - first
