"""Indexes that no rebuild will finish: continued, removed, or left and named."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin
from movies_etl.es.family import Build, family, remove

if TYPE_CHECKING:
    from movies_etl.rebuild.beginning import Beginning

log = logging.getLogger(__name__)

_NEVER_LIVE = ("loading", "loaded", "failed")


def removed_orphans(begun: Beginning, *, keep: bool) -> str | None:
    """Remove the half-made indexes of runs that are over.

    :param keep: go on with the newest of them instead.
    :returns: the index to go on with; this run's own, when its first task is tried again.
    :raises ConfigurationError: a run that is not over, or that nobody knows, makes one.
    """
    definition, client = begun.definition, begun.client
    behind = admin.live_name(client, definition)
    found = {
        name: build
        for name, build in family(client, definition).items()
        if build and build.state in _NEVER_LIVE and name != behind
    }
    for name, build in found.items():
        _check_over(begun, name, build)
    own = [name for name, build in found.items() if build.run == begun.runs.own]
    wanted = own[-1:] or ([*found][-1:] if keep else [])
    for name, build in found.items():
        if name not in wanted:
            log.info("Removing %s, which run %s left half-made", name, build.run)
            remove(client, name)
            begun.state.forget(name)
    return wanted[0] if wanted else None


def _check_over(begun: Beginning, name: str, build: Build) -> None:
    if build.run == begun.runs.own:
        return
    is_over = begun.runs.is_over(build.run)
    if is_over is None:
        raise ConfigurationError(
            f"Index {name} is being made by run {build.run}, which this Airflow does not know. If "
            f"that run is over, delete the index (DELETE /{name}) and trigger again. Nothing was "
            "made."
        )
    if not is_over:
        raise ConfigurationError(
            f"Run {build.run} of {begun.definition.reindex_dag} is making {name}. Wait for it, or "
            "mark it as failed; then trigger again. Nothing was made."
        )
