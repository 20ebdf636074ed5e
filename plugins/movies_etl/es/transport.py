"""How requests reach Elasticsearch: which of its nodes they go to, and in which version of the API.

The client gives each request to one of its nodes in turn, leaves out one that failed for a while,
and hands the request to the next. That costs nothing where the failed node refuses connections.
Where it swallows packets, or hangs, each attempt would take the whole time of a request; so one of
several nodes is greeted before it is given work: :class:`GreetedNode`.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from elastic_transport import (
    ConnectionError as NodeLostError,
)
from elastic_transport import (
    ConnectionTimeout,
    HttpHeaders,
    Transport,
    TransportError,
    Urllib3HttpNode,
)

API_VERSION = 8
"""The version of the REST API: servers of this major version and of the next one have it."""

GREETING_SECONDS = 3.0
"""Seconds in which a node must answer its greeting."""

LEFT_OUT_SECONDS = 10.0
"""Seconds for which a failed node is left out; they double with each failure in a row."""

_NO_ROOM = frozenset({429, 502, 503, 504})
"""HTTP statuses that say: later."""

_TAKES_NO_WORK = frozenset({502, 503, 504})
"""HTTP statuses that say: not here, not now."""

_ASKED_VERSION = re.compile(r"compatible-with=\d+")


class Traffic:
    """The bulk requests of one client.

    ``requests`` were sent and ``seconds`` waited for in all; of those ``lost`` had no answer, and
    for ``pushed_back`` there was no room: they are sent again.
    """

    def __init__(self) -> None:
        self.requests = self.lost = self.pushed_back = 0
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float, status: int | None) -> None:
        """Count a request.

        :param status: of its answer; None when there was none.
        """
        with self._lock:
            self.requests += 1
            self.seconds += seconds
            self.lost += status is None
            self.pushed_back += status in _NO_ROOM


class CompatibleTransport(Transport):
    """Asks for one version of the API, whichever the client's own version is.

    A client of version 9 asks for 9, which a server of version 8 refuses; both servers have 8.

    ``traffic`` counts bulk requests.
    """

    def __init__(self, *nodes: Any, **options: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*nodes, **options)
        self.traffic = Traffic()

    def perform_request(self, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - handed on
        """Send a request with the version in its headers replaced."""
        headers = HttpHeaders(options.pop("headers", {}))
        for name in ("accept", "content-type"):
            if name in headers:
                asked = f"compatible-with={API_VERSION}"
                headers[name] = _ASKED_VERSION.sub(asked, headers[name])
        if "/_bulk" not in str(request[1]):
            return super().perform_request(*request, headers=headers, **options)
        began, status = time.monotonic(), None
        try:
            answer = super().perform_request(*request, headers=headers, **options)
            status = answer.meta.status
        finally:
            self.traffic.add(time.monotonic() - began, status)
        return answer


class NamedNode(Urllib3HttpNode):
    """One address, which errors name: the client's own may say no more than "timed out"."""

    def perform_request(self, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - handed on
        """Send a request to this address.

        :raises TransportError: its message begins with the address.
        """
        try:
            return super().perform_request(*request, **options)
        except TransportError as error:
            named = f"{self.base_url}: {error.message}"
            raise type(error)(named, errors=error.errors) from error


class GreetedNode(NamedNode):
    """One address of several, asked whether it is there before it is given work."""

    _is_there = False

    def perform_request(self, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - handed on
        """Send a request; where none was answered yet, or the last one failed, greet before.

        :raises NodeLostError: no answer to the greeting: another node may have the request.
        :raises TransportError: the request was lost and may have arrived: no other node gets it.
        """
        if not self._is_there:
            self._greet(options.get("headers"))
        try:
            return super().perform_request(*request, **options)
        except TransportError as error:
            self._is_there = False
            if type(error) is NodeLostError:
                raise TransportError(error.message, errors=error.errors) from error
            raise

    def _greet(self, headers: HttpHeaders | None) -> None:
        try:
            answer = super().perform_request(
                "HEAD", "/", headers=headers, request_timeout=GREETING_SECONDS
            )
        except ConnectionTimeout as error:
            raise NodeLostError(error.message, errors=error.errors) from error
        if answer.meta.status in _TAKES_NO_WORK:
            raise NodeLostError(f"{self.base_url}: takes no work (HTTP {answer.meta.status})")
        self._is_there = True
