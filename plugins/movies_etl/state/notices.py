"""What an operator should know, but not again in every run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.errors import printable
from movies_etl.state.cursors import Stamp

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(hours=1)
"""A look costs PostgreSQL as much as the rest of a run that finds nothing, and what it may find
changes rarely. So where nothing was noticed, the next look may wait."""


class Noticed(BaseModel):
    """What there was to notice.

    :param at: the database's time of the look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Stamp
    notices: tuple[str, ...]


class NoticeStore(Protocol):
    """Keeps what was noticed last."""

    def load(self) -> Noticed | None:
        """Return it, None when there is nothing that can be read."""

    def save(self, noticed: Noticed) -> None:
        """Keep it in place of what was kept before."""


class Notices:
    """Warns of each notice once, and again only after it was gone in between.

    :param store: what was noticed last.
    :param given: what this run has noticed already.
    """

    def __init__(self, store: NoticeStore, given: Sequence[str] = ()) -> None:
        self._store = store
        self._given = given

    def look(self, now: str, noticing: Callable[[], Sequence[str]]) -> None:
        """Warn of what was not there at the last look, and keep what there is.

        :param now: the database's time.
        :param noticing: looks; it is not called while it is known that there was nothing.
        """
        last = self._store.load()
        if last and not last.notices and not self._given and not _is_due(last.at, now):
            return
        notices, known = (*self._given, *noticing()), last.notices if last else ()
        for notice in notices:
            if notice not in known:
                log.warning("%s", printable(notice))
        for notice in known:
            if notice not in notices:
                log.info("No longer so: %s", printable(notice))
        if last is None or set(notices) != set(known) or _is_due(last.at, now):
            self._store.save(Noticed(at=now, notices=notices))


def _is_due(last: str, now: str) -> bool:
    """Whether it is time for a look, also after the clock was set back."""
    since = datetime.fromisoformat(now) - datetime.fromisoformat(last)
    return not timedelta(0) <= since < LOOK_EVERY
