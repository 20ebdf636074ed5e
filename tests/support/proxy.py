"""A TCP proxy before a server: what a bad network, or a server in trouble, does to its client."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

_AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection and drops what was not sent."""


class Link:
    """One client's connection and the one behind it to the server."""

    def __init__(
        self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, answers: int | None = None
    ) -> None:
        self._client = client
        self._server = server
        self.answers_left = answers
        self.closed = asyncio.Event()

    async def forward(self, request: bytes) -> None:
        """Hand something on to the server."""
        self._server.write(request)
        await self._server.drain()

    async def answer(self, data: bytes) -> None:
        """Hand something on to the client, up to where its answer is to be cut."""
        if self.answers_left is not None:
            data = data[: self.answers_left]
            self.answers_left -= len(data)
        self._client.write(data)
        await self._client.drain()
        if self.answers_left == 0:
            await asyncio.sleep(0.01)  # what was written is on its way
            self.cut()

    def cut(self) -> None:
        """Reset both connections."""
        self.closed.set()
        for writer in (self._client, self._server):
            with suppress(OSError):
                if end := writer.get_extra_info("socket"):  # none where TLS has ended
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()


Fault = Callable[[bytes, Link], Awaitable[None]]
"""What is done with a request instead of handing it on."""


async def _hand_on(request: bytes, link: Link) -> None:
    await link.forward(request)


def cut_request(after: int) -> Fault:
    """Cut the connection when this many bytes of the request have reached the server."""

    async def apply(request: bytes, link: Link) -> None:
        await link.forward(request[:after])
        await asyncio.sleep(0.05)
        link.cut()

    return apply


def cut_answer(after: int) -> Fault:
    """Let the request reach the server; cut when this many bytes of its answer have come back."""

    async def apply(request: bytes, link: Link) -> None:
        link.answers_left = after
        await link.forward(request)

    return apply


def delay(seconds: float) -> Fault:
    """Hand the request on after this time."""

    async def apply(request: bytes, link: Link) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(link.closed.wait(), seconds)
        await link.forward(request)

    return apply


async def silence(_: bytes, link: Link) -> None:
    """Swallow the request and never answer."""
    await link.closed.wait()


def answer(status: int, body: Any) -> Fault:
    """Answer an HTTP request in the server's place; the body is JSON or a function of a request."""

    async def apply(request: bytes, link: Link) -> None:
        text = json.dumps(body(request) if callable(body) else body).encode()
        head = (
            f"HTTP/1.1 {status} From the proxy\r\nX-elastic-product: Elasticsearch\r\n"
            f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        )
        await link.answer(head.encode() + text)

    return apply


@dataclass
class Planned:
    """A fault for requests that contain a pattern.

    :param skip: how many requests it still lets pass.
    :param left: how many requests it then befalls.
    :param hits: how many it befell.
    """

    pattern: bytes
    fault: Fault
    skip: int
    left: float
    hits: int = 0

    def befalls(self, request: bytes) -> bool:
        """Whether this request meets the fault."""
        if self.left <= 0 or self.pattern not in request:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.left -= 1
        self.hits += 1
        return True


class Proxy:
    """Listens on a free port of 127.0.0.1 and hands on to a server there.

    :param target: the server's port.
    :param http: requests are HTTP, and told apart; else each piece that arrives is one.
    :param tls: clients have to speak TLS; the server behind does not.
    """

    def __init__(self, target: int, *, http: bool, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.port = 0
        self.requests: list[bytes] = []
        self._http = http
        self._tls = tls
        self._plans: list[Planned] = []
        self._links: dict[Link, asyncio.Task[Any] | None] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def plan(self, fault: Fault, pattern: bytes = b"", times: float = 1, skip: int = 0) -> Planned:
        """Let a fault befall the next requests that contain the pattern, behind some skipped."""
        planned = Planned(pattern, fault, skip, times)
        self._plans.append(planned)
        return planned

    def heal(self) -> None:
        """Forget what was planned, and end the connections that wait for nothing."""
        self._plans.clear()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for link in self._links:
            link.cut()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=64, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cut()
        await asyncio.gather(*filter(None, self._links.values()), return_exceptions=True)

    async def _serve(self, requests: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            client.transport.abort()
            return
        link = Link(client, server)
        self._links[link] = asyncio.current_task()
        pumping = asyncio.create_task(_pump(answers, link))
        try:
            with suppress(OSError):
                while request := await self._request(requests):
                    self.requests.append(request)
                    await self._fault(request)(request, link)
        finally:
            link.cut()
            await pumping
            del self._links[link]

    async def _request(self, requests: asyncio.StreamReader) -> bytes:
        """Read one request; nothing when the client has left."""
        if not self._http:
            return await requests.read(65536)
        try:
            head = await requests.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            return head + await requests.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError:
            return b""

    def _fault(self, request: bytes) -> Fault:
        for planned in self._plans:
            if planned.befalls(request):
                return planned.fault
        return _hand_on


async def _pump(answers: asyncio.StreamReader, link: Link) -> None:
    with suppress(OSError):
        while data := await answers.read(65536):
            await link.answer(data)
    link.cut()
