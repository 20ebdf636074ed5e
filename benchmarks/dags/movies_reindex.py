"""The real `movies_reindex`, its task functions that work on documents measured from outside."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from movies_etl.airflow import dags, reindex_tasks

from benchmarks.measured import measured
from local.files import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("prepare", "load", "check", "swap")


def measured_task(name: str) -> Callable[..., Any]:
    """Return what makes a task of the program, measured."""
    make = getattr(reindex_tasks, f"{name}_task")

    def made(*arguments: object) -> Any:  # noqa: ANN401 - Airflow's
        return measured(make(*arguments), name)

    return made


vars(dags).update({f"{name}_task": measured_task(name) for name in NAMES})
runpy.run_path(str(CHECKOUT / "dags" / "movies_reindex.py"), run_name="movies_reindex")
