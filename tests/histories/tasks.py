"""The program's tasks over the real servers, each with a session, a client and senders of its own.

A task comes to its fate before each query, before each request and after its answer, and around
each save of a cursor. When it is killed there, nothing of it runs any more; requests that had left
it may arrive later.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import elastic_transport
import psycopg
from elastic_transport import Urllib3HttpNode
from elasticsearch import Elasticsearch
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.queries import Names, Queries
from movies_etl.postgres.server import Server
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor

from tests.histories.fate import Fate
from tests.support.faults import answer_of, refusal
from tests.support.one_thread import Killed, OneThread
from tests.support.site import MemoryCursors


class Request(NamedTuple):
    """A request that is still under way although nobody waits for it."""

    method: str
    target: str
    body: bytes
    options: dict[str, Any]


@dataclass
class Surroundings:
    """What the tasks of one history share.

    :param dsn: of the database, for the program's role.
    :param url: of Elasticsearch.
    :param definition: the index that is kept equal.
    :param late: requests under way.
    :param arrived: those that arrived late.
    """

    dsn: str
    url: str
    definition: IndexDefinition
    fate: Fate
    settings: Settings
    late: list[Request] = field(default_factory=list)
    arrived: list[Request] = field(default_factory=list)

    def deliver(self, which: int, client: Elasticsearch) -> None:
        """Let a late request arrive."""
        request = self.late.pop(which)
        self.arrived.append(request)
        node = client.transport.node_pool.get()
        response = node.perform_request(
            request.method, request.target, body=request.body, **request.options
        )
        assert response.meta.status in (200, 404), response.body


class FatefulQueries(Queries):
    """Queries that come to their fate before each; that of documents is named alike for all."""

    fate: Fate

    def rows(
        self, file: str, names: Names | None = None, **parameters: object
    ) -> list[tuple[Any, ...]]:
        self._come_to(file)
        return super().rows(file, names, **parameters)

    def pieces(
        self, file: str, size: int, **parameters: object
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        self._come_to(file)
        with closing(super().pieces(file, size, **parameters)) as pieces:
            for piece in pieces:
                yield piece
                self.fate.step("next piece")

    def _come_to(self, file: str) -> None:
        is_of_documents = file.endswith("/documents.sql")
        self.fate.step("documents.sql" if is_of_documents else file)


class FatefulCursors(MemoryCursors):
    """Cursors that come to their fate around each save."""

    fate: Fate

    def save(self, stream: str, cursor: Cursor) -> None:
        self.fate.step(f"save cursor {stream}")
        super().save(stream, cursor)
        self.fate.step(f"saved cursor {stream}")


class Task:
    """One attempt of one task.

    :param threads: send from threads; then nothing may disturb it.
    """

    def __init__(
        self, around: Surroundings, name: str, *, threads: bool = False, at_once: bool = True
    ) -> None:
        self._around = around
        self.session = psycopg.connect(
            around.dsn, autocommit=True, application_name=f"movies_etl {name}"
        )
        self.client = self._client()
        self.executor: Executor = (
            ThreadPoolExecutor(around.settings.senders) if threads else OneThread(lambda: at_once)
        )
        self.faults: list[str] = []
        self._is_dead = False
        self._requests_leave = False

    replica = None
    """Histories on real servers read the primary."""

    @cached_property
    def source(self) -> Source:
        """The program's own source and server, opened over the session."""
        settings, definition = self._around.settings, self._around.definition
        opened = Source.opened(self.session, definition, settings)
        queries = FatefulQueries(self.session, settings.include_dir / "sql", settings.schema_name)
        queries.fate = self._around.fate
        return Source(queries, Server(queries, settings.horizon_ignore), definition, opened.layout)

    def _client(self) -> Elasticsearch:
        request = self._request

        class Node(Urllib3HttpNode):
            def perform_request(
                self,
                method: str,
                target: str,
                body: bytes | None = None,
                *options: Any,
                **named: Any,
            ) -> Any:
                assert not options
                return request(
                    Request(method, target, body or b"", named), super().perform_request, self
                )

        return Elasticsearch(self._around.url, node_class=Node, request_timeout=30, max_retries=0)

    def _request(self, one: Request, perform: Callable[..., Any], node: Urllib3HttpNode) -> Any:
        """Send a request, or let happen to it what is to happen."""
        action = _name(one)
        if self._is_dead:
            self._leave(one)
            raise Killed
        try:
            self._around.fate.step(action)
        except Killed:
            if self._requests_leave:
                self._leave(one)
            raise
        fault = self._next_fault(action)
        if fault == "busy":
            return answer_of(node.config, *refusal(503))
        if fault == "unreachable":
            raise elastic_transport.ConnectionError("lost")
        if fault == "late":
            self._leave(one)
            raise elastic_transport.ConnectionTimeout("no answer yet")
        response = perform(one.method, one.target, body=one.body or None, **one.options)
        self._around.fate.step(f"answered {action}")
        if fault == "no answer":
            raise elastic_transport.ConnectionTimeout("no answer")
        return response

    def _next_fault(self, action: str) -> str | None:
        """Return what goes wrong with this request; only bulks may be late."""
        if not self.faults or (self.faults[-1] == "late" and action != "bulk"):
            return None
        return self.faults.pop()

    def _leave(self, request: Request) -> None:
        if _name(request) == "bulk":
            self._around.late.append(request)

    def be_killed(self, *, requests_leave: bool) -> None:
        """End here.

        :param requests_leave: whether what is about to be sent is sent nevertheless.
        :raises Killed: always.
        """
        self._requests_leave = requests_leave
        raise Killed

    def die(self) -> None:
        """Let the bodies that were handed to senders be under way, or nothing."""
        self._is_dead = True
        if self._requests_leave and isinstance(self.executor, OneThread):
            for one in list(self.executor.waiting):
                one.leave()

    def end(self) -> None:
        """End the session, and with it its locks: at once, not when the server notices."""
        with suppress(psycopg.OperationalError):
            self.session.execute("SELECT pg_advisory_unlock_all()")
        self.session.close()
        self.client.close()
        if isinstance(self.executor, ThreadPoolExecutor):
            self.executor.shutdown()


def _name(request: Request) -> str:
    """Return what a request does: the last part of its path, or its method and path."""
    path = request.target.partition("?")[0]
    last = path.rpartition("/")[2]
    return last[1:] if last.startswith("_") else f"{request.method} {path}"
