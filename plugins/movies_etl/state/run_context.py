"""What a run reads and where it writes: decided once, by ``init``, for all of its tasks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from movies_etl.state.cursors import Stamp
from movies_etl.state.database import Database
from movies_etl.state.layout import Layout


class RunContext(BaseModel):
    """One run's bounds, handed from ``init`` to the tasks as JSON.

    :param index: the concrete index.
    :param uuid: its uuid: the alias must still lead to it when a task begins.
    :param beside: the index does not have the alias: it is being built, or is kept for a rollback.
    :param history: the index's; see ``Index.history``.
    :param database: the database that is read.
    :param layout: of the database's catalogue, so that not every task has to ask for it; None in a
        run that an older version of the program began.
    :param m2m_start: the database's time before this run read anything. A first load starts the
        streams of linked rows (the many-to-many ones) below it: what those rows were before is
        contained in the documents as they are loaded.
    :param horizon: rows below it are stable: no row will appear among them, so a cursor may pass
        them.
    :param held_by: what keeps the horizon more than a minute behind; None when nothing does.
    :param version: the lowest version that this run may send: the database's clock, or more
        than the highest version that may have been sent.
    :param program: the version of this program; empty in a run that version 0.1.0 began.
    """

    model_config = ConfigDict(frozen=True)

    index: str
    uuid: str
    beside: bool = False
    history: str | None = None
    database: Database
    layout: Layout | None = None
    m2m_start: Stamp
    horizon: Stamp
    held_by: str | None = None
    version: int
    program: str = ""
