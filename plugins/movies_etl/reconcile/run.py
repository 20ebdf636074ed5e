"""The tasks of the reconcile and the questions that each of them asks, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from movies_etl.errors import CancelledStatementError
from movies_etl.reconcile.closing import close_corrected, close_returned
from movies_etl.reconcile.contents import go_on_with_everything
from movies_etl.reconcile.links import look_for_links_that_are_gone, look_for_links_to_nowhere
from movies_etl.reconcile.named import compare_named
from movies_etl.reconcile.presence import compare_presence
from movies_etl.reconcile.task import ReconcileTask
from movies_etl.reconcile.touched import compare_written, sweep_rows

Question = Callable[[ReconcileTask], None]

TASKS: dict[str, tuple[Question, ...]] = {
    "presence": (
        close_returned,
        compare_presence,
        look_for_links_that_are_gone,
        look_for_links_to_nowhere,
    ),
    "touched": (sweep_rows, compare_written),
    "contents": (close_corrected, go_on_with_everything),
}
"""The tasks in their order, each with its questions."""

OF_NAMED: dict[str, tuple[Question, ...]] = {"presence": (compare_named,)}
"""The same where somebody named documents."""


def run_task(name: str, task: ReconcileTask) -> dict[str, Any]:
    """Do one task; return its result.

    A question that PostgreSQL does not answer in time keeps no other one from being asked.

    :param name: one of ``TASKS``.
    :raises MoviesEtlError: no answer, or one in part; the next run asks again.
    """
    task.resources.source.queries.run("limit.sql")
    questions = OF_NAMED.get(name, ()) if task.asked.ids else TASKS[name]
    for number, question in enumerate(questions):
        task.begin(questions=len(questions) - number)
        try:
            question(task)
        except CancelledStatementError as error:
            if task.asked.ids:  # no later run knows them
                raise
            task.leave(error)
    return task.ended(name)
