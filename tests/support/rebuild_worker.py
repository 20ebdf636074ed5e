"""A process that does one task of a rebuild, and may be killed in the middle of it.

    python -m tests.support.rebuild_worker DSN URL FOLDER TASK DEATH

Cursors, horizon, what the reconcile saw, the plan and the range's position are files of FOLDER.
DEATH is where the process kills itself by SIGKILL, or ``never``. The result is printed as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from movies_etl.definitions.ranges import Range
from movies_etl.rebuild import gate
from movies_etl.rebuild import load as rebuild_load
from movies_etl.rebuild.correct import correct
from movies_etl.rebuild.plan import Plan
from movies_etl.state.cursors import Cursor
from movies_etl.state.reconcile import ReconcileState

from tests.support.rebuild import MemoryPosition, Rebuild
from tests.support.site import Site
from tests.support.worker import ROOT, FileCursors, FileHorizons, replace_text

PAGE_SIZE = 100
"""Documents of a page of the load."""

BULK_BYTES = 20_000
"""A page is on its way in several bodies, so that its end is known before the load's."""


class KeptCursors(FileCursors):
    """Cursors as files, those of other indexes in folders of their own."""

    def beside(self, index: str) -> KeptCursors:
        (self.folder / index).mkdir(exist_ok=True)
        return KeptCursors(self.folder / index)

    def indexes(self) -> list[str]:
        return sorted(file.parent.name for file in self.folder.glob("*/film_work.json"))

    def forget(self, index: str) -> None:
        shutil.rmtree(self.folder / index, ignore_errors=True)


class KeptReconcile:
    """What the reconcile remembers as a file, of other indexes beside it."""

    def __init__(self, folder: Path, name: str = "reconcile") -> None:
        self._folder = folder
        self._file = folder / name

    def load(self) -> ReconcileState | None:
        if not self._file.exists():
            return None
        return ReconcileState.model_validate_json(self._file.read_text())

    def save(self, state: ReconcileState) -> None:
        replace_text(self._file, state.model_dump_json())

    def beside(self, index: str) -> KeptReconcile:
        return KeptReconcile(self._folder, f"reconcile.{index}")

    def forget(self, index: str) -> None:
        self.beside(index)._file.unlink(missing_ok=True)


class FilePosition(MemoryPosition):
    """The position in the range; if it is to die, the process does when a page is loaded."""

    dies = False

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / "position"

    def load(self) -> str | None:
        return self._file.read_text() if self._file.exists() else None

    def save(self, position: str) -> None:
        super().save(position)
        replace_text(self._file, position)
        if self.dies and Cursor.from_json(position, where="file").loaded_to:
            os.kill(os.getpid(), signal.SIGKILL)


def use_files(site: Site, folder: Path) -> None:
    """Let a site keep its state in files that a process of the rebuild finds."""
    site.cursors = KeptCursors(folder)  # type: ignore[assignment]
    site.horizons = FileHorizons(folder)  # type: ignore[assignment]
    site.reconciled = KeptReconcile(folder)  # type: ignore[assignment]


def do(site: Site, url: str, folder: Path, task: str, death: str = "never") -> Any:
    """Do a task in a process of its own; return its result, None when it was killed."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.rebuild_worker", site.dsn, url, folder, task, death],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if death != "never":
        assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
        return None
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _dying(function: Callable[..., Any], *, first: bool) -> Callable[..., Any]:
    """Return a function that kills its process, before it is called or when it has returned."""

    def dying(*args: Any, **named: Any) -> None:
        if not first:
            function(*args, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


def _let_die(death: str, position: FilePosition, client: Elasticsearch) -> None:
    """Arrange where the process kills itself."""
    if death == "load":
        position.dies = True
    elif death == "check":
        vars(gate).update(correct=_dying(correct, first=True))
    elif death in ("before the aliases", "behind the aliases"):
        indices = client.indices
        dying = _dying(indices.update_aliases, first=death.startswith("before"))
        indices.update_aliases = dying  # type: ignore[method-assign]


def main(dsn: str, url: str, folder: str, task: str, death: str) -> None:
    """Do one task."""
    rebuild_load.PAGE_SIZE = PAGE_SIZE
    position = FilePosition(Path(folder))
    plan = Plan.model_validate_json((Path(folder) / "plan.json").read_text())
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        Elasticsearch(url, max_retries=0, request_timeout=30) as client,
    ):
        site = Site(dsn, connection, client)
        site.configure(bulk_bytes=BULK_BYTES)
        use_files(site, Path(folder))
        rebuild = Rebuild(site, positions={Range(): position})
        _let_die(death, position, client)
        done: Any = {}
        if task == "load":
            done = rebuild.load(plan, Range())
            replace_text(Path(folder) / "loaded.json", json.dumps([done]))
        elif task == "check":
            rebuild.loaded(plan, json.loads((Path(folder) / "loaded.json").read_text()))
            done = rebuild.check(plan)
        else:
            done = rebuild.swap(plan)
        site.close()
    print(json.dumps(done))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
