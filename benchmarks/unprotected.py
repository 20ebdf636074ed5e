"""The program without its protections, patched from outside: what they cost is the difference.

Taken out are external versions (and reading the clock for them), the checksum, the look at every
item's outcome, dead letters and the lock. The horizon is measured once a run by `init`, not once a
film. What stays loads the same films; it just would not notice anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from movies_etl.es import bulk
from movies_etl.postgres import lock, queries, server
from movies_etl.sync import settlement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from movies_etl.es.outcome import Item, Outcome

CHECKSUM = b"('x' || left(md5(body), 16))::bit(64)::bigint::text"


_filled = queries.filled


def _query_without_checksum(file: Path, names: queries.Names) -> bytes:
    text = _filled(file, names)
    if file.name == "documents.sql":
        if CHECKSUM not in text:
            msg = f"{file} makes no checksum like {CHECKSUM.decode()} any more"
            raise ValueError(msg)
        text = text.replace(CHECKSUM, b"'0'")
    return text


def _send(sender: Any, items: Sequence[Item], outcome: Outcome) -> list[Item]:  # noqa: ANN401 - its private parts
    lines: list[bytes] = []
    for item in items:
        lines += (b'{"index":{"_id":"%s"}}\n' % item.id.encode(), item.source, b"\n")
    answer = sender._client.bulk(  # noqa: SLF001
        index=sender._index.name,  # noqa: SLF001
        operations=b"".join(lines),
        filter_path="errors",
    )
    if answer["errors"]:
        msg = "Elasticsearch refused a document"
        raise RuntimeError(msg)
    outcome.indexed.extend(items)
    return []


def _settle(self: settlement.Settlement, outcome: Outcome) -> None:
    self.counters.indexed += len(outcome.indexed)


SUBSTITUTES: tuple[tuple[object, str, object], ...] = (
    (queries, "filled", _query_without_checksum),
    (server.Server, "clock", lambda _: time.time_ns() // 1000),
    (bulk.Sender, "_send", _send),
    (settlement.Settlement, "settle", _settle),
    (lock, "take", lambda *_, **__: None),
)
"""What is replaced, where, and by what."""


def patch() -> None:
    """Take the protections out of the program that this process has imported.

    Raises AttributeError when the program has no such place any more.
    """
    for owner, name, substitute in SUBSTITUTES:
        if not hasattr(owner, name):
            msg = f"{owner} has no {name} any more: benchmarks/unprotected.py has to follow"
            raise AttributeError(msg)
        setattr(owner, name, substitute)
