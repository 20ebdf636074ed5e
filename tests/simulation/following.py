"""Scenarios of a run that goes on: what is committed meanwhile is in the index at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.events import let_all_go
from tests.simulation.operators import repair_alias
from tests.simulation.runs import begun_beside, run, run_and_follow
from tests.simulation.shapes import Root
from tests.simulation.staging import any_root, is_locked, read_before_it_arrives, rest, write
from tests.simulation.world import weighted
from tests.support.divergence import Divergence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import History


def commit_while_it_reads(history: History) -> None:
    """A row is committed while a run that goes on reads, and nothing else happens."""
    row = _loaded_root(history)
    if row is None:
        return
    root, world = history.shape.root, history.world
    new = row._replace(name=f"{row.id} followed")
    history.note("scenario: committed while a run that goes on reads")

    def commit_when_it_was_read() -> None:
        world.meanwhile_at("clock.sql", 1, lambda: write(history, root, new))

    def go_on() -> None:
        world.meanwhile_at(f"feed/page.sql {root}", 1, commit_when_it_was_read)

    if run_and_follow(history, go_on) and world.hushed and world.doom is None:
        _check_followed(history, new)
    world.doom = None


def die_while_it_follows(history: History) -> None:
    """A row goes from A to B, the task that follows it dies, and it is A when B arrives."""
    row = _loaded_root(history)
    if row is None:
        return
    root, world = history.shape.root, history.world
    history.note("scenario: a run that goes on dies")

    def change() -> None:
        write(history, root, row._replace(name=f"{row.id} other"))
        world.requests_leave = True
        world.doom_at("bulk", 1)

    run_and_follow(history, lambda: world.meanwhile_at(f"feed/above.sql {root}", 1, change))
    world.doom = None
    world.requests_leave = False
    if world.hushed:
        let_all_go(history)
    if not is_locked(history, root, row.id):
        write(history, root, row)
    read_before_it_arrives(history)


def begin_beside_what_follows(history: History) -> None:
    """A run begins while a task follows, which then dies or ends; the run goes on as it began."""
    row = _loaded_root(history)
    if row is None:
        return
    root, world = history.shape.root, history.world
    history.note("scenario: a run begins beside one that goes on")
    left: list[Callable[[], object] | None] = []

    def begin() -> None:
        left.append(begun_beside(history))
        if world.chance(0.5):
            world.doom_at("bulk", 1)
            write(history, root, row._replace(name=f"{row.id} after"))

    def change() -> None:
        write(history, root, row._replace(name=f"{row.id} before"))
        world.meanwhile_at("clock.sql", 2, begin)

    run_and_follow(history, lambda: world.meanwhile_at(f"feed/above.sql {root}", 1, change))
    world.doom = None
    for go_on in filter(None, left):
        history.tally.beside += 1
        go_on()


def _loaded_root(history: History) -> Root | None:
    """Return a root row that is in the index as it is, with nothing else under way."""
    repair_alias(history)
    row = any_root(history)
    rest(history)
    is_loaded = run(history) is not None
    rest(history)
    root = history.shape.root
    if row is None or not is_loaded or is_locked(history, root, row.id):
        return None
    committed: Root = history.postgres.tables[root].get(row.id, row)
    return committed


def _check_followed(history: History, row: Root) -> None:
    live = history.node.live()
    held = live and live.searchable.get(row.id)
    found = held and held.source[history.shape.text]
    if found != row.name and not history.shape.is_refused(row):
        raise Divergence(f"a run goes on and searches find {found}, not {row.name}")


FOLLOWING = weighted(
    (commit_while_it_reads, 2), (die_while_it_follows, 3), (begin_beside_what_follows, 2)
)
"""Of histories in which runs go on, beside the others."""
