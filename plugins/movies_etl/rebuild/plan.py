"""What somebody asks of a rebuild, and what its tasks hand to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from movies_etl.definitions.ranges import Range
from movies_etl.postgres.horizon import HorizonStore
from movies_etl.state.cursors import LiveCursors
from movies_etl.state.reconcile import LiveReconcile
from movies_etl.state.run_context import RunContext

EVERYTHING = 100
"""Per cent of the documents that are compared before a swap, unless somebody asks for fewer."""


@dataclass(frozen=True)
class Asked:
    """What somebody asked for in the trigger form.

    :param shards: of the new index; None takes as many as the present one has.
    :param checks: per cent of the documents whose checksums are compared before the swap.
    :param resume: go on with the index of a rebuild that did not finish.
    :param rollback: give the alias back to the index that had it before.
    :param take_over: replace an index that has the alias's name.
    """

    shards: int | None = None
    checks: int = EVERYTHING
    resume: bool = False
    rollback: bool = False
    take_over: bool = False


@dataclass(frozen=True)
class Stores:
    """What is kept between runs: cursors of all indexes, horizons, what the reconcile saw."""

    cursors: LiveCursors
    horizons: HorizonStore
    reconciled: LiveReconcile

    def forget(self, index: str) -> None:
        """Delete what is kept of an index without the alias."""
        self.reconciled.forget(index)
        self.cursors.forget(index)  # last: they say that there is something to forget


@dataclass(frozen=True)
class Runs:
    """The runs of the DAG.

    :param own: the id of this one.
    :param state_of: returns the state of a run, None of one that Airflow does not know.
    """

    own: str
    state_of: Callable[[str], str | None]

    def is_over(self, run: str) -> bool | None:
        """Whether a run has ended; None when nobody knows."""
        state = self.state_of(run)
        return None if state is None else state in ("success", "failed")


class Plan(BaseModel):
    """Which index takes the place of which, handed from ``prepare`` to the tasks as JSON.

    :param context: of the index that is to have the alias.
    :param replaces: the concrete index that has it.
    :param loads: documents are to be loaded; not where an index is taken back.
    :param resumes: some documents may be there already.
    :param takes_over: ``replaces`` has the alias's own name.
    """

    model_config = ConfigDict(frozen=True)

    context: RunContext
    replaces: str
    loads: bool = True
    resumes: bool = False
    takes_over: bool = False


def as_json(parts: list[Range]) -> list[list[str | None]]:
    """Return ranges as tasks hand them over."""
    return [[*part] for part in parts]
