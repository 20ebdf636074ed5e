"""Blocks: why an index or a cluster accepts no writes, and what lifts them."""

from __future__ import annotations

import re

BLOCK = "cluster_block_exception"
"""What Elasticsearch calls an error of a block."""

_DISK = (
    "A disk of the cluster is nearly full: free space or add a node. Elasticsearch then lifts the "
    "block by itself"
)
_INDEX = "Lift it: PUT /<index>/_settings with the setting index.blocks.{} null"
_CLUSTER = "Lift it: PUT /_cluster/settings with the persistent setting cluster.blocks.{} null"
_REMEDIES = {
    "5": _INDEX.format("read_only"),
    "6": _CLUSTER.format("read_only"),
    "7": _INDEX.format("read"),
    "8": _INDEX.format("write"),
    "9": _INDEX.format("metadata"),
    "12": _DISK,
    "13": _CLUSTER.format("read_only_allow_delete"),
}
"""By the number that Elasticsearch gives each kind of block; the others pass by themselves."""

_NUMBER = re.compile(r"\[[A-Z_]+/(\d+)/")


def with_remedy(reason: str) -> str:
    """Return an error's reason, and what lifts the block where it names one."""
    said = reason.rstrip("; ")
    lifted_by = remedy(reason)
    return f"{said}. {lifted_by}" if lifted_by else said


def remedy(reason: str) -> str | None:
    """Return what lifts the first block that an error's reason names; None when it names none."""
    found = _NUMBER.search(reason)
    return _REMEDIES.get(found[1]) if found else None
