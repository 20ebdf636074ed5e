"""Breaks of rules 14 to 16: what leaves no trace in ``modified`` is found, nothing else goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from movies_etl.definitions.ranges import Range, ranges
from movies_etl.es import dead_letters, fuse_lists, index, inventory
from movies_etl.postgres import lock
from movies_etl.postgres.source import Source
from movies_etl.reconcile import each_run, fuses, links, presence, purge, repair
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.links import Links
from movies_etl.sync.run import check_context
from movies_etl.sync.stream_run import StreamRun

from tests.simulation.switches import Switches, always, patched

FINDING = Switches()


@FINDING.rule("14")
def candidates_are_not_read_again() -> AbstractContextManager[object]:
    """A document that had no row when it was found is deleted, whatever there is by then."""
    carry_out, documents = repair.carry_out, Source.documents

    def broken(
        resources: Any, settings: Any, found: Candidates, pace: Any = repair.UNTIL_DONE
    ) -> Any:
        def others(self: Source, ids: Any) -> Any:
            return documents(self, [one for one in ids if one not in found.surplus])

        with patched((Source, "documents", others)):
            return carry_out(resources, settings, found, pace)

    return patched((repair, "carry_out", broken), (purge, "carry_out", broken))


@FINDING.rule("14-version")
def versions_from_before_the_lock() -> AbstractContextManager[object]:
    """Cursors and versions are read while another task may still write."""

    def broken(resources: Any, settings: Any, batch: Any) -> None:
        begun = StreamRun.begun(resources.definition.root, resources, settings)
        server, uuid = resources.source.server, resources.context.uuid
        with lock.held(server, uuid, wait=resources.lock_wait):
            check_context(resources)
            begun.load(batch)
            begun.finish()

    return patched((repair, "_read_again", broken))


@FINDING.rule("15")
def short_answers_are_believed() -> AbstractContextManager[object]:
    """What a shard that failed does not show is taken for not there."""

    def broken(answer: Any, what: str) -> Any:
        del what
        return answer

    asking = (index, inventory, dead_letters, fuse_lists)
    return patched(*((module, "whole", broken) for module in asking))


@FINDING.rule("15-hole")
def ranges_that_leave_out_the_first_ids() -> AbstractContextManager[object]:
    """Ids below the first bound lie in no range."""
    return patched((presence, "ranges", _with_a_hole(first=True)))


@FINDING.rule("15-hole-end")
def ranges_that_leave_out_the_last_ids() -> AbstractContextManager[object]:
    """Ids from the last bound on lie in no range."""
    return patched((presence, "ranges", _with_a_hole(first=False)))


def _with_a_hole(*, first: bool) -> Callable[[Any], list[Range]]:
    def broken(bounds: Any) -> list[Range]:
        parts = ranges(bounds)
        if bounds:
            at = 0 if first else -1
            parts[at] = Range(bounds[at], bounds[at])
        return parts

    return broken


@FINDING.rule("15-statistics")
def statistics_are_believed_after_a_crash() -> AbstractContextManager[object]:
    """The same count of deleted rows means that none was deleted, though it began anew."""
    statistics = each_run._statistics

    def broken(resources: Any) -> Any:
        counted = statistics(resources)
        return counted and counted.model_copy(update={"since": ""})

    return patched((each_run, "_statistics", broken))


@FINDING.rule("15-hint")
def hints_are_remembered_before_they_are_followed() -> AbstractContextManager[object]:
    """A run that dies as it deletes documents takes with it that rows were deleted."""
    checked = each_run.checked

    class Hasty:
        """Keeps the new count before anything is done about it."""

        def __init__(self, store: Any, resources: Any) -> None:
            self._last = store.load()
            self.save = store.save
            if self._last:
                counted = each_run._statistics(resources)
                store.save(self._last.model_copy(update={"statistics": counted}))

        def load(self) -> Any:
            return self._last

    def broken(resources: Any, settings: Any, store: Any, **how: Any) -> Any:
        return checked(resources, settings, Hasty(store, resources), **how)

    return patched((each_run, "checked", broken))


@FINDING.rule("15-early")
def looks_are_remembered_before_they_are_done() -> AbstractContextManager[object]:
    """A task that dies after a look at the links takes with it what it has seen."""
    look = Links.look
    due: dict[str, tuple[int, ...]] = {}

    def broken(self: Links, state: Any, snapshot: Any) -> Any:
        found = look(self, state, snapshot)
        due.update((table, one.due) for table, one in found.standing.items())
        standing = {
            table: one.model_copy(update={"due": ()}) for table, one in found.standing.items()
        }
        return found.model_copy(update={"standing": standing})

    def next_due(state: Any, together: int = 8) -> tuple[str, tuple[int, ...]] | None:
        del state, together
        return next(((table, parts) for table, parts in due.items() if parts), None)

    def without_due(state: Any, table: str, parts: Any) -> Any:
        del parts
        due[table] = ()
        return state

    return patched(
        (Links, "look", broken),
        (links, "next_due", next_due),
        (links, "without_due", without_due),
    )


@FINDING.rule("16")
def nobody_is_asked_about_deletions() -> AbstractContextManager[object]:
    """Whatever has no row is deleted, however much of the index it is."""
    return patched((fuses, "too_many_deletions", always(None)))


@FINDING.rule("16-rewrites")
def nobody_is_asked_about_rewrites() -> AbstractContextManager[object]:
    """Whatever differs is rewritten, however much of the index it is."""
    return patched((fuses, "too_many_rewrites", always(None)))
