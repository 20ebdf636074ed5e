"""The question before a swap, where a run was triggered with ``pause_before_swap``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.settings import Settings


class SwapApproval(ApprovalOperator):
    """Asks a person before the swap, if the run was triggered with ``pause_before_swap``."""

    def execute(self, context: Any) -> Any:  # noqa: ANN401 - Airflow's
        """Ask, or go on."""
        if not context["params"]["pause_before_swap"]:
            return None
        return super().execute(context)


def approve_task(definition: IndexDefinition, settings: Settings) -> SwapApproval:
    """Return the task that asks a person before the swap, if the param says so."""
    approvers = [{"id": one, "name": one} for one in settings.approvers]
    return SwapApproval(
        task_id="approve",
        subject=f"Give alias {definition.alias} to the new index?",
        body="What `check` found: {{ ti.xcom_pull(task_ids='check') }}",
        defaults=SwapApproval.REJECT,
        response_timeout=timedelta(hours=settings.approval_hours),
        assigned_users=approvers or None,
    )
