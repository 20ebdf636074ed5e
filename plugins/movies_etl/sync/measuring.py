"""The horizon of a run: measured after what is known, and what is told of it."""

from __future__ import annotations

import logging
from datetime import timedelta

from movies_etl.errors import printable
from movies_etl.postgres import horizon
from movies_etl.postgres.horizon import HorizonStore, Known, Measured
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor
from movies_etl.state.database import Database

log = logging.getLogger(__name__)

LAG_WORTH_A_WARNING = timedelta(minutes=1)


def known_before(horizons: HorizonStore, root: Cursor | None, database: Database) -> Known:
    """Return what was measured before; it counts only for the same database."""
    return Known() if root is None or database.difference_from(root.database) else horizons.load()


def set_back(known: Known, now: str) -> str | None:
    """Say that the clock was set back, None when it was not.

    A horizon was behind the clock when it was measured. Rows that were written since it was set
    back may be stamped below the cursors.
    """
    if known.horizon is None or parse(known.horizon) <= parse(now):
        return None
    return (
        f"the known horizon {known.horizon} lies in the future of the database's clock ({now}): it "
        "was set back, or another server took over"
    )


def measure(source: Source, settings: Settings, known: Known) -> Measured:
    """Measure the horizon; warn of prepared transactions that it does not wait for."""
    measured = horizon.measure(source.server, timedelta(seconds=settings.horizon_margin), known)
    for one in measured.abandoned:
        log.warning(
            "Transaction %s of %s was prepared at %s and never ended; it is not waited for. When "
            "it is committed, load the films that it changed again (param ids)",
            printable(one.gid),
            printable(one.owner),
            one.prepared,
        )
    return measured


def lateness(measured: Measured) -> str | None:
    """Say what holds the horizon when it lags by more than is worth a warning."""
    lag = parse(measured.now) - parse(measured.horizon)
    if lag < LAG_WORTH_A_WARNING or not measured.held_by:
        return None
    holder = printable(measured.held_by)
    said = f"The horizon is {lag.total_seconds():.0f} s behind, held by {holder}"
    log.warning("%s. Changes are sent all the same, and read again until it has ended", said)
    return said
