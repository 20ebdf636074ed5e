"""What the page says of a rebuild and of the indexes beside the live one. No servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from movies_etl.es.family import Build, BuildState
from movies_etl.page.indexes import Concrete
from movies_etl.page.memory import Rebuild, Run, TasksSeen
from movies_etl.page.rebuild import beside_states, rebuild_state

NOW = datetime(2026, 11, 29, 12, 7, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=9)
RUN = Run(run_id="manual__1", state="running", started=BEGAN)


def concrete(name: str, state: BuildState | None = None, run: str = "manual__1") -> Concrete:
    build = Build(state=state, run=run) if state else None
    return Concrete(name, NOW, 1200, build)


def tasks(**states: str | None) -> tuple[TasksSeen, ...]:
    """Return tasks with one state each; those that are not named are not due yet."""
    names = ("prepare", "split", "load", "check", "approve", "swap")
    return tuple(
        TasksSeen(name, states.get(name), since=NOW if states.get(name) else None)
        for name in names
        if name != "load" or name in states
    )


def loads(**numbers: int) -> tuple[TasksSeen, ...]:
    return tuple(
        TasksSeen("load", state, number, NOW, is_mapped=True) for state, number in numbers.items()
    )


def told(seen: tuple[TasksSeen, ...], run: Run = RUN) -> tuple[str, str]:
    found = rebuild_state("movies_reindex", Rebuild(run, seen), [])
    assert found
    return found.state, found.sentence


BEFORE = {"prepare": "success", "split": "success"}
LOADED = loads(success=8)


@pytest.mark.parametrize(
    ("seen", "state", "sentence"),
    [
        (tasks(), "running", "Everything is checked"),
        (tasks(prepare="running"), "running", "Everything is checked"),
        (tasks(prepare="success", split="running"), "running", "parted into ranges"),
        (tasks(**BEFORE, load=None), "running", "The new index is loaded."),
        (
            (*tasks(**BEFORE), *loads(success=3, running=2, scheduled=3)),
            "running",
            "3 of 8 ranges are done.",
        ),
        (
            (*tasks(**BEFORE), *loads(success=3, running=1, up_for_retry=4)),
            "running",
            "4 of its tasks failed, and are tried again.",
        ),
        ((*tasks(**BEFORE, check="running"), *LOADED), "running", "compared with the catalogue"),
        (
            (*tasks(**BEFORE, check="success", approve="awaiting_input"), *LOADED),
            "waiting",
            "A person is asked",
        ),
        (
            (*tasks(**BEFORE, check="success", approve="success", swap="running"), *LOADED),
            "running",
            "takes the alias",
        ),
    ],
)
def test_a_rebuild_says_what_it_does(
    seen: tuple[TasksSeen, ...], state: str, sentence: str
) -> None:
    found = told(seen)
    assert found[0] == state
    assert sentence in found[1]


def test_a_rebuild_says_how_it_ended() -> None:
    over = RUN.model_copy(update={"state": "success", "ended": NOW})
    assert "searches see its index" in told((*tasks(swap="success"), *LOADED), over)[1]
    rejected = (*tasks(approve="success", swap="skipped"), *LOADED)
    assert "It was rejected" in told(rejected, over)[1]
    failed = RUN.model_copy(update={"state": "failed", "ended": NOW})
    seen = (*tasks(check="failed", approve="upstream_failed", swap="upstream_failed"), *LOADED)
    assert told(seen, failed) == (
        "failed",
        "It failed at check, whose log has the reason. Searches saw none of it.",
    )
    assert "whether the alias was moved" in told(tasks(swap="failed"), failed)[1]
    queued = Run(run_id="manual__1", state="queued")
    assert told(tasks(), queued)[0] == "queued"


def test_ranges_and_documents_are_those_of_the_index_that_the_run_makes() -> None:
    seen = Rebuild(RUN, (*tasks(**BEFORE), *loads(success=1, running=2)))
    beside = [concrete("movies-3", "loading"), concrete("movies-1", "live", "manual__0")]
    found = rebuild_state("movies_reindex", seen, beside)
    assert found
    assert (found.index, found.documents, found.done, found.ranges) == ("movies-3", 1200, 1, 3)
    assert found.since == NOW
    assert rebuild_state("movies_reindex", None, beside) is None


def test_each_index_beside_the_live_one_says_what_becomes_of_it() -> None:
    beside = [
        concrete("movies-4", "loading"),
        concrete("movies-3", "failed", "manual__0"),
        concrete("movies-2", "live", "manual__0"),
        concrete("movies-1"),
        concrete("movies-0"),
    ]
    fed = {"movies-2", "movies-1"}
    rebuild = rebuild_state("movies_reindex", Rebuild(RUN, tasks(**BEFORE, load=None)), beside)
    fates = [one.fate for one in beside_states(beside, rebuild, fed)]
    assert fates == ["made", "left", "kept", "kept", "left"]
    over = RUN.model_copy(update={"state": "failed"})
    ended = rebuild_state("movies_reindex", Rebuild(over, tasks(load="failed")), beside)
    assert beside_states(beside, ended, fed)[0].fate == "left"
