"""Scenarios of pages that are read on a replica, which is behind, ahead, or away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.runs import run
from tests.simulation.shapes import row as new_row
from tests.simulation.staging import (
    SETTLED,
    any_root,
    is_locked,
    link_all,
    rest,
    write,
    write_in,
)
from tests.simulation.world import weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


def be_behind(history: History) -> None:
    """A row changes, is loaded from the primary, and is read again on a replica that lags."""
    rest(history)
    row, standby, root = any_root(history), history.standby, history.shape.root
    if standby is None or row is None or is_locked(history, root, row.id):
        return
    history.note("scenario: the replica is behind")
    run(history)
    write(history, root, row._replace(name=f"{row.name}<"))
    standby.is_away = True
    run(history)
    standby.is_away = False
    link_all(history, history.world.pick(history.shape.linked))
    run(history)


def be_shown_by_the_replica_first(history: History) -> None:
    """A replica shows a name that the primary does not show yet; then it is away.

    Somebody has a document read on the primary just before that shows the name, too.
    """
    rest(history)
    table = history.world.pick(history.shape.linked)
    link_all(history, table)
    run(history)
    row, root, standby = any_root(history), history.shape.root, history.standby
    if standby is None or row is None or is_locked(history, root, row.id):
        return
    link_all(history, table)
    history.world.now += SETTLED
    run(history)
    history.note("scenario: the replica shows it first")
    named = history.postgres.tables[table][f"{table[0]}-all"]
    if is_locked(history, table, named.id):
        return
    transaction = history.postgres.begin()
    write_in(history, transaction, table, named._replace(name=f"{named.name}="))
    history.postgres.begin_commit(transaction)
    other = f"{table[0]}{history.runs}-other"
    write(history, table, new_row(table, other, other))  # else the snapshot is the same
    standby.replay()
    run(history)
    standby.is_away = True

    def commit() -> None:
        if transaction in history.postgres.committing:
            history.postgres.commit(transaction)

    history.world.meanwhile_at(f"feed/page.sql {table}", 1, commit)
    run(history, asked=RunParams(ids=(row.id,)))
    history.world.doom = None
    commit()
    standby.is_away = False


REPLICATED = weighted((be_behind, 1), (be_shown_by_the_replica_first, 2))
"""Of histories in which pages are read on a replica, beside the others."""
