"""The task ``follow`` of a site, beside a test that changes the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from movies_etl.errors import SourceUnavailableError
from movies_etl.follow.others import Feeding
from movies_etl.follow.run import Stores, follow
from movies_etl.postgres.replica import Replica
from movies_etl.postgres.session import Session
from movies_etl.postgres.source import Source
from movies_etl.rebuild.beside import feed_others_in_steps
from movies_etl.settings import Settings
from movies_etl.state.run_context import RunContext
from movies_etl.sync.resources import Resources

from local.processes import wait_until
from tests.support.rebuild import stores_of
from tests.support.site import Site, WatchedQueries

PATIENCE = 60.0
"""Seconds in which anything that follows happens on the slowest machine."""


@dataclass
class Following:
    """A task that follows in a thread of its own.

    ``result`` is what it returns at its end.
    """

    site: Site
    connection: psycopg.Connection[Any]
    result: Future[dict[str, Any]]

    @property
    def pid(self) -> int:
        """The process of its session in PostgreSQL."""
        return self.connection.info.backend_pid

    def kill(self) -> None:
        """End its session from outside, as a machine that is lost does; wait until it is gone."""
        self.site.execute("SELECT pg_terminate_backend(%s)", self.pid)
        self.result.exception(timeout=PATIENCE)


def expect(site: Site, text: str, of: str) -> None:
    """Wait until a search finds a document with this text."""

    def is_there() -> bool:
        answer = site.client.search(
            index=site.definition.alias, query={"ids": {"values": [of]}}, size=1
        )
        return any(
            hit["_source"].get("title", hit["_source"].get("name", hit["_source"].get("full_name")))
            == text
            for hit in answer["hits"]["hits"]
        )

    wait_until(is_there, seconds=PATIENCE, what=f"{text!r} in the index")


@contextmanager
def following(
    site: Site, role: str = "postgres", replica: Replica | None = None, **settings: object
) -> Iterator[Following]:
    """Follow a site that was loaded; behind the block the session is killed if it still goes on.

    :param role: of the session.
    :param replica: on which pages and documents are read.
    :param settings: of the program, besides those of the site.
    """
    own = Settings(
        **(site.settings.model_dump() | {"follow_seconds": 600, "poll_seconds": 0.02} | settings)
    )
    context = site.open()
    site.reconnect()  # the session of init ends with init
    connection = Session.connect(
        site.dsn.replace("postgres@", f"{role}@"),
        autocommit=True,
        application_name="movies_etl follow test",
    )
    source = Source.opened(connection, site.definition, own)
    source.queries = source.server.queries = WatchedQueries(source.queries, site.queries)

    def feed_beside(now: RunContext) -> Feeding:
        with (
            psycopg.connect(site.dsn, autocommit=True) as session,
            ThreadPoolExecutor(2) as senders,
        ):
            beside = Source.opened(session, site.definition, own)
            resources = Resources(beside, site.client, now, site.cursors, senders, 10.0)
            yield from feed_others_in_steps(resources, own, stores_of(site))

    def task() -> dict[str, Any]:
        with ThreadPoolExecutor(own.senders) as senders:
            resources = Resources(
                source,
                site.client,
                context,
                site.cursors,
                senders,
                own.patience,
                replica=replica,
            )
            return follow(resources, own, Stores(site.horizons, site.difference, feed_beside))

    with ThreadPoolExecutor(1) as executor:
        one = Following(site, connection, executor.submit(task))
        try:
            yield one
        finally:
            if not one.result.done():
                one.kill()
            error = one.result.exception()
            connection.close()
    if error and not isinstance(error, SourceUnavailableError):
        raise error
