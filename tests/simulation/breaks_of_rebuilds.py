"""Breaks of rule 17: what changes while an index is made anew is in it when it takes the alias."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from movies_etl.postgres.horizon import Known
from movies_etl.rebuild import gate, loaded, since, swap
from movies_etl.rebuild.candidate import Candidate
from movies_etl.settings import Settings
from movies_etl.state.reconcile import ReconcileState, WrittenDocuments
from movies_etl.sync.measuring import measure
from movies_etl.sync.run import check_context
from movies_etl.sync.starting_points import StartingPoints

from tests.simulation.switches import Switches, always, patched

REBUILDING = Switches()


@REBUILDING.rule("17")
def cursors_of_the_end_of_the_load() -> AbstractContextManager[object]:
    """The catch-up begins where the catalogue is when everything is loaded."""

    def broken(resources: Any) -> None:
        check_context(resources)
        measured = measure(resources.source, Settings(horizon_margin=5), Known())
        context = resources.context.model_copy(update={"horizon": measured.horizon})
        StartingPoints(context, resources.source, resources.cursors).at_the_ends()

    return patched((loaded, "check_context", broken))


@REBUILDING.rule("17-pause")
def a_swap_that_compares_nothing() -> AbstractContextManager[object]:
    """What was compared before a person decided is taken for true when the alias moves."""
    return patched((swap, "compare_again", always(None)))


@REBUILDING.rule("17-young")
def a_look_that_waits_for_no_transaction() -> AbstractContextManager[object]:
    """Documents of which all was compared are not compared again, whatever transaction runs."""

    def broken(candidate: Candidate, look: ReconcileState) -> None:
        known = look.written
        if known and known.newest:
            known = WrittenDocuments(places=known.newest.places)
        standing = {
            table: one.model_copy(update={"young": ()}) for table, one in look.standing.items()
        }
        store = candidate.state.reconciled.beside(candidate.resources.index.name)
        store.save(look.model_copy(update={"written": known, "standing": standing}))

    return patched((gate, "keep", broken), (since, "keep", broken))
