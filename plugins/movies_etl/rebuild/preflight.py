"""What is looked at before an index is made: whether documents are valid, and the room for it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from itertools import chain
from typing import Any

from pydantic import ValidationError

from movies_etl.definitions.ranges import Range
from movies_etl.errors import ConfigurationError, problems
from movies_etl.es import carried
from movies_etl.es.index import Index
from movies_etl.es.room import lacking_room
from movies_etl.postgres.inventory import RowInventory
from movies_etl.postgres.source import Source
from movies_etl.rebuild.beginning import Beginning
from movies_etl.rebuild.carry import changed_by_hand

SAMPLED_DOCUMENTS = 100
"""Documents that are built and validated before anything is made."""


def check_sample(source: Source) -> None:
    """Refuse a ``documents.sql`` of which no document is one."""
    ids = RowInventory(source).ids(Range(), SAMPLED_DOCUMENTS)
    if not ids:
        return
    _, pieces = source.documents(ids)
    reasons = []
    with closing(pieces):
        for one in chain.from_iterable(pieces):
            try:
                source.definition.document.model_validate_json(one.text)
            except ValidationError as error:
                reasons.append(one.problem or problems(error, with_values=True))
            else:
                return
    raise ConfigurationError(
        f"None of {len(ids)} documents that sql/{source.definition.name}/documents.sql makes is "
        f"valid: {reasons[0] if reasons else 'it returns no rows'}. Fix it; nothing was made."
    )


def check_room(begun: Beginning, old: Index, described: Mapping[str, Any], shards: int) -> None:
    """Refuse a cluster without room for the index."""
    file = carried.flat(described["settings"])
    final: dict[str, Any] = {**file, **changed_by_hand(old, file)}
    expands = final.get(carried.EXPANDED, "false") != "false"
    replicas = None if expands else int(final.get(carried.REPLICAS, 1))
    if lacking := lacking_room(begun.client, old.name, shards=shards, replicas=replicas):
        raise ConfigurationError(
            f"The cluster has no room for a second index beside {old.name}: {'; '.join(lacking)}. "
            "Nothing was made. Make room (MOVIES_ETL_KEEP_INDICES=0 keeps no old index), or add a "
            "node."
        )
