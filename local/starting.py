"""One start of the local stack: three parts at once, and an end to all when one of them fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from local.airflow import PARTS
from local.catalogue import CatalogueError, prepare
from local.generator import generate
from local.processes import wait_until
from local.reader import DATABASE, READER, let_read

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.catalogue import Progress
    from local.stack import Stack

HAS_CATALOGUE = (
    "there is a catalogue already: leave out --films to use it, or remove it with `make clean`"
)


class Starting:
    """Starts what does not run of a stack whose ports are chosen.

    :param report: called with a short line for each step that is done.
    :param progress: called with how far the generation of a catalogue is.
    :param films: films to generate in place of the sample; None loads the sample.
    """

    def __init__(
        self, stack: Stack, report: Callable[[str], None], progress: Progress, films: int | None
    ) -> None:
        self._stack = stack
        self._report = report
        self._progress = progress
        self._films = films
        self._cancelled = threading.Event()

    def run(self) -> None:
        """Return when all parts are started; Airflow then still needs some seconds.

        After an error PostgreSQL and Elasticsearch do not run. Raises the parts' own errors, and
        CatalogueError when films are to be generated and there are some.
        """
        stack = self._stack
        pool = ThreadPoolExecutor(3)
        try:
            index = pool.submit(self._start_elasticsearch)
            fresh = self._start_postgres()
            catalogue = pool.submit(self._load)
            api = pool.submit(self._start_api, fresh=fresh)
            for job in (catalogue, api, index):
                job.result()
            stack.airflow.start(*PARTS)
        except BaseException:
            self._cancelled.set()
            stack.elasticsearch.cancel()
            stack.postgres.stop("fast")  # ends what the threads are doing there
            raise
        finally:
            pool.shutdown()

    def _start_elasticsearch(self) -> None:
        elasticsearch = self._stack.elasticsearch
        if not elasticsearch.running:
            elasticsearch.start()
            self._report(f"Elasticsearch is up: {elasticsearch.url}")

    def _start_postgres(self) -> bool:
        """Start PostgreSQL; return whether Airflow's database has just been created."""
        postgres = self._stack.postgres
        if not postgres.running:
            postgres.start()
            self._report(f"PostgreSQL is up: 127.0.0.1:{postgres.port}")
        for role in ("airflow", READER):
            postgres.createuser(role)
        postgres.createdb(DATABASE)
        return postgres.createdb("airflow", owner="airflow")

    def _load(self) -> None:
        dsn = self._stack.dsn
        loaded = prepare(dsn) if self._films is None else self._generate(dsn, self._films)
        let_read(dsn)
        if loaded:
            self._report(f"{loaded:,} films loaded into PostgreSQL")

    def _generate(self, dsn: str, films: int) -> int:
        try:
            generate(dsn, films, self._progress)
        except CatalogueError:
            raise CatalogueError(HAS_CATALOGUE) from None
        return films

    def _start_api(self, *, fresh: bool) -> None:
        """Start Airflow's API and dag-processor, and wait until the API answers."""
        stack = self._stack
        stack.airflow.migrate(fresh=fresh)
        stack.forget()
        self._go_on()
        stack.airflow.start("dag-processor", "api-server")
        stack.remember()

        def answers() -> bool:
            self._go_on()
            stack.airflow.check()
            return stack.api().answers()

        wait_until(answers, seconds=180, what="Airflow's API answers")
        self._report(f"Airflow's web UI is up: {stack.settings.url}")

    def _go_on(self) -> None:
        """Raise InterruptedError when another thread has failed or was interrupted."""
        if self._cancelled.is_set():
            msg = "the start was cancelled"
            raise InterruptedError(msg)
