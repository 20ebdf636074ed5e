"""Metrics, by Airflow's own channel: StatsD or OpenTelemetry, as Airflow is configured.

The stream is part of a metric's name, because StatsD drops tags. Without either nothing happens.
docs/operations.md lists the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk.observability import stats

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.transport import Traffic
from movies_etl.postgres.timestamps import parse
from movies_etl.state.run_context import RunContext

PREFIX = "movies_etl"
COUNTERS = {
    "sent": "indexed",
    "unchanged": "unchanged",
    "refused": "refused",
    "deleted": "deleted",
    "conflicts": "conflicts",
}
"""What is counted of a stream, and its name in a task's result."""


def of_init(definition: IndexDefinition, context: RunContext) -> None:
    """Report how far the horizon of a run is behind the database's clock."""
    age = parse(context.m2m_start) - parse(context.horizon)
    _gauge(f"{definition.name}.horizon_age_seconds", age.total_seconds())


def of_stream(
    task: str,
    definition: IndexDefinition,
    result: Mapping[str, Any],
    lag: float,
    traffic: Traffic,
) -> None:
    """Report what a task did.

    :param task: its name: the stream's, or ``follow``.
    :param result: its counters, and the ``difference`` where counts were compared.
    :param lag: seconds between the moment up to which everything is confirmed and the task's end.
    :param traffic: its bulk requests.
    """
    name = f"{definition.name}.{task}"
    _gauge(f"{name}.lag_seconds", lag)
    for counter, counted in COUNTERS.items():
        _count(f"{name}.{counter}", result.get(counted, 0))
    _count(f"{name}.bulk_requests", traffic.requests)
    _count(f"{name}.bulk_retries", traffic.lost + traffic.pushed_back)
    _count(f"{name}.bulk_pushed_back", traffic.pushed_back)
    if traffic.requests:
        _gauge(f"{name}.bulk_milliseconds", traffic.seconds / traffic.requests * 1000)
    if result.get("indexed") and result.get("seconds"):
        _gauge(f"{name}.documents_per_second", result["indexed"] / result["seconds"])
    if "difference" in result:
        _gauge(f"{definition.name}.missing_documents", max(result["difference"], 0))
        _gauge(f"{definition.name}.surplus_documents", max(-result["difference"], 0))


def of_letters(definition: IndexDefinition, letters: int) -> None:
    """Report how many documents have a dead letter."""
    _gauge(f"{definition.name}.dead_letters", letters)


def of_reconcile(definition: IndexDefinition, result: Mapping[str, Any]) -> None:
    """Report what a task of the reconcile found and did."""
    for counter in ("missing", "different", "surplus", "repaired", "deleted", "unanswered"):
        _count(f"{definition.name}.reconcile.{counter}", result.get(counter, 0))
    if (age := result.get("verified_age_seconds")) is not None:
        _gauge(f"{definition.name}.verified_age_seconds", age)


def lag(horizon: str, now: str) -> float:
    """Return the seconds from a horizon to the database's time."""
    since: datetime = parse(horizon)
    return (parse(now) - since).total_seconds()


def _gauge(name: str, value: float) -> None:
    """Set a value; never a negative one, which StatsD takes for a change."""
    stats.gauge(f"{PREFIX}.{name}", max(value, 0))


def _count(name: str, count: int) -> None:
    stats.incr(f"{PREFIX}.{name}", max(count, 0))
