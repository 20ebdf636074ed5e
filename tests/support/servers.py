"""The real servers of the tests, for as long as somebody uses them."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psycopg

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.postgres_of_maven import asked_for

ROOT = Path(__file__).parents[2]
POSTGRES_VERSION = "MOVIES_TEST_POSTGRES"
"""Environment variable: the version of the server, of those that `make matrix` has."""
ELASTICSEARCH_VERSION = "MOVIES_TEST_ELASTICSEARCH"
"""The same of Elasticsearch."""
TEMPLATE = "content_template"
"""A database that has schema content and its indexes, and no rows."""
MEMORY = Path("/dev/shm")  # noqa: S108 - its folders are named after the one that they stand for
MEMORY_NEEDED = 4_000_000_000
"""Bytes that have to be free there."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_postgres(data: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL that has the template database."""
    options = {"fsync": "off", "full_page_writes": "off", "wal_level": "logical"}
    # fsync, pages: no test pulls the plug; wal_level: some databases get their rows from others
    version = os.environ.get(POSTGRES_VERSION, "")
    kind = asked_for(version)
    server = kind(data.with_name(f"{data.name}{version}"), port=free_port(), options=options)
    server.start()
    try:
        server.dropdb(TEMPLATE)
        server.createdb(TEMPLATE)
        with psycopg.connect(server.dsn(TEMPLATE), autocommit=True) as connection:
            for file in (ROOT / "local" / "schema.sql", ROOT / "include/sql/setup/indexes.sql"):
                for statement in file.read_text().split(";"):
                    if statement.strip():
                        connection.execute(statement)
        yield server
    finally:
        server.stop()


@contextmanager
def running_elasticsearch(data: Path) -> Iterator[Elasticsearch]:
    """Run a node of Elasticsearch, of 8.19 if no other version is asked for."""
    if version := os.environ.get(ELASTICSEARCH_VERSION):
        from tests.support import elasticsearch_versions  # noqa: PLC0415 - it needs this module

        with (
            in_memory(data.with_name(f"{data.name}-{version}")) as folder,
            elasticsearch_versions.running(version, folder) as other,
        ):
            yield other
        return
    with in_memory(data) as folder:
        node = Elasticsearch(folder, port=free_port(), heap="768m")
        node.start(seconds=600)  # a very busy machine may take that long
        try:
            yield node
        finally:
            node.stop()


@contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    """Lend a folder in memory in place of this one; the folder itself where there is no room.

    Elasticsearch waits for the disk with each index that is created or deleted, and cannot be told
    not to. No test pulls the plug.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED:
        yield folder
        return
    lent = MEMORY / f"movies-etl-{sha256(str(folder.absolute()).encode()).hexdigest()[:12]}"
    try:
        yield lent
    finally:
        shutil.rmtree(lent, ignore_errors=True)
