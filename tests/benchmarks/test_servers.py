"""The benchmark's servers after a benchmark that was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks import servers as module
from benchmarks.servers import Servers
from local.processes import wait_until


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setattr(module, "FOLDER", tmp_path / "bench")
    monkeypatch.setitem(module.OPTIONS, "shared_buffers", "32MB")
    made = Servers(lambda _: None)
    yield made
    made.catalogue.remove()


def test_a_slot_that_pgsync_left_does_not_keep_the_catalogue_from_starting(
    servers: Servers,
) -> None:
    servers.catalogue.options["wal_level"] = "logical"
    servers.catalogue.start()
    with psycopg.connect(servers.catalogue.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('left', 'pgoutput')")
    pid = servers.catalogue.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not servers.catalogue.running, seconds=5, what="the server is gone")

    later = Servers(lambda _: None)
    later._start_catalogue()
    later.restore(films=10)

    with psycopg.connect(later.dsn) as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("replica",)
        assert connection.execute("SELECT count(*) FROM content.film_work").fetchone() == (10,)
