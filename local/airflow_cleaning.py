"""What the local Airflow forgets: runs and logs of more than three days ago, once a day.

A run per minute would fill the disk with some 100 MB and 6,000 files per day otherwise.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.airflow import PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from local.airflow_settings import AirflowSettings

KEPT = timedelta(days=3)
EVERY = timedelta(days=1)
LONGEST_LOG = 20_000_000
"""Bytes of a part's own log; a longer one is emptied."""

_TABLES = (
    *("asset_event", "callback", "dag_run", "import_error", "job", "log"),
    *("task_instance", "task_instance_history", "xcom"),
)
"""What runs leave. Not `dag`: after some days off no DAG counts as parsed lately, and whether it is
paused would be forgotten."""


class CleaningError(RuntimeError):
    """Old runs could not be removed; the message has what Airflow said."""


def clean_when_due(settings: AirflowSettings, now: datetime | None = None) -> bool:
    """Remove what is older than KEPT if the last time is EVERY ago; return whether it was done.

    The metadata database must be up and migrated; the parts may be running. Raises CleaningError.
    """
    now = now or datetime.now(UTC)
    done = settings.home / "cleaned"
    fresh = not done.exists()
    if not fresh and now - datetime.fromisoformat(done.read_text()) < EVERY:
        return False
    done.write_text(now.isoformat())  # first: what fails is tried again tomorrow, not at once
    if fresh:
        return False
    _remove_runs(settings, now - KEPT)
    _remove_logs(settings.home / "logs", now - KEPT)
    for log in (settings.home / "parts").glob("*.log"):
        if log.stat().st_size > LONGEST_LOG:
            log.write_bytes(b"")
    return True


def _remove_runs(settings: AirflowSettings, before: datetime) -> None:
    answer = subprocess.run(
        [
            *(PROGRAM, "db", "clean", "--clean-before-timestamp", before.isoformat()),
            *("--tables", ",".join(_TABLES), "--skip-archive", "--error-on-cleanup-failure"),
            "--yes",
        ],
        env=settings.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        check=False,
    )
    if answer.returncode:
        msg = f"airflow db clean failed:\n{answer.stdout[-2000:]}"
        raise CleaningError(msg)


def _remove_logs(folder: Path, before: datetime) -> None:
    """Remove the files and folders that nobody has written to since the moment."""
    old = [path for path in folder.rglob("*") if path.lstat().st_mtime < before.timestamp()]
    for path in sorted(old, reverse=True):  # what is in a folder comes before the folder
        if not path.is_dir():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()
