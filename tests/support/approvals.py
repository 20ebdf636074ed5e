"""A person who answers what a DAG asks, while ``dag.test()`` waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
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

    ended = threading.Event()

    def answer() -> None:
        wait_until(
            lambda: ended.is_set() or bool(_asking(dag_id)),
            seconds=PATIENCE,
            what=f"{dag_id} asks",
        )
        ((run_id, task_id),) = _asking(dag_id)
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

    with ThreadPoolExecutor(1) as person:
        answered = person.submit(answer)
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
