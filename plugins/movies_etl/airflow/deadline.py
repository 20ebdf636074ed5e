"""Mail about a run that takes far too long, while it goes on: a task that hangs never fails.

The scheduler notices that the time is over, the triggerer sends the mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from movies_etl.airflow.mail import notifier
from movies_etl.follow.run import MAX_STAND_BY_SECONDS
from movies_etl.settings import Settings

OVER = ("success", "failed")


def of_runs(settings: Settings, *, go_on: bool) -> DeadlineAlert | None:
    """Return what watches the runs of a DAG; None where mail has no addresses.

    :param go_on: whether runs go on where the settings say so: a run stands by, follows, stands in.
    """
    if not settings.alert_to or not settings.deadline_minutes:
        return None
    longest = timedelta(minutes=settings.deadline_minutes)
    if go_on and settings.follow_seconds:
        longest += timedelta(seconds=3 * settings.follow_seconds + MAX_STAND_BY_SECONDS)
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=longest,
        callback=AsyncCallback(
            tell,
            kwargs={"to": [*settings.alert_to], "minutes": round(longest.total_seconds() / 60)},
        ),
        name="stuck",
    )


async def tell(to: Sequence[str], minutes: int, context: dict[str, Any]) -> None:
    """Send mail of a run that is not over; Airflow calls this for one that failed long ago, too.

    :param to: addresses.
    :param minutes: since the run was queued.
    :param context: as the scheduler gives it: the run as it was then.
    """
    run = context["dag_run"]
    dag, state = run["dag_id"], run["state"]
    if state in OVER:
        return
    does = "waits to begin" if state == "queued" else "goes on"
    text = (
        f"Run {run['dag_run_id']} of {dag} {does} {minutes} minutes after it was queued, which is "
        "far too long. The page Movies in Airflow's web UI says whether it moves and what holds it "
        "up, the log of its running task what it waits for. Nothing was ended: mark the run as "
        "failed if it hangs, and the next one goes on."
    )
    mail = notifier(to, f"{dag} {does} for more than {minutes} minutes", f"<p>{escape(text)}</p>")
    await mail.async_notify({})
