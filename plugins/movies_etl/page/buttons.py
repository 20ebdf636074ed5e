"""What a run would do for a document: the button for it, and what keeps it from helping. No I/O."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from movies_etl.page.facts import Facts


class Action(BaseModel):
    """A run to be triggered.

    :param label: of its button.
    :param conf: what the run is triggered with.
    """

    label: str
    dag: str
    conf: dict[str, Any]


def held_up(facts: Facts) -> str:
    """Say what keeps the next run from helping."""
    if facts.paused:
        return f" But {facts.dag} is paused: switch it on under Dags."
    if facts.paused is None:
        return f" But Airflow does not know {facts.dag}: look under Dags for an import error."
    if facts.hanging:
        return (
            f" But run {facts.hanging} is under way and saves nothing: the log of its running task "
            "says what it waits for."
        )
    if facts.last_failed:
        return (
            f" But the last run of {facts.dag} failed: the log of its failed task has the reason."
        )
    return " A run is under way." if facts.is_moving else ""


def run(facts: Facts) -> Action | None:
    """Offer a run, unless one is under way that does it."""
    if facts.is_moving or facts.paused is None:
        return None
    return Action(label="Run now", dag=facts.dag, conf={})


def again(facts: Facts) -> Action:
    """Offer to load a document, whatever its row's time of change."""
    return Action(label=f"Load this {facts.noun} again", dag=facts.dag, conf={"ids": [facts.id]})
