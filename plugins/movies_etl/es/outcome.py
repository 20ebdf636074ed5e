"""The outcome of every item of a bulk request: what became of it, or why it is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, NamedTuple

from movies_etl.errors import ConfigurationError
from movies_etl.es.blocks import remedy
from movies_etl.es.client import NEWER_IS_THERE, NO_INDEX, OVERLOADED, SERVER_ERROR

_FORBIDDEN = frozenset({401, 403})
_NOT_FOUND = 404
_MAX_REASON_CHARACTERS = 200
"""Characters that are kept of a reason and of its cause."""


class Item(NamedTuple):
    """One document on its way, or its deletion.

    :param id: the document's, and its root row's.
    :param version: external version: microseconds of the database's clock.
    :param source: the document as JSON without a raw newline; empty deletes it.
    """

    id: str
    version: int
    source: bytes

    @property
    def size(self) -> int:
        """Bytes in a request, those of the line before the document included."""
        return len(self.source) + len(self.id) + 90


class Refusal(NamedTuple):
    """A document that Elasticsearch did not take: for now, or whenever it is sent.

    :param reason: Elasticsearch's own words.
    """

    item: Item
    reason: str


@dataclass
class Outcome:
    """What became of the items of one body.

    :param indexed: items that are in the index.
    :param deleted: documents that were deleted.
    :param absent: deletions of documents that the index does not have: settled, too.
    :param conflicts: items for which the index has a newer version: settled, too.
    :param refused: items that were refused for good.
    :param failed: items on which Elasticsearch failed at the last try.
    """

    indexed: list[Item] = field(default_factory=list)
    deleted: list[Item] = field(default_factory=list)
    absent: list[Item] = field(default_factory=list)
    conflicts: list[Item] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    failed: list[Refusal] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Items whose outcome is known."""
        return len(self.accepted) + len(self.refused) + len(self.failed)

    @property
    def accepted(self) -> list[Item]:
        """Items that Elasticsearch took, or had no need of."""
        return self.indexed + self.deleted + self.absent + self.conflicts


def sort_out(
    items: Sequence[Item], results: Sequence[dict[str, Any]], outcome: Outcome, alias: str
) -> list[Refusal]:
    """Add each item's result to the outcome; return the items to be sent again, and why.

    :raises ConfigurationError: the index is gone, closed, or takes nothing: no item's fault.
    """
    later = []
    for item, result in zip(items, results, strict=True):
        status = result["status"]
        if status < 300:
            (outcome.indexed if item.source else outcome.deleted).append(item)
        elif status == _NOT_FOUND and "error" not in result:  # of a deletion
            outcome.absent.append(item)
        elif status == NEWER_IS_THERE:
            outcome.conflicts.append(item)
        elif status in OVERLOADED:
            later.append(Refusal(item, _reason(result["error"])))
        elif status >= SERVER_ERROR:
            later.append(Refusal(item, _reason(result["error"])))
            outcome.failed.append(later[-1])
        elif result["error"]["type"] in NO_INDEX:
            raise ConfigurationError(
                "The index vanished or was closed while it was written to: "
                f"{_reason(result['error'])}. Open it if it is closed; the next run looks for "
                f"alias {alias} again."
            )
        elif status in _FORBIDDEN:  # a block, or a right that is missing: no item's fault
            reason = _reason(result["error"])
            raise ConfigurationError(
                f"Elasticsearch (connection movies_elasticsearch) forbids writing: {reason}. "
                f"{remedy(reason) or f'Fix the rights of its role on {alias}-*'}; the next run "
                "goes on from the last loaded page."
            )
        else:
            outcome.refused.append(Refusal(item, _reason(result["error"])))
    return later


def _reason(error: dict[str, Any]) -> str:
    """Return Elasticsearch's words; a value that it quotes whole may have a megabyte."""
    said = (error["reason"] or error["type"], (error.get("caused_by") or {}).get("reason"))
    return ": ".join(
        shorten(part, _MAX_REASON_CHARACTERS, placeholder="...") for part in said if part
    )
