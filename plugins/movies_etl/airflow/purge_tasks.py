"""The tasks of the purge DAGs: a list is taken, a person answers, the answer is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from movies_etl.airflow import trigger
from movies_etl.airflow.failures import told_on_one_line
from movies_etl.airflow.reconcile_tasks import working_resources
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.reconcile.purge import approved, next_list, refused
from movies_etl.reconcile.question import question_about
from movies_etl.settings import Settings, load_settings

if TYPE_CHECKING:
    from movies_etl.airflow.tasks import TaskOf

REJECT = ApprovalOperator.REJECT
ANSWER = "answer"
"""The key of the XCom with the answer."""
_OF_FIND = "{{ ti.xcom_pull(task_ids='find')['%s'] }}"


def find_task(definition: IndexDefinition) -> TaskOf:
    """Return the task that takes the next list; skipped where there is none."""

    @task(task_id="find", show_return_value_in_logs=False)
    @told_on_one_line()
    def find(
        params: dict[str, Any] | None = None,
        run_id: str | None = None,
        dag: Any = None,  # noqa: ANN401 - Airflow's
        dag_run: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        params = trigger.filled_in(params, dag, dag_run)
        settings, wanted = load_settings(), str(params.get("digest") or "").strip()
        with working_resources(definition, settings, f"find {run_id}") as resources:
            found = resources and next_list(resources, settings, str(run_id), wanted)
        if not found:
            raise AirflowSkipException("There is no list to ask about")
        return {"digest": found.digest, **question_about(found, definition)._asdict()}

    return find


class ListApproval(ApprovalOperator):
    """Asks a person about a list, and keeps the answer for what comes later, a refusal as well.

    A refusal has no return value: Airflow skips what follows, and that ends the task before.
    """

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:  # noqa: ANN401 - Airflow's
        """Keep the answer, or that time ran out."""
        if "chosen_options" in event:
            answer = {name: event[name] for name in ("chosen_options", "responded_by_user")}
            context["ti"].xcom_push(key=ANSWER, value=answer)
        return super().execute_complete(context, event)


def approval(settings: Settings) -> ListApproval:
    """Return the task that waits for a person; it takes no worker while it does."""
    approvers = [{"id": one, "name": one} for one in settings.approvers]
    return ListApproval(
        task_id="approve",
        subject=_OF_FIND % "subject",
        body=_OF_FIND % "body",
        defaults=REJECT,
        response_timeout=timedelta(hours=settings.approval_hours),
        assigned_users=approvers or None,
        max_active_tis_per_dag=None,
    )


def purge_task(definition: IndexDefinition) -> TaskOf:
    """Return the task that carries out what a person approved; skipped after a refusal."""

    @task(task_id="purge", show_return_value_in_logs=False)
    @told_on_one_line()
    def purge(
        found: dict[str, Any], answer: dict[str, Any], run_id: str | None = None
    ) -> dict[str, Any]:
        if REJECT in answer["chosen_options"]:  # whatever has started this task
            raise AirflowSkipException("The list was refused")
        settings = load_settings()
        with working_resources(definition, settings, f"purge {run_id}") as resources:
            if resources is None:
                raise ConfigurationError(
                    f"Nothing was done: {definition.alias} is not loaded from this database. "
                    f"{definition.sync_dag} says why."
                )
            done = approved(resources, settings, found["digest"], _answered_by(answer))
        return done.as_result()

    return purge


def remember_task(definition: IndexDefinition) -> TaskOf:
    """Return the task that keeps a refusal, so that the same list is not asked about again.

    It must not follow ``approve`` directly: a refusal skips what does, whatever its trigger rule.
    """

    @task(task_id="remember", show_return_value_in_logs=False, trigger_rule="none_failed")
    @told_on_one_line()
    def remember(
        found: dict[str, Any] | None = None,
        run_id: str | None = None,
        ti: Any = None,  # noqa: ANN401 - Airflow's
    ) -> dict[str, Any]:
        answer = ti.xcom_pull(task_ids="approve", key=ANSWER)
        if not found or not answer:
            raise AirflowSkipException("Nobody was asked")
        is_refused = REJECT in answer["chosen_options"]
        if is_refused:
            settings = load_settings()
            with working_resources(definition, settings, f"remember {run_id}") as resources:
                if resources:
                    refused(resources, found["digest"], _answered_by(answer))
        return {"refused": is_refused}

    return remember


def _answered_by(answer: Mapping[str, Any]) -> str | None:
    """Return who answered; None when time ran out."""
    user = answer.get("responded_by_user")
    return str(user.get("name") or user.get("id")) if user else None
