"""The raw bulk ceiling: what Elasticsearch takes when nobody has to read, build or check anything.

The very documents that the sync would send lie ready as bodies of 5 MB in files. Two threads send
them, each one body at a time, over connections of their own, and look at nothing of the answer but
whether it has errors. It ends, as the sync does, with a refresh.
"""

from __future__ import annotations

import http.client
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from movies_etl.definitions.movies import MOVIES
from movies_etl.es.admin import described
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings

from local.files import CHECKOUT
from local.rest import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.meter import Meter, Reading

BODY = 5_000_000
SENDERS = 2
INDEX = "ceiling"
DEFINITION = described(MOVIES, CHECKOUT / "include")
_PAGE = 5_000


@dataclass(frozen=True)
class Bodies:
    """Bulk bodies in files, ready to be sent.

    :param films: documents in all of them.
    :param size: bytes of the documents alone.
    """

    files: list[Path]
    films: int
    size: int


@dataclass(frozen=True)
class Ceiling:
    """One pass.

    :param spent: wall and CPU seconds; `task` is the sending process.
    """

    films: int
    spent: Reading

    @property
    def rate(self) -> float:
        """Documents per second."""
        return self.films / self.spent.at


def take_out(dsn: str, folder: Path) -> Bodies:
    """Read every document out of PostgreSQL by the program's own query, and write the bodies.

    Raises psycopg.Error and the program's own errors.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files: list[Path] = []
    films = size = 0
    body: list[bytes] = []
    filled = 0

    def write() -> None:
        path = folder / f"{len(files):05}.ndjson"
        path.write_bytes(b"".join(body))
        files.append(path)
        body.clear()

    for film, document in _documents(dsn):
        lines = _action(film) + document + b"\n"
        body.append(lines)
        filled += len(lines)
        films += 1
        size += len(document)
        if filled >= BODY:
            write()
            filled = 0
    if body:
        write()
    return Bodies(files, films, size)


def measure(port: int, bodies: Bodies, meter: Meter) -> Ceiling:
    """Send all bodies into a fresh index, remove it, and return what that took.

    Raises RuntimeError when Elasticsearch refuses a document.
    """
    url = f"http://127.0.0.1:{port}/{INDEX}"
    call("DELETE", f"{url}?ignore_unavailable=true", seconds=60)
    call("PUT", url, DEFINITION, seconds=60)
    before = meter.read()
    with _Connections(port) as send, ThreadPoolExecutor(SENDERS) as senders:
        for answer in senders.map(send, bodies.files):
            if answer != b'{"errors":false}':
                msg = f"Elasticsearch refused a document of the ceiling: {answer[:500]!r}"
                raise RuntimeError(msg)
    call("POST", f"{url}/_refresh", seconds=600)
    spent = meter.read().since(before)
    found = call("GET", f"{url}/_count")["count"]
    if found != bodies.films:
        msg = f"the ceiling's index has {found} documents instead of {bodies.films}"
        raise RuntimeError(msg)
    call("DELETE", url, seconds=60)
    return Ceiling(bodies.films, spent)


class _Connections:
    """Sends files, over one connection for each thread that calls it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Callable[[Path], bytes]:
        return self._send

    def __exit__(self, *_: object) -> None:
        for connection in self._all:
            connection.close()

    def _send(self, file: Path) -> bytes:
        """Send one body; return the answer."""
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
            self._all.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        connection.request(
            "POST",
            f"/{INDEX}/_bulk?filter_path=errors",
            file.read_bytes(),
            {"Content-Type": "application/x-ndjson"},
        )
        return connection.getresponse().read()


def _documents(dsn: str) -> Iterator[tuple[str, bytes]]:
    """Yield each film's id and document in the order in which a first load reads them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        ids = [
            film
            for (film,) in connection.execute(
                "SELECT id::text FROM content.film_work ORDER BY modified, id"
            )
        ]
        source = Source.opened(connection, MOVIES, Settings(include_dir=CHECKOUT / "include"))
        for at in range(0, len(ids), _PAGE):
            page = ids[at : at + _PAGE]
            _version, pieces = source.documents(page)
            documents = {document.id: document.text for piece in pieces for document in piece}
            for film in page:
                yield film, documents[film]


def _action(film: str) -> bytes:
    """Return the line before a document: an external version, as the sync sends it."""
    return (
        b'{"index":{"_id":"%s","version":1700000000000000,"version_type":"external_gte"}}\n'
        % film.encode()
    )
