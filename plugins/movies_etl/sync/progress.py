"""What a task says of itself while it runs: a line per page, and a sentence at the end."""

from __future__ import annotations

import logging
from collections import deque
from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition, Stream
from movies_etl.es.outcome import Outcome
from movies_etl.sync.counters import Counters

log = logging.getLogger(__name__)


class _Page(NamedTuple):
    """A page whose documents are on their way.

    :param number: of the page in its task.
    :param read: documents read until its end.
    :param queued: documents queued until its end.
    """

    number: int
    read: int
    queued: int


class Progress:
    """Logs how far a stream has come: of a page when all of its documents are settled.

    :param counters: of the task; an attempt after another goes on counting.
    :param is_quiet: log pages for debugging only.
    """

    def __init__(
        self,
        stream: Stream,
        definition: IndexDefinition,
        counters: Counters,
        *,
        is_quiet: bool = False,
    ) -> None:
        self._stream = stream.name
        self._nouns = definition.nouns
        self._counters = counters
        self._level = logging.DEBUG if is_quiet else logging.INFO
        self._pages: deque[_Page] = deque()
        self._queued = 0
        self._settled = 0
        self._decision = ""

    def queued(self, documents: int) -> None:
        """Count documents that are sent; they are settled in this order."""
        self._queued += documents

    def page(self) -> None:
        """Note that a page is read."""
        self._pages.append(_Page(self._counters.pages, self._counters.read, self._queued))
        self._log_pages()

    def settled(self, outcome: Outcome) -> None:
        """Note what became of the documents of one request."""
        self._settled += outcome.size
        self._log_pages()

    def _log_pages(self) -> None:
        while self._pages and self._pages[0].queued <= self._settled:
            page = self._pages.popleft()
            self._counters.tick()
            said = self._rate(page.read)
            log.log(self._level, "%s: page %d is done: %s", self._stream, page.number, said)

    def decided(self, what: str) -> None:
        """Note what is to be told at the end of how the stream was read."""
        self._decision = f"; {what}"

    def done(self) -> None:
        """Tell what the task did and decided."""
        self._counters.tick()
        if outcomes := self._counters.outcomes():
            said = f"{self._rate(self._counters.read)}: {outcomes}"
        else:
            said = f"nothing to load, after {self._counters.seconds:.1f} s"
        log.log(self._level, "%s is done: %s%s", self._stream, said, self._decision)

    def _rate(self, read: int) -> str:
        seconds = self._counters.seconds
        rate = read / max(seconds, 1e-3)
        return f"{read:,} {self._nouns} in {seconds:.1f} s ({rate:,.0f} {self._nouns}/s)"
