"""The tasks of the reconcile, in their order: which questions each of them asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from movies_etl.reconcile.closing import close_returned
from movies_etl.reconcile.contents import go_on_with_everything
from movies_etl.reconcile.links import look_at_links
from movies_etl.reconcile.named import compare_named
from movies_etl.reconcile.presence import presence
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.reconcile.touched import compare_written, sweep_rows


def run_task(name: str, task: ReconcileTask) -> dict[str, Any]:
    """Do one task; return its result.

    :param name: one of ``TASKS``.
    :raises MoviesEtlError: no answer, or one in part; the next run asks again.
    """
    TASKS[name](task)
    return task.ended(name)


def _presence(task: ReconcileTask) -> None:
    """Look which films and which links are gone."""
    if task.asked.ids:
        compare_named(task)
        return
    found = presence(task.resources)
    found.looked_at = found.documents
    if not task.asked.dry_run:
        close_returned(task.resources, found.surplus)
    task.repair(found)
    look_at_links(task, found.documents)


def _touched(task: ReconcileTask) -> None:
    """Compare what was written since the last time, on either side."""
    if not task.asked.ids:
        documents = task.resources.index.documents()
        sweep_rows(task, documents)
        compare_written(task, documents)


def _contents(task: ReconcileTask) -> None:
    """Compare the next ranges of everything, once there is something to follow it up with.

    What is deleted or written between a pass and the first looks would be seen by neither.
    """
    has_looked = task.state.written is not None and task.state.sweep is not None
    if not task.asked.ids and (has_looked or task.asked.dry_run):
        go_on_with_everything(task)


TASKS: dict[str, Callable[[ReconcileTask], None]] = {
    "presence": _presence,
    "touched": _touched,
    "contents": _contents,
}
"""The tasks in their order."""
