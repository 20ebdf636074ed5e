"""Mail, by Airflow's SMTP connection, to those whom ``MOVIES_ETL_ALERT_TO`` names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context

from movies_etl.errors import on_one_line
from movies_etl.settings import Settings

if TYPE_CHECKING:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

log = logging.getLogger(__name__)

FAILED = "{{ ti.dag_id }}: task {{ ti.task_id }} failed"
REASON = (
    "<p>{{ exception | e }}</p><p>Run {{ run_id }}, attempt {{ ti.try_number }}. "
    "The log of the task has more.</p>"
)


def of_failures(settings: Settings) -> list[SmtpNotifier]:
    """Return what a task calls when it has failed for good; nothing where no address is set."""
    return [notifier(settings.alert_to, FAILED, REASON)] if settings.alert_to else []


def announce(settings: Settings, subject: str, text: str) -> None:
    """Send mail from a task. When it cannot be sent a warning says so; the task goes on."""
    if not settings.alert_to:
        return
    try:
        mail = notifier(settings.alert_to, subject, f"<p>{escape(text)}</p>")
        mail.notify(get_current_context())
    except Exception as error:  # noqa: BLE001 - whatever mail comes to, the films are loaded
        to, said = ", ".join(settings.alert_to), on_one_line(error)
        log.warning("Mail to %s could not be sent: %s", to, said)


def notifier(to: Sequence[str], subject: str, html: str) -> SmtpNotifier:
    """Return what sends a mail, templates in it filled in where Airflow calls it."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier  # noqa: PLC0415 - if wanted

    return SmtpNotifier(to=[*to], subject=f"Movies ETL: {subject}", html_content=html)
