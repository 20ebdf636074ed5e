"""Settings that somebody changed by hand on the live index: the next one has them, too."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from movies_etl.errors import ConfigurationError, on_one_line
from movies_etl.es import carried, family
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.rebuild.candidate import Candidate

log = logging.getLogger(__name__)


def by_hand(candidate: Candidate) -> dict[str, Any]:
    """Return the settings of the index that has the alias that no file gave it."""
    if candidate.plan.takes_over:
        return {}
    build = family.build_of(candidate.resources.index)
    return changed_by_hand(candidate.old, (build and build.settings) or {})


def changed_by_hand(old: Index, file: Mapping[str, carried.Value]) -> dict[str, Any]:
    """Return the settings of an index that somebody changed.

    :param file: those of the file, by their whole names.
    """
    build = family.build_of(old)
    return carried.changed_by_hand(old.settings(), file, build.settings if build else None)


def carry_settings(candidate: Candidate) -> None:
    """Give the index the settings that were changed since it was made, or since it had the alias.

    A setting that Elasticsearch does not change in an open index is logged, and left.
    """
    index = candidate.resources.index
    if candidate.plan.takes_over:
        return
    build, found = family.build_of(index), index.settings()
    file = build.settings if build else None
    before = found if file is None else candidate.old.settings()
    wanted = carried.to_be_set(found, {**(file or {}), **by_hand(candidate)}, before)
    for name, value in wanted.items():
        log.info("Setting %s of %s is taken over: %s", name, candidate.old.name, value)
        try:
            with translated_errors():
                index.client.indices.put_settings(index=index.name, settings={name: value})
        except ConfigurationError as error:
            said, old = on_one_line(error), candidate.old.name
            log.warning("Setting %s of %s is not taken over: %s", name, old, said)
