"""The end of the load: the index gets the settings of one that is searched."""

from __future__ import annotations

from collections.abc import Sequence

from movies_etl.errors import ConfigurationError
from movies_etl.es import admin, carried, family
from movies_etl.es.client import translated_errors
from movies_etl.postgres import lock
from movies_etl.rebuild.candidate import Candidate
from movies_etl.rebuild.carry import by_hand
from movies_etl.state.cursors import all_cursors
from movies_etl.sync.run import check_context


def loaded(candidate: Candidate, run_id: str, versions: Sequence[int]) -> None:
    """Note that every range is loaded: final settings, versions, state.

    :param versions: the highest one of each range.
    """
    resources, index = candidate.resources, candidate.resources.index
    lock.take(resources.source.server, resources.context.uuid, resources.lock_wait)
    check_context(resources)
    build = family.build_of(index)
    has_alias = admin.live_name(index.client, index.definition) == index.name
    if build is None or build.run != run_id or build.state == "live" or has_alias:
        raise ConfigurationError(
            f"Index {index.name} is not this run's any more: another one goes on with it, or it "
            "had the alias already. Nothing was done."
        )
    with translated_errors():
        index.client.indices.put_settings(
            index=index.name,
            settings=carried.after_loading(build.settings or {}, by_hand(candidate)),
        )
    index.refresh()
    for name, cursor in all_cursors(resources.cursors, resources.definition.streams).items():
        if cursor:
            sent = max([cursor.version, *versions])
            resources.cursors.save(name, cursor.moved(version=sent, open=True))
    family.note(index, build.model_copy(update={"state": "loaded"}))
