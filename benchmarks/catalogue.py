"""The benchmark's catalogue: generated once for each size, then copied."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import psycopg

from local.generator import files, generate

if TYPE_CHECKING:
    from local.postgres import Postgres


def template(server: Postgres, films: int) -> str:
    """Return the name of a database with this many films, generated when it is not there yet.

    The name has a digest of what generates it, so that no catalogue outlives its generator.
    """
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files())).hexdigest()[:8]
    name, unfinished = f"films_{films}_{digest}", f"films_{films}_unfinished"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        there = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if there.fetchone() is not None:
            return name
        server.dropdb(unfinished)
        server.createdb(unfinished)
        generate(server.dsn(unfinished), films)
        connection.execute(f"ALTER DATABASE {unfinished} RENAME TO {name}".encode())
    return name
