"""Two Celery workers share a rebuild, and one is killed: ``python -m tests.workers``.

PostgreSQL, Elasticsearch, Redis (Debian's ``redis-server``) and Airflow with its CeleryExecutor are
started below ``.local/workers``, with a Python environment that has requirements-distributed.txt.
After a first load by ``movies_sync``, which goes on each minute, ``movies_reindex`` runs twice:
undisturbed, and with SIGKILL for one worker and its tasks in the middle. The last line is one JSON
object with the figures. The exit code is 1 when the second run did not end well, its index is not
equal to the catalogue, or more than a page was sent twice for each task that was killed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from local.certificates import trust_the_system
from tests.support.servers import ROOT

FOLDER = ROOT / ".local" / "workers"
LOCKS = ("requirements-dev.txt", "requirements-distributed.txt", "local/uv.txt")


def main() -> int:
    """Read the arguments; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.workers", description=__doc__)
    parser.add_argument("--films", type=int, default=500_000)
    asked = parser.parse_args()
    if find_spec("celery") is None:
        python = environment()
        path = os.pathsep.join((str(ROOT), str(ROOT / "plugins")))
        again = [python, "-m", "tests.workers", *sys.argv[1:]]
        os.execve(python, again, os.environ | {"PYTHONPATH": path})  # noqa: S606 - no shell
    from tests.workers.share import share  # noqa: PLC0415 - it needs the environment

    figures = share(FOLDER, asked.films)
    print(json.dumps(figures))  # noqa: T201 - a command
    return 0 if figures["good"] else 1


def environment() -> str:
    """Return the Python of an environment that has the locked packages of both."""
    folder = FOLDER / "venv"
    python, installed = folder / "bin" / "python", folder / "installed"
    locks = [ROOT / lock for lock in LOCKS]
    wanted = "".join(lock.read_text() for lock in locks)
    if not installed.exists() or installed.read_text() != wanted:
        trust_the_system()
        uv = Path(sys.executable).with_name("uv")
        make: list[str | Path] = [uv, "venv", "--quiet", "--clear", "--python", sys.executable]
        subprocess.run([*make, folder], check=True)
        sync: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes"]
        subprocess.run([*sync, "--python", python, *locks], check=True)
        installed.write_text(wanted)
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
