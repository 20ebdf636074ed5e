"""Whether the part of Airflow that this container runs is well; exit code 1 when it is not.

The container's first process says which part it is; a container that runs none of them is well. The
API server and the scheduler are asked themselves. Of the DAG processor and the triggerer, which
listen nowhere, the API server knows when they last reported: `airflow jobs check` says the same,
but takes seconds of processor time.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

TIMEOUT = 15
"""Seconds that an answer may take."""

API = "/api/v2/monitor/health"
SCHEDULER = "http://localhost:8974/health"  # needs AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK
REPORTED = {"dag-processor": "dag_processor", "triggerer": "triggerer"}
PARTS = ("api-server", "scheduler", *REPORTED, "celery")


def main() -> None:
    """Check the part that runs here; whatever raises is a reason."""
    part = part_of(Path("/proc/1/cmdline").read_text())
    if part == "api-server":
        scheme = "https" if os.environ.get("AIRFLOW__API__SSL_CERT") else "http"
        _ask(f"{scheme}://localhost:8080{API}")
    elif part == "scheduler":
        _ask(SCHEDULER)
    elif part in REPORTED:
        server = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
        status = json.loads(_ask(urljoin(server, API)))[REPORTED[part]]["status"]
        if status != "healthy":
            raise OSError(f"the API server calls the {part} {status}")
    elif part == "celery":
        _ping_worker()


def part_of(command: str) -> str | None:
    """Return the part that a process runs, from its arguments; None for anything else.

    :param command: the arguments, each with a zero byte behind it. One of them may be a script.
    """
    return next((word for word in command.replace("\0", " ").split() if word in PARTS), None)


def _ask(url: str) -> bytes:
    """Return what a page answers; any answer but 2xx raises."""
    certificate = os.environ.get("AIRFLOW__API__SSL_CERT")
    trusted = ssl.create_default_context(cafile=certificate) if certificate else None
    with urllib.request.urlopen(url, timeout=TIMEOUT, context=trusted) as answer:  # noqa: S310
        text: bytes = answer.read()
    return text


def _ping_worker() -> None:
    """Become a ping of this worker by the queue, without Airflow: importing it takes seconds."""
    worker = f"celery@{os.uname().nodename}"
    command = ["celery", "inspect", "ping", "--destination", worker, "--timeout", str(TIMEOUT)]
    queue = {"CELERY_BROKER_URL": os.environ["AIRFLOW__CELERY__BROKER_URL"]}
    os.execvpe(command[0], command, os.environ | queue)  # noqa: S606 - no shell


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"not healthy: {error}")
