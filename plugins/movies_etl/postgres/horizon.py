"""How far it is safe to read.

``modified`` is stamped before commit, so a row can appear below what was already read. Rows below
the horizon are stable: a cursor may pass them. Rows above it (the tail) are sent as well, but the
cursor stays below them, and the next run reads them again.

A row's stamp is not older than the start of the transaction that wrote it, by more than the margin
(the clocks of site and database, and what an application does between taking the time and sending
the row). So nothing can appear below the start of the oldest open transaction less the margin, and
that is the horizon. A transaction that is gone from ``pg_stat_activity`` is visible to every later
snapshot: PostgreSQL takes it out of the list of running transactions first. It follows that the
horizon must be measured in statements of its own, before the snapshot of any page.

A prepared transaction is in no session, and its stamps may be older than its PREPARE by any time:
while one waits, the horizon does not move.

A role that may not see when others began asks instead which transactions were open at a moment, and
takes that moment as the horizon when all of them are gone. Every role does the same when a session
hides its start time (``track_activities = off``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl.postgres.timestamps import in_utc, parse

ABANDONED_AFTER = timedelta(hours=1)
"""Age at which a prepared transaction no longer holds the horizon, and is warned about."""

FIRST_HORIZON_BEHIND = timedelta(days=1)
"""How far the first horizon stays back when nothing is known about when transactions began."""

MAX_EPOCHS = 10
"""Moments that are remembered for a role that cannot see start times."""


class Holder(NamedTuple):
    """The session with the oldest open transaction.

    :param since: when that began; ISO 8601, UTC.
    """

    pid: int
    role: str
    application: str
    since: str

    def __str__(self) -> str:
        return (
            f"the transaction of pid {self.pid}, role {self.role}, {self.application!r}, "
            f"open since {self.since}"
        )


class Activity(NamedTuple):
    """What is open in the database.

    :param now: the database's time, read before its sessions were looked at.
    :param oldest: start of the oldest open transaction; ``now`` when none is.
    :param hidden: sessions whose start times are not shown.
    """

    now: str
    oldest: str
    hidden: int
    holder: Holder | None


class Prepared(NamedTuple):
    """A prepared transaction.

    :param gid: its name, as COMMIT PREPARED takes it.
    :param prepared: when it was prepared; ISO 8601, UTC.
    """

    gid: str
    prepared: str
    owner: str


class Epoch(BaseModel):
    """A moment, and the transactions that were open then."""

    model_config = ConfigDict(frozen=True)

    now: str
    transactions: tuple[str, ...]


class Transactions(Protocol):
    """Tells what is open; each call is a statement of its own."""

    def activity(self) -> Activity:
        """Return the sessions' state."""

    def prepared_transactions(self) -> list[Prepared]:
        """Return the prepared transactions, the oldest first."""

    def virtual_transactions(self) -> Epoch:
        """Return the open transactions by names that every role may see."""


class Known(NamedTuple):
    """What is kept of a measurement for the next one.

    :param horizon: the last; None when none was measured.
    :param epochs: see :class:`Measured`.
    """

    horizon: str | None = None
    epochs: tuple[Epoch, ...] = ()


class HorizonStore(Protocol):
    """Keeps the horizon between runs."""

    def load(self) -> Known:
        """Return what is known; nothing before the first run."""

    def save(self, horizon: str, epochs: tuple[Epoch, ...]) -> None:
        """Keep a measurement in place of the one before."""


class Measured(NamedTuple):
    """A measured horizon.

    :param now: the database's time before anything was looked at.
    :param horizon: below it no row will appear; never lower than the one known before.
    :param held_by: what keeps it behind, in words; None when nothing does.
    :param abandoned: prepared transactions that are too old to be waited for.
    :param epochs: to be remembered for the next measurement.
    """

    now: str
    horizon: str
    held_by: str | None
    abandoned: list[Prepared]
    epochs: tuple[Epoch, ...]


def measure(
    source: Transactions,
    margin: timedelta,
    known: Known,
    wait: timedelta = timedelta(seconds=1),
) -> Measured:
    """Measure the horizon.

    :param margin: by how much a stamp may be older than its transaction's start.
    :param known: what the last measurement left.
    :param wait: how long a role that cannot see start times waits for transactions to end.
    """
    activity = source.activity()
    now = parse(activity.now)
    held_by = None
    epochs: tuple[Epoch, ...] = ()
    if activity.hidden:
        over, epochs = _last_over_epoch(source, known.epochs, wait)
        bound = over - margin if over else None
        held_by = (
            "transactions whose start is not shown (GRANT pg_read_all_stats to this role, and set "
            "track_activities = on for those that write)"
        )
    else:
        bound = parse(activity.oldest) - margin
        if activity.holder:
            held_by = str(activity.holder)
    prepared = source.prepared_transactions()
    abandoned = [one for one in prepared if parse(one.prepared) < now - ABANDONED_AFTER]
    waiting = [one for one in prepared if one not in abandoned]
    if waiting:
        names = ", ".join(f"{one.gid} of {one.owner}" for one in waiting)
        held_by = f"prepared transactions ({names}): COMMIT PREPARED or ROLLBACK PREPARED ends them"
        first = parse(waiting[0].prepared) - ABANDONED_AFTER
        bound = None if known.horizon else min(bound or first, first)
    before = parse(known.horizon) if known.horizon else None
    reached = max(filter(None, (before, bound)), default=now - FIRST_HORIZON_BEHIND)
    return Measured(activity.now, in_utc(reached), held_by, abandoned, epochs)


def _last_over_epoch(
    source: Transactions, epochs: Sequence[Epoch], wait: timedelta
) -> tuple[datetime | None, tuple[Epoch, ...]]:
    """Return the newest moment all of whose transactions are over, and the moments after it."""
    deadline = time.monotonic() + wait.total_seconds()
    present = source.virtual_transactions()
    known = [*epochs, present]
    while True:
        over = [epoch for epoch in known if not set(epoch.transactions) & set(present.transactions)]
        if (over and over[-1] is known[-1]) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
        present = source.virtual_transactions()
    newest = over[-1] if over else None
    later = known[known.index(newest) + 1 :] if newest else known
    # The oldest ones are over first and the newest reach farthest: the middle can go.
    if len(later) > MAX_EPOCHS:
        later = [*later[: MAX_EPOCHS // 2], *later[-MAX_EPOCHS // 2 :]]
    return (parse(newest.now) if newest else None), tuple(later)
