"""The writer's lock is held for one batch at a time: others wait for no more than that."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from movies_etl.postgres import lock
from movies_etl.reconcile import repair
from movies_etl.sync.batches import Batch
from movies_etl.sync.stream_run import StreamRun

from local.processes import wait_until
from tests.support.site import Site

BATCH = 3


class Others:
    """Another session for each batch, that waits for the lock while the batch is loaded.

    ``waited`` says of each how many batches were begun when it was given the lock.
    """

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._dsn = site.dsn
        self._site = site
        self._key = lock.key_of(site.open().uuid)
        site.reconnect()  # the session of a run has the lock
        self._threads = ThreadPoolExecutor(20)
        self._waiting: list[Future[int]] = []
        self.sizes: list[int] = []
        load = StreamRun.load

        def watched(run: StreamRun, batch: Batch) -> None:
            self.sizes.append(len(batch.ids))
            self._begin_to_wait()
            load(run, batch)

        monkeypatch.setattr(StreamRun, "load", watched)

    def _begin_to_wait(self) -> None:
        """Return when PostgreSQL says that the other session waits."""
        connected = threading.Event()
        pids: list[int] = []

        def wait() -> int:
            with psycopg.connect(self._dsn, autocommit=True) as other:
                pids.append(other.info.backend_pid)
                connected.set()
                other.execute("SELECT pg_advisory_lock(%s)", [self._key])
                return len(self.sizes)  # the lock goes with the session

        self._waiting.append(self._threads.submit(wait))
        connected.wait()
        waits = "SELECT FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND NOT granted"
        wait_until(
            lambda: self._site.execute(waits, *pids).fetchone() is not None,
            seconds=60,
            what="another session that waits for the lock",
        )

    @property
    def waited(self) -> list[int]:
        with self._threads:
            return [one.result(timeout=60) for one in self._waiting]


def test_another_task_waits_for_one_batch_and_no_more(
    loaded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "BATCH_SIZE", BATCH)
    loaded.reconcile()
    loaded.execute("UPDATE content.film_work SET title = 'Without a trace'")
    others = Others(loaded, monkeypatch)
    assert loaded.reconcile("touched")["touched"]["repaired"] == 7
    assert others.waited == [1, 2, 3]  # each was given it before another batch was begun
    assert others.sizes == [3, 3, 1]
    loaded.assert_equal()
