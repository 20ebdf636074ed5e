"""A pooler before PostgreSQL: it lends servers to sessions, for their life or for one transaction.

It speaks the protocol as far as it needs: a login without a password, queries, transactions.
"""

from __future__ import annotations

import socket
import socketserver
import struct
from contextlib import suppress
from queue import Empty, LifoQueue, Queue
from threading import Lock, Thread
from typing import BinaryIO, Literal, Self

_NO_PROTOCOL = {80877103, 80877104}
"""Requests for TLS and GSSAPI."""
_CANCEL = 80877102


class _Server:
    """A session with PostgreSQL.

    :param login: the message that begins it.
    """

    def __init__(self, port: int, login: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._answers = self._socket.makefile("rb")
        self.welcome = self._asked(login)

    def ask(self, request: bytes) -> tuple[bytes, bool]:
        """Return the answer, and whether no transaction is open after it."""
        answer = self._asked(request)
        return answer, answer.endswith(b"I")

    def _asked(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        answer = b""
        while True:
            kind, message = _read(self._answers)
            if kind == b"K":  # the number of the process: a pooler has numbers of its own
                message = message[:5] + struct.pack("!I", 4711) + message[9:]
            answer += message
            if kind == b"Z":
                return answer

    def reset(self) -> None:
        """Undo what a session has set."""
        statement = b"DISCARD ALL\0"
        self._asked(b"Q" + struct.pack("!I", 4 + len(statement)) + statement)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


class Pooler:
    """Listens on a free port of 127.0.0.1.

    :param target: PostgreSQL's port.
    :param mode: for how long a server is lent.
    :param servers: how many there may be.
    :param newest_first: whether the server that came back last is lent next.

    ``logins`` is how many sessions there were.
    """

    def __init__(
        self,
        target: int,
        mode: Literal["session", "transaction"],
        *,
        servers: int = 20,
        newest_first: bool = True,
    ) -> None:
        self._target = target
        self._mode = mode
        self._may_be_opened = servers
        self._idle: Queue[_Server] = LifoQueue() if newest_first else Queue()
        self._guard = Lock()
        self._welcome = b""
        self.logins = 0
        pooler = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, EOFError), self.request.makefile("rb") as requests:
                    pooler._serve(self.request, requests)

        self._listener = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._listener.server_address[1])
        self._thread = Thread(target=self._listener.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _serve(self, client: socket.socket, requests: BinaryIO) -> None:
        login = _login(client, requests)
        if not login:
            return
        self.logins += 1
        if not self._welcome:
            first = self._lent(login)
            self._welcome = first.welcome
            self._idle.put(first)
        client.sendall(self._welcome)
        server: _Server | None = None
        request = b""
        try:
            while True:
                kind, message = _read(requests)
                request += message
                if kind not in (b"Q", b"S"):  # a query, or the end of its parts
                    continue
                server = server or self._lent(login)
                answer, is_over = server.ask(request)
                request = b""
                if is_over and self._mode == "transaction":
                    self._idle.put(server)
                    server = None
                client.sendall(answer)
        finally:
            if server:
                server.reset()
                self._idle.put(server)

    def _lent(self, login: bytes) -> _Server:
        """Return a server that is free, a new one, or the next that comes back."""
        with suppress(Empty):
            return self._idle.get_nowait()
        with self._guard:
            is_new = self._may_be_opened > 0
            self._may_be_opened -= is_new
        return _Server(self._target, login) if is_new else self._idle.get()


def _login(client: socket.socket, requests: BinaryIO) -> bytes:
    """Read the message of a login; nothing when the client wanted something else."""
    while head := requests.read(8):
        length, code = struct.unpack("!II", head)
        if code == _CANCEL:
            return b""
        if code not in _NO_PROTOCOL:
            return head + requests.read(length - 8)
        client.sendall(b"N")
    return b""


def _read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read one message; return its kind, and all of it."""
    head = stream.read(5)
    if len(head) < 5 or head[:1] == b"X":
        raise EOFError
    return head[:1], head + stream.read(struct.unpack("!I", head[1:])[0] - 4)
