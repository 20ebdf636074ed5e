"""A process that does what the tasks of one run do, for tests that kill it.

    python -m tests.support.worker DSN URL FOLDER

Cursors and horizon are files of FOLDER, written as Variables are: whole or not at all. Each task's
counters are printed as a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.postgres.horizon import Epoch, Known
from movies_etl.postgres.source import Source
from movies_etl.settings import load_settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.notices import Notices
from movies_etl.sync.prepare import State, prepare_run
from movies_etl.sync.resources import Resources
from movies_etl.sync.run import sync

from tests.support.live_only import LiveOnly
from tests.support.site import MemoryNotices, MemoryReconcile

ROOT = Path(__file__).parents[2]
NAME = "movies_etl worker"


class FileCursors(LiveOnly):
    """Cursors as files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, stream: str) -> Cursor | None:
        try:
            text = (self.folder / f"{stream}.json").read_text()
        except FileNotFoundError:
            return None
        return Cursor.from_json(text, where=stream)

    def save(self, stream: str, cursor: Cursor) -> None:
        replace_text(self.folder / f"{stream}.json", cursor.to_json())


class FileHorizons:
    """What the last measurement left, but for the moments: a test's role sees everything."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "horizon"

    def load(self) -> Known:
        return Known(self._file.read_text()) if self._file.exists() else Known()

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        assert not epochs
        replace_text(self._file, horizon)


def replace_text(file: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(file)


class Worker:
    """The process, seen from the test.

    :param settings: of the program, by their names in small letters.
    """

    def __init__(self, dsn: str, url: str, folder: Path, **settings: object) -> None:
        self._command = [sys.executable, "-m", "tests.support.worker", dsn, url, str(folder)]
        self._settings: dict[str, str] = {}
        self.configure(**settings)
        self.log = folder / "log"
        self._child: subprocess.Popen[str] | None = None

    def configure(self, **settings: object) -> None:
        """Set some for the next start."""
        self._settings |= {f"MOVIES_ETL_{name.upper()}": str(it) for name, it in settings.items()}

    def start(self) -> subprocess.Popen[str]:
        """Start a run."""
        path = os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))
        with self.log.open("a") as log:
            self._child = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=os.environ | self._settings | {"PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self._child

    def result(self) -> Mapping[str, Mapping[str, Any]]:
        """Wait for the end of the run; return the counters of each task."""
        assert self._child is not None
        printed, _ = self._child.communicate(timeout=120)
        assert self._child.returncode == 0, self.log.read_text()[-3000:]
        return {name: done for line in printed.splitlines() for name, done in [json.loads(line)]}

    def end(self) -> None:
        """Kill what is left."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()


def main(dsn: str, url: str, folder: str) -> None:
    """Do one run."""
    settings = load_settings()
    state = State(
        FileCursors(Path(folder)),
        FileHorizons(Path(folder)),
        MemoryReconcile(),
        Notices(MemoryNotices()),
    )
    with (
        psycopg.connect(dsn, autocommit=True, application_name=NAME) as connection,
        Elasticsearch(url, max_retries=0, request_timeout=30) as client,
        ThreadPoolExecutor(settings.senders) as executor,
    ):
        source = Source.opened(connection, MOVIES, settings)
        context = prepare_run(source, client, state, settings)
        for stream in MOVIES.streams:
            resources = Resources(
                source=source,
                client=client,
                context=context,
                cursors=state.cursors,
                executor=executor,
                patience=settings.patience,
            )
            done = sync(stream, resources, settings)
            print(json.dumps([stream.name, asdict(done)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
