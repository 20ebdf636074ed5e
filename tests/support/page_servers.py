"""The servers of a test's site, as the page asks them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page import asking
from movies_etl.page.memory import Finished, Memory, Rebuild, Run
from movies_etl.postgres.session import Session
from movies_etl.postgres.source import Source

from tests.support.site import Site


@dataclass
class SiteServers:
    """A site's servers, and an Airflow that remembers what the site's runs left.

    :param dsn: of the catalogue, when it is asked by another way than the site's own.
    :param url: the same of Elasticsearch.
    """

    site: Site
    dsn: str = ""
    url: str = ""
    paused: bool | None = False
    runs: tuple[Run, ...] = ()
    rebuild: Rebuild | None = None
    ended: list[Finished] = field(default_factory=list)

    @contextmanager
    def catalogue(self, definition: IndexDefinition) -> Iterator[Source]:
        with Session.connect(
            self.dsn or self.site.dsn, autocommit=True, application_name="movies_etl page"
        ) as connection:
            connection.expect_answers(until=time.monotonic() + asking.SERVER_SECONDS)
            yield Source.opened(connection, definition, self.site.settings)

    @contextmanager
    def elasticsearch(self) -> Iterator[Elasticsearch]:
        if not self.url:
            yield self.site.client.options(request_timeout=asking.SERVER_SECONDS)
            return
        with Elasticsearch(
            self.url, request_timeout=asking.SERVER_SECONDS, max_retries=0
        ) as client:
            yield client

    def memory(self, definition: IndexDefinition) -> Memory:
        streams = [stream.name for stream in definition.streams]
        return Memory(
            cursors={name: self.site.cursors.load(name) for name in streams},
            comparison=self.site.difference.load(),
            paused=self.paused,
            runs=self.runs,
            rebuild=self.rebuild,
            fed=frozenset(self.site.cursors.indexes()),
        )

    def finished(self, definition: IndexDefinition, since: datetime) -> list[Finished]:  # noqa: ARG002
        return [one for one in self.ended if one.run.ended and one.run.ended >= since]


def have_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time for an answer."""
    monkeypatch.setattr(asking, "SERVER_SECONDS", 60.0)
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 120.0)
