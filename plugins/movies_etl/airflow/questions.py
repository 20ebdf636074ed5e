"""Lists that a person decides about: an event of their asset starts the purge DAG."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Asset, AssetAlias

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.reconcile.purge import waits_for_a_question
from movies_etl.settings import Settings
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)


def fuse_asset(definition: IndexDefinition) -> Asset:
    """Return the asset by whose events the purge DAG of an index runs."""
    return Asset(name=definition.fuse_lists, uri=f"movies-etl://{definition.name}/fuse-lists")


def fuse_alias(definition: IndexDefinition) -> AssetAlias:
    """Return the outlet of tasks that may add such an event."""
    return AssetAlias(definition.fuse_lists)


def have_asked(
    resources: Resources,
    settings: Settings,
    outlet_events: Any,  # noqa: ANN401 - Airflow's
) -> None:
    """Start the DAG that asks a person about the lists that wait for it.

    :param outlet_events: None where a task is called without Airflow.
    """
    if not waits_for_a_question(resources, settings):
        return
    definition = resources.definition
    log.warning("%s is to ask a person; unpause it if it is paused", definition.purge_dag)
    if outlet_events is not None:
        outlet_events[fuse_alias(definition)].add(fuse_asset(definition))
