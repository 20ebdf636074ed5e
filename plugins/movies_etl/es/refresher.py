"""Refreshes that a task does not wait for: what it wrote is found while it writes the next."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from threading import Lock

from movies_etl.es.index import Index


class Refresher:
    """Makes what one task writes visible to searches, in one of the threads that send.

    A refresh shows all that was written before it began, so one at a time is enough: what is
    written during one is shown by the next.

    :param executor: whose thread refreshes.
    :param written: documents that the task has written before, and shown.
    """

    def __init__(self, index: Index, executor: Executor, written: int) -> None:
        self._index = index
        self._executor = executor
        self._lock = Lock()  # of the numbers and of what is running
        self._wanted = self._shown = written
        self._is_running = False
        self._last: Future[None] | None = None

    def show(self, written: int) -> None:
        """Refresh soon, if more was written than before.

        :param written: documents that the task has written until now.
        :raises MoviesEtlError: the last refresh failed.
        """
        with self._lock:
            if written <= self._wanted:
                return
            self._wanted = written
            if self._is_running:
                return
            self._is_running = True
        before, self._last = self._last, self._executor.submit(self._refresh, written)
        if before:
            before.result()

    def wait(self) -> None:
        """Return when everything that was to be shown is visible.

        :raises MoviesEtlError: the last refresh failed.
        """
        if self._last:
            self._last.result()

    def _refresh(self, _: int) -> None:
        try:
            while (wanted := self._next()) is not None:
                self._index.refresh()
                self._shown = wanted
        except BaseException:
            with self._lock:
                self._is_running = False
            raise

    def _next(self) -> int | None:
        """Return the number up to which is to be shown; None, and nothing runs, if all of it is."""
        with self._lock:
            self._is_running = self._wanted > self._shown
            return self._wanted if self._is_running else None
