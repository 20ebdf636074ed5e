"""Faults for tests: an Elasticsearch that answers badly now and then, and time that only counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import tenacity
import tenacity.nap
from elastic_transport import ApiResponseMeta, HttpHeaders, Urllib3HttpNode
from elasticsearch import Elasticsearch

Answer = tuple[int, Any]
Fault = Answer | Exception | Callable[[bytes], Answer | None] | None
"""Instead of the real answer (None): status and JSON, an error of the transport, or a function of
the request's body that returns one of these."""


class _Response(NamedTuple):
    """What a node of the client's transport returns."""

    meta: ApiResponseMeta
    body: bytes


class Faults:
    """What goes wrong at the next requests, one fault each; then the real server answers.

    :param forever: goes wrong at every request for which no fault is left.
    """

    def __init__(self, *faults: Fault, forever: Fault | None = None) -> None:
        self.left = list(faults)
        self.forever = forever
        self.requests: list[tuple[str, bytes]] = []

    def client(self, url: str) -> Elasticsearch:
        """Return a client whose requests meet the faults."""
        faults = self

        class Node(Urllib3HttpNode):
            def perform_request(
                self,
                method: str,
                target: str,
                body: bytes | None = None,
                *options: Any,
                **named: Any,
            ) -> Any:
                faults.requests.append((f"{method} {target}", body or b""))
                fault = faults.left.pop(0) if faults.left else faults.forever
                if callable(fault):
                    fault = fault(body or b"")
                if isinstance(fault, Exception):
                    raise fault
                if fault is None:
                    return super().perform_request(method, target, body, *options, **named)
                return answer_of(self.config, *fault)

        return Elasticsearch(url, node_class=Node, request_timeout=10, max_retries=0)


def answer_of(config: Any, status: int, body: Any) -> Any:
    """Return what a node of the client's transport returns for an answer."""
    headers = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
    meta = ApiResponseMeta(
        node=config, status=status, http_version="1.1", headers=HttpHeaders(headers), duration=0.0
    )
    return _Response(meta, json.dumps(body).encode())


def refusal(status: int, kind: str = "some_exception", reason: str = "a reason") -> Answer:
    """Return an answer that refuses the whole request."""
    error = {"type": kind, "reason": reason}
    return status, {"error": error | {"root_cause": [error]}, "status": status}


def too_large(limit: int) -> Callable[[bytes], Answer | None]:
    """Refuse bodies of more bytes than the limit, as http.max_content_length does."""
    return lambda body: refusal(413) if len(body) > limit else None


def each_item(status: int, kind: str) -> Callable[[bytes], Answer]:
    """Refuse each item of a bulk request."""

    def answer(body: bytes) -> Answer:
        error = {"type": kind, "reason": "not now"}
        count = body.count(b'{"index":')
        return 200, {"items": [{"index": {"status": status, "error": error}}] * count}

    return answer


class Time:
    """Stands in for the clock of the retries: sleeping takes no time and is written down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def install(self, monkeypatch: Any) -> None:
        """Take the place of the clock for the rest of the test."""
        stand_in = SimpleNamespace(monotonic=self.monotonic, sleep=self.sleep)
        monkeypatch.setattr(tenacity, "time", stand_in)
        monkeypatch.setattr(tenacity.nap, "time", stand_in)
