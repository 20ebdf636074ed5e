"""What the reconcile works on: the index that the sync has loaded, and its database."""

from __future__ import annotations

import logging

from elasticsearch import Elasticsearch

from movies_etl import __version__
from movies_etl.es.admin import live
from movies_etl.postgres.source import Source
from movies_etl.state.cursors import CursorStore, all_cursors
from movies_etl.state.run_context import RunContext
from movies_etl.sync.versions import first_version

log = logging.getLogger(__name__)


def loaded_context(
    source: Source, client: Elasticsearch, cursors: CursorStore, patience: float
) -> RunContext | None:
    """Return what the tasks work on; None, with the reason in the log, while nothing is loaded.

    The horizon is that of the last sync: rows at or above it are the next one's.

    :param patience: seconds that a lost or overloaded Elasticsearch is waited for.
    """
    definition = source.definition
    index = live(client, definition, patience)
    _, database = source.identity()
    known = all_cursors(cursors, definition.streams)
    root = known[definition.root.name]
    uuid = index and index.uuid()
    if index is None or uuid is None or root is None or root.horizon is None or root.index != uuid:
        log.info("Nothing is compared: the first load by %s is not done", definition.sync_dag)
        return None
    if reason := database.difference_from(root.database):
        log.warning("Nothing is compared: %s. %s decides what to do", reason, definition.sync_dag)
        return None
    return RunContext(
        index=index.name,
        uuid=uuid,
        history=index.history(),
        database=database,
        m2m_start=source.server.now(),
        horizon=root.horizon,
        version=first_version(source.server.clock(), known.values(), is_fresh=False),
        program=__version__,
    )
