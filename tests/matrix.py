"""Runs tests with other parts than those of the lock: ``python -m tests.matrix [CELL ...]``.

A cell is another version of one part, such as ``elasticsearch-8.4.3``, or ``fab``, Airflow's auth
manager of that name; without any all are run, and ``--list`` names them. PostgreSQL and
Elasticsearch come from Maven Central, the client of Elasticsearch 9 and FAB from the package index;
Pythons are those that this machine has, each with the packages of requirements-dev.txt in an
environment of its own. The last lines say what was run; the exit code is that of a failure if there
was one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from local.certificates import trust_the_system
from tests.support import elasticsearch_versions
from tests.support.client_versions import PACKAGES_OF_CLIENT
from tests.support.postgres_of_maven import DIGESTS, NEWEST
from tests.support.servers import ELASTICSEARCH_VERSION, POSTGRES_VERSION, ROOT

OF_THE_CATALOGUE = [
    "tests/test_sync.py",
    "tests/test_sync_crash.py",
    "tests/test_sync_horizon.py",
    "tests/test_horizon_measured.py",
    "tests/test_sql_documents.py",
    "tests/test_sql_pages.py",
    "tests/test_deletions.py",
    "tests/test_lock.py",
    "tests/test_grants.py",
    "tests/test_shapes.py",
    "tests/test_schema.py",
]
"""What asks PostgreSQL whatever the program asks it."""

OF_THE_INDEX = [
    "tests/test_sync.py",
    "tests/test_bulk.py",
    "tests/test_index.py",
    "tests/test_mapping.py",
    "tests/test_template.py",
    "tests/test_dead_letters.py",
    "tests/test_deletions.py",
    "tests/test_reconcile.py",
    "tests/test_fuses.py",
    "tests/test_rebuild.py",
    "tests/test_rebuild_carries.py",
    "tests/test_movies_sync.py",
]
"""What asks Elasticsearch whatever the program asks it."""

OF_PYTHON = [*OF_THE_CATALOGUE, "tests/test_movies_sync.py", "tests/test_dags.py"]
"""The same, and what Airflow does with the DAGs."""

OF_RIGHTS = ["tests/test_page_app.py"]
"""What Airflow's auth manager decides."""

POSTGRES = sorted({version for version, _ in DIGESTS} - {NEWEST})
PYTHON = ("3.12", "3.13", "3.14")
FAB = "apache-airflow-providers-fab==3.10.2"
FAB_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
FOLDER = ROOT / ".local" / "matrix"
WORKERS = ["-n", os.environ.get("WORKERS", "2"), "--dist", "loadfile"]
"""Each has servers of its own."""


@dataclass(frozen=True)
class Cell:
    """One version of one part.

    :param files: tests that are run.
    :param python: returns the interpreter that runs them, empty where this machine has none.
    :param environment: returns variables for them.
    :param options: of pytest.
    """

    files: Sequence[str]
    python: Callable[[], str] = lambda: sys.executable
    environment: Callable[[], Mapping[str, str]] = field(default=dict)
    options: Sequence[str] = ()

    def run(self) -> str:
        """Run the tests; return the outcome."""
        python = self.python()
        if not python:
            return "not here"
        command = [python, "-m", "pytest", "-q", "-m", "not soak", *WORKERS]
        command += [*self.options, *self.files]
        environment = os.environ | self.environment()
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        return "failed" if done.returncode else "passed"


def cells() -> dict[str, Cell]:
    """Return all of them by name."""
    return {
        **{
            f"postgres-{version}": Cell(
                OF_THE_CATALOGUE, environment=partial(dict, {POSTGRES_VERSION: version})
            )
            for version in POSTGRES
        },
        **{
            f"elasticsearch-{version}": Cell(
                OF_THE_INDEX, environment=partial(_elasticsearch, version)
            )
            for version in elasticsearch_versions.VERSIONS
        },
        **{
            f"python-{version}": Cell(OF_PYTHON, python=partial(_environment, version))
            for version in PYTHON
        },
        "fab": Cell(
            OF_RIGHTS,
            python=_with_fab,
            environment=partial(dict, {"AIRFLOW__CORE__AUTH_MANAGER": FAB_MANAGER}),
            options=["-W", "default"],  # it uses what its own libraries have deprecated
        ),
    }


def main() -> int:
    """Run what is asked for; return the exit code."""
    known = cells()
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="all of them by default")
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    asked = parser.parse_args()
    if unknown := sorted({*asked.cells} - known.keys()):
        parser.error(f"no cells: {', '.join(unknown)}; there are {', '.join(known)}")
    if asked.list:
        print("\n".join(known))  # noqa: T201 - a command
        return 0
    trust_the_system()
    told = {name: known[name].run() for name in asked.cells or known}
    for name, result in told.items():
        print(f"{name:20} {result}")  # noqa: T201
    return 1 if "failed" in told.values() else 0


def _elasticsearch(version: str) -> dict[str, str]:
    """Return variables for a server of a version, and a client of the same major version."""
    found = {ELASTICSEARCH_VERSION: version}
    major = version.partition(".")[0]
    if wanted := PACKAGES_OF_CLIENT[major]:
        folder = FOLDER / f"client-{major}"
        install = [_uv(), "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
        subprocess.run([*install, f"--target={folder}", *wanted], check=True)
        found["PYTHONPATH"] = str(folder)  # before what is installed
    return found


def _environment(version: str) -> str:
    """Return the Python of an environment with the locked packages, empty without that version."""
    found = next((one for one in sorted(_pythons()) if one.name == f"python{version}"), None)
    return _locked(FOLDER / f"python-{version}", found) if found else ""


def _with_fab() -> str:
    """Return the Python of an environment that has Airflow's auth manager FAB, too.

    Locked packages stay as they are, but one (python-dateutil) that FAB needs in an older version.
    """
    python = _locked(FOLDER / "fab", Path(sys.executable).resolve())
    subprocess.run([_uv(), "pip", "install", "--quiet", f"--python={python}", FAB], check=True)
    return python


def _locked(folder: Path, found: Path) -> str:
    """Make an environment with the locked packages; return its Python."""
    make = [_uv(), "venv", "--quiet", "--clear", "--no-python-downloads", f"--python={found}"]
    subprocess.run([*make, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    lock = [ROOT / "requirements-dev.txt", ROOT / "local" / "uv.txt"]
    sync = [_uv(), "pip", "sync", "--quiet", "--require-hashes", f"--python={python}"]
    subprocess.run([*sync, *map(str, lock)], check=True)
    return python


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))


def _pythons() -> list[Path]:
    """Return the Pythons of the search path that start, and those of pyenv."""
    folders = [Path(one) for one in os.environ.get("PATH", "").split(os.pathsep) if one]
    folders += (Path.home() / ".pyenv" / "versions").glob("*/bin")
    here = [folder / f"python{version}" for folder in folders for version in PYTHON]
    return [one for one in here if one.exists() and _starts(one)]


def _starts(python: Path) -> bool:
    done = subprocess.run([python, "--version"], check=False, capture_output=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
