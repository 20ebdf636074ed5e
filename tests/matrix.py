"""Runs tests with other versions than those of the lock: ``python -m tests.matrix``.

PostgreSQL of Maven Central; Pythons that this machine has, each with the packages of
requirements-dev.txt in an environment of its own. The last lines say what was run; the exit code is
that of a failure if there was one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.certificates import trust_the_system
from tests.support.postgres_of_maven import DIGESTS, NEWEST
from tests.support.servers import POSTGRES_VERSION, ROOT

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

OF_PYTHON = [*OF_THE_CATALOGUE, "tests/test_movies_sync.py", "tests/test_dags.py"]
"""The same, and what Airflow does with the DAGs."""

POSTGRES = sorted({version for version, _ in DIGESTS} - {NEWEST})
PYTHON = ("3.12", "3.13", "3.14")


def main() -> int:
    """Run all of it; return the exit code."""
    trust_the_system()
    told: dict[str, str] = {}
    for version in POSTGRES:
        told[f"PostgreSQL {version}"] = _tested(
            sys.executable, OF_THE_CATALOGUE, {POSTGRES_VERSION: version}
        )
    for version in PYTHON:
        python = _environment(version)
        told[f"Python {version}"] = _tested(python, OF_PYTHON, {}) if python else "not here"
    for what, result in told.items():
        print(f"{what:20} {result}")  # noqa: T201 - a command
    return 1 if "failed" in told.values() else 0


def _tested(python: str, files: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run test files; return the outcome."""
    command = [python, "-m", "pytest", "-q", "-m", "", *files]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
    return "failed" if done.returncode else "passed"


def _environment(version: str) -> str:
    """Return the Python of an environment with the locked packages, empty without that version."""
    uv = str(Path(sys.executable).with_name("uv"))
    folder = ROOT / ".local" / "matrix" / f"python-{version}"
    found = next((one for one in sorted(_pythons()) if one.name == f"python{version}"), None)
    if found is None:
        return ""
    make: list[str | Path] = [
        uv,
        "venv",
        "--quiet",
        "--clear",
        "--no-python-downloads",
        "--python",
        found,
    ]
    subprocess.run([*make, folder], check=True)
    python = str(folder / "bin" / "python")
    lock = [ROOT / "requirements-dev.txt", ROOT / "local" / "uv.txt"]
    sync: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python]
    subprocess.run([*sync, *lock], check=True)
    return python


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
