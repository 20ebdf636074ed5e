"""How far a rebuild has come, and what becomes of the indexes beside the live one. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel

from movies_etl.page.indexes import Concrete
from movies_etl.page.memory import Rebuild, Run, TasksSeen

DONE = ("success", "skipped", "removed")
FAILED = ("failed", "upstream_failed")
ASKING = "awaiting_input"
AGAIN = "up_for_retry"


class _Phase(NamedTuple):
    """A task of the rebuild DAG, and what it does in words."""

    task: str
    does: str


PHASES = (
    _Phase("prepare", "Everything is checked, then the new index is made."),
    _Phase("split", "The ids are parted into ranges."),
    _Phase("load", "The new index is loaded."),
    _Phase("check", "The new index catches up, and is compared with the catalogue."),
    _Phase("approve", "A person is asked whether the new index is to take the alias."),
    _Phase("swap", "The new index takes the alias."),
)


class RebuildState(BaseModel):
    """How far the newest rebuild has come.

    :param state: ``waiting`` for a person; the others are those of its run.
    :param sentence: what it does, or how it ended.
    :param since: when it began to do that, or ended.
    :param done: ranges that are loaded, of ``ranges``; None before they are known.
    :param index: the index that it makes; None when it has made none.
    :param documents: number of documents that a search finds in it.
    """

    dag: str
    run: Run
    state: Literal["queued", "running", "waiting", "success", "failed"]
    sentence: str
    since: datetime | None = None
    done: int | None = None
    ranges: int | None = None
    index: str | None = None
    documents: int | None = None


class BesideState(BaseModel):
    """An index beside the live one.

    :param fate: ``made`` by the rebuild that the page shows; ``kept`` and fed, so that a rollback
        may take it back; ``left`` by a rebuild that came to no end, or not fed any more.
    """

    name: str
    created: datetime | None
    documents: int | None
    fate: Literal["made", "kept", "left"]


def rebuild_state(
    dag: str, seen: Rebuild | None, beside: Iterable[Concrete]
) -> RebuildState | None:
    """Say how far the newest rebuild has come; None when there was none.

    :param beside: indexes without the alias.
    """
    if seen is None:
        return None
    run = seen.run
    own = next((one for one in beside if one.build and one.build.run == run.run_id), None)
    done, ranges = _ranges(seen.tasks)
    told = RebuildState(
        dag=dag,
        run=run,
        state="running",
        sentence="",
        done=done,
        ranges=ranges,
        index=own.name if own else None,
        documents=own.documents if own else None,
    )
    return told.model_copy(update=_said(run, seen.tasks, done, ranges))


def _said(
    run: Run, tasks: Sequence[TasksSeen], done: int | None, ranges: int | None
) -> dict[str, object]:
    if run.state == "success":
        is_swapped = any((one.task, one.state) == ("swap", "success") for one in tasks)
        sentence = "It ended well: searches see its index."
        if not is_swapped:
            sentence = "It was rejected: searches see the index before."
        return {"state": "success", "since": run.ended, "sentence": sentence}
    if run.state == "failed":
        failed = next((one.task for one in tasks if one.state == "failed"), "a task")
        sentence = f"It failed at {failed}, whose log has the reason. Searches saw none of it."
        if failed == "swap":
            sentence = "It failed at swap, whose log says whether the alias was moved."
        return {"state": "failed", "since": run.ended, "sentence": sentence}
    if run.state == "queued":
        return {"state": "queued", "sentence": "It is queued."}
    phase = next((one for one in PHASES if _is_open(one.task, tasks)), PHASES[-1])
    own = [one for one in tasks if one.task == phase.task]
    since = min((one.since for one in own if one.since), default=run.started)
    state = "waiting" if any(one.state == ASKING for one in own) else "running"
    sentence = phase.does
    if phase.task == "load" and ranges:
        sentence = f"The new index is loaded: {done} of {ranges} ranges are done."
    if again := sum(one.number for one in own if one.state == AGAIN):
        sentence += f" {again} of its tasks failed, and are tried again."
    return {"state": state, "since": since, "sentence": sentence}


def _is_open(task: str, tasks: Sequence[TasksSeen]) -> bool:
    """Whether a task, or one of its parts, has not ended yet."""
    states = [one.state for one in tasks if one.task == task]
    return not states or any(state not in DONE for state in states)


def _ranges(tasks: Sequence[TasksSeen]) -> tuple[int | None, int | None]:
    """Return how many ranges are loaded, and how many there are."""
    loads = [one for one in tasks if one.task == "load" and one.is_mapped]
    if not loads:
        return None, None
    return sum(one.number for one in loads if one.state in DONE), sum(one.number for one in loads)


def beside_states(
    beside: Iterable[Concrete], rebuild: RebuildState | None, fed: Collection[str]
) -> list[BesideState]:
    """Say what becomes of the indexes without the alias.

    :param fed: those that have cursors.
    """
    is_made = rebuild is not None and rebuild.state not in ("success", "failed")

    def fate(one: Concrete) -> Literal["made", "kept", "left"]:
        if is_made and rebuild and one.name == rebuild.index:
            return "made"
        was_live = one.build is None or one.build.state == "live"
        return "kept" if was_live and one.name in fed else "left"

    return [
        BesideState(name=one.name, created=one.created, documents=one.documents, fate=fate(one))
        for one in beside
    ]
