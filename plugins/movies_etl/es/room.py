"""Whether a cluster has room for another index: on its disks, and for its shards."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from movies_etl.es.client import translated_errors

log = logging.getLogger(__name__)

GROWTH_WHILE_LOADING = 1.3
"""While an index is loaded, segments that are merged lie on the disk beside the merged ones."""

_UNITS = {"b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "pb": 5}
_DISK = "cluster.routing.allocation.disk"
_SHARDS = "cluster.max_shards_per_node"
DEFAULT_SHARDS_PER_NODE = 1000


def lacking_room(
    client: Elasticsearch, old: str, *, shards: int, replicas: int | None
) -> list[str]:
    """Say what a second index of the size of the first one lacks, with the numbers.

    A login that may not look is warned of, and nothing is lacking then.

    :param old: the index that there is.
    :param shards: of the new index.
    :param replicas: of each shard; None: one if there is a second node.
    """
    try:
        with translated_errors():
            size = _size(client, old)
            health = client.cluster.health(filter_path="active_shards,unassigned_shards,number_of*")
            disks = client.cat.allocation(format="json", bytes="b", h="node,disk.avail,disk.total")
            settings = _settings(client)
    except Exception as error:
        if not isinstance(error.__cause__, elasticsearch.AuthorizationException):
            raise
        log.warning(
            "The login of connection movies_elasticsearch may not look whether the cluster has "
            "room (cluster privilege monitor): a full disk would stop the load later"
        )
        return []
    nodes = int(health["number_of_data_nodes"])
    copies = 1 + (min(1, nodes - 1) if replicas is None else replicas)
    return [
        *_on_disks(size, copies, disks, settings),
        *_for_shards(shards * copies, nodes, health, settings),
    ]


def _size(client: Elasticsearch, name: str) -> int:
    answer = client.indices.stats(index=name, metric="store", filter_path="_all.primaries.store")
    return int(answer["_all"]["primaries"]["store"]["size_in_bytes"])


def _settings(client: Elasticsearch) -> dict[str, str]:
    answer = client.cluster.get_settings(include_defaults=True, flat_settings=True)
    found: dict[str, str] = {}
    for kind in ("defaults", "persistent", "transient"):
        found |= answer.get(kind, {})
    return found


def _on_disks(size: int, copies: int, disks: Any, settings: Mapping[str, str]) -> Iterator[str]:  # noqa: ANN401 - the client's own
    needed = int(size * copies * GROWTH_WHILE_LOADING)
    watermark = settings.get(f"{_DISK}.watermark.low", "85%")
    headroom = settings.get(f"{_DISK}.watermark.low.max_headroom", "-1")
    rooms = [
        max(int(disk["disk.avail"]) - to_stay_free(int(disk["disk.total"]), watermark, headroom), 0)
        for disk in disks
        if disk.get("disk.avail") is not None
    ]
    is_watched = settings.get(f"{_DISK}.threshold_enabled", "true") == "true"
    if rooms and is_watched and sum(rooms) < needed:
        yield (
            f"{_gigabytes(needed)} of disk are needed ({_gigabytes(size)} of the present index, "
            f"{copies} copies, a third for merging), but {_gigabytes(sum(rooms))} are free below "
            f"the watermark ({_DISK}.watermark.low is {watermark})"
        )


def _for_shards(
    needed: int,
    nodes: int,
    health: Any,  # noqa: ANN401 - the client's own
    settings: Mapping[str, str],
) -> Iterator[str]:
    limit = int(settings.get(_SHARDS, DEFAULT_SHARDS_PER_NODE)) * nodes
    there = int(health["active_shards"]) + int(health["unassigned_shards"])
    if there + needed > limit:
        yield (
            f"{needed} more shards are needed, but the cluster has {there} of at most {limit} "
            f"({_SHARDS} times {nodes} data nodes)"
        )


def to_stay_free(total: int, watermark: str, headroom: str) -> int:
    """Return the bytes of a disk that Elasticsearch gives no new shard.

    :param watermark: a share that may be used, or what has to be free.
    :param headroom: the most that a share leaves free; ``-1`` is no limit.
    """
    if watermark.endswith("%") or not watermark[-1].isalpha():
        share = float(watermark.rstrip("%")) / (100 if watermark.endswith("%") else 1)
        free = int(total * (1 - share))
        return free if headroom == "-1" else min(free, _bytes(headroom))
    return _bytes(watermark)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([\d.]+)([kmgtp]?b)", text.lower())
    return int(float(found[1]) * 1024 ** _UNITS[found[2]]) if found else 0


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
