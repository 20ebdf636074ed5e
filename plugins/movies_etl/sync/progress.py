"""What a task says of itself while it runs: a line per page, and a sentence at the end."""

from __future__ import annotations

import logging
import time

from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.sync.counters import Counters

log = logging.getLogger(__name__)

_WORDS = {
    "indexed": "indexed",
    "unchanged": "unchanged",
    "conflicts": "newer in the index already",
    "refused": "refused and kept as dead letters",
}
"""What became of documents, by counter."""


class Progress:
    """Logs how far a stream has come.

    :param counters: of the task; an attempt after another goes on counting.
    """

    def __init__(self, stream: Stream, definition: IndexDefinition, counters: Counters) -> None:
        self._stream = stream.name
        self._nouns = definition.nouns
        self._counters = counters
        self._since = time.monotonic()

    def page(self, documents: int) -> None:
        """Tell of a page that was read and handed to the senders.

        :param documents: how many it had.
        """
        now = time.monotonic()
        took, self._since = now - self._since, now
        log.info(
            "%s: page %d, %s; so far %s",
            self._stream,
            self._counters.pages,
            self._in_time(documents, took),
            ", ".join([f"{self._counters.read:,} read", *self._outcomes()]),
        )

    def done(self) -> None:
        """Tell what the task did."""
        self._counters.tick()
        read, seconds = self._counters.read, self._counters.seconds
        if not read:
            log.info("%s is done after %.1f s: nothing to load", self._stream, seconds)
            return
        outcomes = ", ".join(self._outcomes()) or "none of them is there"
        log.info("%s is done: %s: %s", self._stream, self._in_time(read, seconds), outcomes)

    def _in_time(self, documents: int, seconds: float) -> str:
        rate = documents / max(seconds, 1e-3)
        return f"{documents:,} {self._nouns} in {seconds:.1f} s ({rate:,.0f} {self._nouns}/s)"

    def _outcomes(self) -> list[str]:
        counts = ((getattr(self._counters, name), words) for name, words in _WORDS.items())
        return [f"{count:,} {words}" for count, words in counts if count]
