"""What an operator should know, but not again in every run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

log = logging.getLogger(__name__)


class NoticeStore(Protocol):
    """Keeps what the last run noticed."""

    def load(self) -> Collection[str]:
        """Return it; nothing before the first run."""

    def save(self, notices: Sequence[str]) -> None:
        """Keep it in place of what was kept before."""


class Notices:
    """Tells each notice once, and again when it was gone in between.

    :param store: what the last run noticed.
    :param given: what this run has noticed already.
    """

    def __init__(self, store: NoticeStore, given: Sequence[str] = ()) -> None:
        self._store = store
        self._given = given

    def tell(self, found: Sequence[str]) -> None:
        """Warn of what the last run had not noticed, and keep what there is now."""
        notices, known = [*self._given, *found], self._store.load()
        for notice in notices:
            if notice not in known:
                log.warning("%s", notice)
        for notice in known:
            if notice not in notices:
                log.info("No longer so: %s", notice)
        if set(notices) != set(known):
            self._store.save(notices)
