"""The longest transaction of the program's sessions, looked at from outside twice per second."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_SECONDS = 0.5

_QUERY = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
    FROM pg_stat_activity WHERE application_name LIKE 'movies_etl %'
"""


@dataclass
class Longest:
    """What was seen so far.

    :param seconds: of the longest transaction.
    """

    seconds: float = 0.0


@contextmanager
def watched(dsn: str) -> Iterator[Longest]:
    """Look while the block runs.

    :param dsn: of the catalogue, as a role that sees the program's sessions.
    """
    longest, ended = Longest(), threading.Event()

    def look() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not ended.wait(EVERY_SECONDS):
                for (seconds,) in connection.execute(_QUERY):
                    longest.seconds = max(longest.seconds, seconds)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield longest
    finally:
        ended.set()
        looking.join()
