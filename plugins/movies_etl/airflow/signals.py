"""Signals of a task that has ended: metrics, an event of the index's asset, mail."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

from airflow.sdk import Asset, AssetAlias
from elasticsearch import Elasticsearch

from movies_etl import __version__
from movies_etl.airflow import metrics
from movies_etl.airflow.mail import announce
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import MoviesEtlError, on_one_line
from movies_etl.es.transport import CompatibleTransport, Traffic
from movies_etl.settings import Settings
from movies_etl.state.comparison import Comparison, DifferenceStore
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

EventsOfOutlets = MutableMapping[Any, Any]
"""What Airflow hands to a task with outlets."""

FOLLOW = "follow"
"""The task of a run that goes on, for all streams."""

COUNTED = ("indexed", "deleted", "refused")
"""Counters that an event has."""


def asset_of(definition: IndexDefinition) -> Asset:
    """Return the asset that stands for an index: other DAGs may be scheduled on it.

    No task has it as an inlet or outlet: Airflow fails a task with an asset that is not active.
    """
    return Asset(name=definition.alias, uri=f"elasticsearch://{definition.alias}")


def changes_of(definition: IndexDefinition) -> AssetAlias:
    """Return the outlet of the tasks: unlike an asset, it has an event only when one is added."""
    return AssetAlias(name=f"{definition.name}_changes")


def tell(
    task: str,
    resources: Resources,
    result: Mapping[str, Any],
    events: EventsOfOutlets | None,
    horizon: str | None = None,
) -> None:
    """Report what a task did; it is done, so nothing here may fail it.

    :param task: its name: the stream's, or ``follow``.
    :param result: what it returns.
    :param horizon: up to which everything is confirmed; the run's when None.
    :param events: Airflow's; None where the task is called without it.
    """
    definition, context = resources.definition, resources.context
    try:
        lag = metrics.lag(horizon or context.horizon, resources.source.server.now())
        metrics.of_stream(task, definition, result, lag, traffic_of(resources.client))
        if task in (definition.streams[-1].name, FOLLOW):
            metrics.of_letters(definition, len(resources.letters.ids()))
    except MoviesEtlError as error:  # a server was lost a moment ago
        log.warning("Not all metrics of this task were sent: %s", on_one_line(error))
    if events is not None and (result["indexed"] or result["deleted"]):
        extra = {name: result[name] for name in COUNTED}
        extra |= {"stream": task, "index": context.index, "horizon": horizon or context.horizon}
        events[changes_of(definition)].add(
            asset_of(definition), extra=extra | {"program": __version__}
        )


def traffic_of(client: Elasticsearch) -> Traffic:
    """Return the traffic of a client that a hook made."""
    return cast("CompatibleTransport", client.transport).traffic


def announce_what_fails_no_task(
    definition: IndexDefinition,
    settings: Settings,
    result: Mapping[str, Any],
    before: Comparison | None,
    store: DifferenceStore,
) -> None:
    """Send mail of documents that were refused, and of too many deletions, when they are found.

    :param result: what the task returns.
    :param before: the last comparison of counts before the task.
    :param store: where the task left its own.
    """
    if result["refused"]:
        announce(
            settings,
            f"{result['refused']} {definition.nouns} were refused",
            f"{definition.sync_dag} kept them as dead letters in {definition.dead_letters}. The "
            "page Movies in Airflow's web UI has the reasons, and a button to try them again.",
        )
    now = store.load() if "difference" in result else None
    if now and now.surplus and not (before and before.surplus):
        announce(
            settings,
            f"{now.surplus} {definition.nouns} are to be deleted, which is many",
            f"Their rows are gone; {definition.sync_dag} left their documents in the index until "
            "a person decides. The log of its last task says how.",
        )
