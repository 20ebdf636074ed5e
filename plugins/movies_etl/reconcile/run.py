"""The tasks of the reconcile: each asks its questions, has what differs repaired, and remembers.

What is remembered moves on only when everything that was found is done. So a task that is killed,
or that meets a writer, asks the same question again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from movies_etl.es.inventory import DocumentInventory
from movies_etl.postgres.timestamps import parse
from movies_etl.postgres.traces import Traces
from movies_etl.reconcile import touched
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.compare import COMPARED_TOGETHER, Comparer
from movies_etl.reconcile.contents import Contents, is_due
from movies_etl.reconcile.fuses import to_be_listed
from movies_etl.reconcile.links import Links, next_due, without_due
from movies_etl.reconcile.making import Making
from movies_etl.reconcile.presence import presence
from movies_etl.reconcile.purge import close_corrected, close_returned
from movies_etl.reconcile.repair import Repaired, repair
from movies_etl.settings import Settings
from movies_etl.state.reconcile import ReconcileState, ReconcileStore
from movies_etl.sync.counters import Counters, in_words
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

PATIENT_SECONDS = 60.0
"""Seconds for which a task goes on with one question, unless everything was asked for."""

PAUSE_SECONDS = 0.1
"""Between two batches under the lock: a task that waits for it is given it at once, one that comes
then finds it free."""


@dataclass(frozen=True)
class ReconcileParams:
    """What somebody asked for in the trigger form.

    :param full: compare everything now.
    :param dry_run: write nothing, neither to the index nor to what is remembered.
    :param ids: compare these documents, and nothing else.
    """

    full: bool = False
    dry_run: bool = False
    ids: Sequence[str] = ()


_WORDS = {
    "missing": "missing",
    "different": "different",
    "surplus": "without a row",
    "repaired": "loaded",
    "deleted": "deleted",
    "asked": "left to a person",
}
"""What was found and done, by field of the result."""


@dataclass
class Result:
    """What a task of the reconcile found and did.

    :param looked_at: documents and rows that were compared.
    :param missing: rows without a document.
    :param different: documents that are not what their row says.
    :param surplus: documents without a row.
    :param repaired: documents that were loaded.
    :param deleted: documents that were deleted.
    :param asked: documents of which so many differ that a person decides, or has refused.
    :param rebuild: whether the index is outdated: very many documents that differ are left.
    :param seconds: that it took.
    :param verified_age_seconds: since then every document was compared; None before the first pass.
    """

    looked_at: int = 0
    missing: int = 0
    different: int = 0
    surplus: int = 0
    repaired: int = 0
    deleted: int = 0
    asked: int = 0
    rebuild: bool = False
    seconds: float = 0.0
    verified_age_seconds: float | None = None

    def as_result(self) -> dict[str, Any]:
        """Return what a task returns."""
        return asdict(self)

    def in_words(self) -> str:
        """Say what was found and done."""
        found = in_words(self, _WORDS) or "nothing to correct"
        return f"{self.looked_at:,} looked at in {self.seconds:.1f} s: {found}"

    def add(self, found: Candidates, done: Repaired) -> None:
        """Add what a question found, and what became of it."""
        self.looked_at += found.looked_at
        self.missing += len(found.missing)
        self.different += len(found.different) + len(found.damaged)
        self.surplus += len(found.surplus)
        self.repaired += done.counters.indexed
        self.deleted += done.counters.deleted
        self.asked += done.listed + done.set_aside


class Reconcile:
    """One task of the reconcile.

    :param resources: the servers; ``lock_wait`` is how long a writer is waited for.
    :param store: where the state is kept between runs.
    """

    def __init__(
        self,
        resources: Resources,
        settings: Settings,
        store: ReconcileStore,
        asked: ReconcileParams,
    ) -> None:
        self._resources = resources
        self._settings = settings
        self._store = store
        self._asked = asked
        self._deadline = float("inf") if asked.full else time.monotonic() + PATIENT_SECONDS
        self._began = time.monotonic()
        self._making = Making(resources, settings.include_dir)
        self.result = Result(rebuild=self._making.is_outdated)
        self.state = self._loaded()

    def _loaded(self) -> ReconcileState:
        """Return the state as it was kept, if it is of this index and this database."""
        context, state = self._resources.context, self._store.load()
        fresh = ReconcileState(
            index=context.uuid, history=context.history, database=context.database
        )
        if state is None or state.is_about(fresh):
            return state or fresh
        log.warning("What was remembered is of another index or database; everything is compared")
        return fresh

    def presence(self) -> dict[str, Any]:
        """Look which films and which links are gone."""
        if self._asked.ids:
            self._compare_asked_for()
            return self._ended("presence")
        found = presence(self._resources)
        found.looked_at = found.documents
        if not self._asked.dry_run:
            close_returned(self._resources, found.surplus)
        self._repair(found)
        self._look_at_links(found.documents)
        return self._ended("presence")

    def touched(self) -> dict[str, Any]:
        """Compare what was written since the last time, on either side."""
        if not self._asked.ids:
            documents = self._resources.index.documents()
            self._sweep(documents)
            self._compare_written(documents)
        return self._ended("touched")

    def contents(self) -> dict[str, Any]:
        """Compare the next ranges of everything, once there is something to follow it up with.

        What is deleted or written between a pass and the first looks would be seen by neither.
        """
        has_looked = self.state.written is not None and self.state.sweep is not None
        if not self._asked.ids and (has_looked or self._asked.dry_run):
            self._compare_everything()
        return self._ended("contents")

    # -- the questions ---------------------------------------------------------------------------

    def _compare_asked_for(self) -> None:
        found = Candidates(documents=self._resources.index.documents())
        comparer = Comparer(self._resources)
        for ids in _pages([*dict.fromkeys(self._asked.ids)]):
            comparer.compare_texts(ids, found)
        self._repair(found)

    def _look_at_links(self, documents: int) -> None:
        resources, links = self._resources, Links(self._resources)
        inventory = DocumentInventory(resources.index)
        places = tuple(inventory.newest(shard) for shard in range(resources.index.shards()))
        snapshot = Traces(resources.source).snapshot()
        stands = {name: one.ceiling for name, one in self.state.standing.items()}
        if not all(snapshot.reaches(ceiling) for ceiling in stands.values()):
            self._forget("standing", {})
        written = touched.marked(places, snapshot, self.state.written)
        state = links.look(self.state, snapshot)
        self._remember(state.model_copy(update={"written": written}))
        while (due := next_due(self.state)) and self._has_time():
            table, parts = due
            found = self._compared(links.documents_of(parts), documents)
            if not self._load(found):
                return
            self._remember(without_due(self.state, table, parts))
        keys = links.keys()
        found = self._compared(links.leading_nowhere(self.state.keys, keys), documents)
        if self._load(found):
            self._remember(self.state.model_copy(update={"keys": keys}))

    def _sweep(self, documents: int) -> None:
        """Compare the documents of rows that were written since the last sweep."""
        resources = self._resources
        snapshot = Traces(resources.source).snapshot()
        if self.state.sweep and not snapshot.reaches(self.state.sweep.since):
            self._forget("sweep", None)
        sweep = touched.begun(self.state.sweep, snapshot)
        comparer = Comparer(resources)
        found = Candidates(documents=documents)
        for ids, after in touched.swept(resources, sweep):
            comparer.compare(ids, found)
            sweep = after
            if not self._has_time():
                break
        if self._load(found):
            self._remember(self.state.model_copy(update={"sweep": sweep}))

    def _compare_written(self, documents: int) -> None:
        """Compare the documents that were written before the last look at the links."""
        known = self.state.written
        if known is None:
            return
        comparer, found = Comparer(self._resources), Candidates(documents=documents)
        for page, after in touched.written(DocumentInventory(self._resources.index), known):
            there = {one.key: one.source for one in page}
            comparer.judge_texts(there, comparer.texts([*there]), found)
            found.looked_at += len(there)
            known = after
            if not self._has_time():
                break
        else:
            known = touched.compared(known)
        if self._load(found):
            self._remember(self.state.model_copy(update={"written": known}))

    def _compare_everything(self) -> None:
        """Go on with the pass that is under way, or begin one."""
        now = self._resources.source.server.now()
        is_full = self._asked.full
        current = None if is_full else self.state.current
        if current is None or not self._making.goes_on(current):
            current = self._making.begun(now)
        documents = self._resources.index.documents()
        contents = Contents(self._resources)
        is_hurried = is_full or self.state.verified_at is None
        found = Candidates(rewritten=current.rewritten)
        after = contents.compare_next(current, found)
        while after and self._has_time() and (is_hurried or is_due(after, documents, now)):
            after = contents.compare_next(after, found)
        # Of the documents so far: a few ranges must not be rewritten as if all others were right.
        found.documents = current.looked_at + found.looked_at
        found.surplus.clear()
        is_outdated = self._making.is_outdated
        done = self._repair(found, is_left=is_outdated)
        if not (done.is_done or is_outdated):
            return
        differed = current.rewritten + len(found.different) + len(found.damaged) - done.set_aside
        verified_at = self.state.verified_at if after else current.began
        if after:
            after = after.model_copy(update={"rewritten": differed})
        elif not self._asked.dry_run:
            self._making.passed(differed, found.documents)
            close_corrected(self._resources)
        update = {"current": after, "verified_at": verified_at}
        self._remember(self.state.model_copy(update=update))

    # -- what all of them do ---------------------------------------------------------------------

    def _compared(self, pages: Iterable[Sequence[str]], documents: int) -> Candidates:
        comparer, found = Comparer(self._resources), Candidates(documents=documents)
        for ids in pages:
            comparer.compare(ids, found)
        return found

    def _load(self, found: Candidates) -> bool:
        """Have candidates read again, but leave deletions to the question that sees them all."""
        found.surplus.clear()
        return self._repair(found).is_done

    def _repair(self, found: Candidates, *, is_left: bool = False) -> Repaired:
        """Have candidates read again; what is left to a rebuild counts as left.

        :param is_left: what differs is left however few they are.
        """
        is_left = is_left or self._making.leaves(found)
        wanted = replace(found, different=[], damaged=[]) if is_left else found
        if self._asked.dry_run:
            done = Repaired(Counters(), listed=to_be_listed(wanted))
        else:
            done = repair(self._resources, self._settings, wanted, PAUSE_SECONDS)
        self.result.add(found, done)
        to_rebuild = len(found.different) + len(found.damaged) if is_left else 0
        return replace(done, left=done.left + to_rebuild)

    def _remember(self, state: ReconcileState) -> None:
        """Keep the state, unless nothing may be written."""
        if state != self.state and not self._asked.dry_run:
            self._store.save(state)
        self.state = state

    def _forget(self, what: str, nothing: object) -> None:
        log.warning("What is remembered of %s is too old; everything is compared again", what)
        update = {what: nothing, "current": None, "verified_at": None}
        self._remember(self.state.model_copy(update=update))

    def _has_time(self) -> bool:
        return time.monotonic() < self._deadline

    def _ended(self, task: str) -> dict[str, Any]:
        """Return the result, and keep it with the state."""
        self.result.seconds = round(time.monotonic() - self._began, 3)
        if verified_at := self.state.verified_at:
            now = parse(self._resources.source.server.now())
            age = max((now - parse(verified_at)).total_seconds(), 0.0)
            self.result.verified_age_seconds = round(age, 3)
        result = self.result.as_result()
        results = self.state.results | {task: result}
        self._remember(self.state.model_copy(update={"results": results}))
        log.info("%s is done: %s", task, self.result.in_words())
        return result


def _pages(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), COMPARED_TOGETHER):
        yield ids[start : start + COMPARED_TOGETHER]


TASKS: dict[str, Callable[[Reconcile], dict[str, Any]]] = {
    "presence": Reconcile.presence,
    "touched": Reconcile.touched,
    "contents": Reconcile.contents,
}
"""The tasks in their order."""
