"""A person who answers what a DAG asks, while ``dag.test()`` waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from local.processes import wait_until

PATIENCE = 300.0
"""Seconds in which a DAG asks on the slowest machine."""


@contextmanager
def answering(
    dag_id: str, option: str, before: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Answer the question of a DAG that is run in the block, as the API's route does.

    :param before: what happens while the question stands.
    """

    def answer(run_id: str, task_id: str) -> None:
        before()
        with create_session(scoped=False) as session:
            update_hitl_detail(
                dag_id,
                run_id,
                task_id,
                UpdateHITLDetailPayload(chosen_options=[option]),
                SimpleAuthManagerUser(username="ann", role="op"),
                session,
            )

    with _when_asked(dag_id, answer):
        yield


@contextmanager
def answered_by_nobody(dag_id: str) -> Iterator[None]:
    """Let time run out for the question of a DAG that is run in the block, as the scheduler does.

    Its time for an answer must be over within seconds.
    """

    def run_out(*_: str) -> None:
        scheduler = SchedulerJobRunner(Job())  # type: ignore[no-untyped-call]

        def is_over() -> bool:
            scheduler.check_awaiting_input_timeouts()
            return not _asking(dag_id)

        wait_until(is_over, seconds=PATIENCE, what=f"the time of {dag_id} is over")

    with _when_asked(dag_id, run_out):
        yield


@contextmanager
def _when_asked(dag_id: str, happening: Callable[[str, str], None]) -> Iterator[None]:
    """Let something happen when a DAG that is run in the block asks.

    :param happening: takes the run and the task.
    """
    ended = threading.Event()

    def wait() -> None:
        wait_until(
            lambda: ended.is_set() or bool(_asking(dag_id)),
            seconds=PATIENCE,
            what=f"{dag_id} asks",
        )
        ((run_id, task_id),) = _asking(dag_id)
        happening(run_id, task_id)

    with ThreadPoolExecutor(1) as person:
        answered = person.submit(wait)
        try:
            yield
        finally:
            ended.set()
        answered.result()


def _asking(dag_id: str) -> list[tuple[str, str]]:
    """Return run and task of what a DAG asks."""
    with create_session(scoped=False) as session:
        asks = select(TaskInstance.run_id, TaskInstance.task_id).where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.state == TaskInstanceState.AWAITING_INPUT,
        )
        return [(run_id, task_id) for run_id, task_id in session.execute(asks)]
