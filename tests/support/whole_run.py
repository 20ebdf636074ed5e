"""A process that does one run as the DAG does, with the client that it finds first.

    python -m tests.support.whole_run FOLDER POSTGRES_PORT ELASTICSEARCH_PORT

Cursors and horizon are files of FOLDER. The tasks' results are printed as JSON at the end, the
client's version with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import elasticsearch
import pytest
from movies_etl.airflow import tasks as airflow_tasks
from movies_etl.definitions.movies import MOVIES

from tests.support.site import MemoryLayout, MemoryNotices, MemoryReconcile, Site
from tests.support.tasks import Tasks
from tests.support.worker import FileCursors, FileHorizons


def main(folder: Path, postgres_port: int, elasticsearch_port: int) -> dict[str, Any]:
    """Do one run; return its results."""
    kept = SimpleNamespace(
        definition=MOVIES,
        cursors=FileCursors(folder),
        horizons=FileHorizons(folder),
        notices=MemoryNotices(),
        layouts=MemoryLayout(),
        reconciled=MemoryReconcile(),
    )
    with pytest.MonkeyPatch.context() as patch:
        tasks = Tasks(cast("Site", kept), patch, (postgres_port, elasticsearch_port))
        tasks.connect("movies_elasticsearch", "elasticsearch", elasticsearch_port)
        patch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 120.0)  # of a node that is cold
        return {"client": elasticsearch.__version__[0], **tasks.run()}


if __name__ == "__main__":
    results = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(results))  # noqa: T201
