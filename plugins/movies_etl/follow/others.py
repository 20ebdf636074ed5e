"""The indexes beside the live one: fed batch by batch, between two looks for changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator

from movies_etl.errors import MoviesEtlError, on_one_line
from movies_etl.state.run_context import RunContext

log = logging.getLogger(__name__)

OTHERS_SECONDS = 10.0
"""Seconds between two feedings of the indexes beside the live one."""

Feeding = Generator[None, None, None]
"""A feeding that goes on by a batch at a time; closed, it ends cleanly where it is."""


class Others:
    """Feeds the indexes beside the live one while a run goes on.

    A change of many documents takes as long to be fed as to be loaded: what else is changed is
    loaded meanwhile.

    :param begin: begins to feed them; takes the context of the newest cycle.
    """

    def __init__(self, begin: Callable[[RunContext], Feeding]) -> None:
        self._begin = begin
        self._feeding: Feeding | None = None
        self._are_behind = False
        self._fed_at = time.monotonic()

    def changed(self) -> None:
        """Note that the live index has something that the others lack."""
        self._are_behind = True

    def step(self, context: RunContext) -> None:
        """Feed a batch, where there is something to feed and it is time.

        :param context: of the newest cycle.
        """
        if self._feeding is None:
            if not self._are_behind or time.monotonic() - self._fed_at < OTHERS_SECONDS:
                return
            self._feeding, self._are_behind = self._begin(context), False
        try:
            is_over = next(self._feeding, True)
        except MoviesEtlError as error:
            said = on_one_line(error)
            log.warning("The indexes beside %s were not fed: %s", context.index, said)
            is_over = self._are_behind = True
        if is_over:
            self._feeding, self._fed_at = None, time.monotonic()

    def pause(self) -> None:
        """Stop, and go on later: another task wants to write."""
        if self._feeding is not None:
            self._feeding.close()
            self._feeding, self._are_behind = None, True
