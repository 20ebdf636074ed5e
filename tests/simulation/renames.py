"""Scenarios of names that change: after a load, while a run begins, during the first load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.operators import delete_cursors
from tests.simulation.runs import run
from tests.simulation.shapes import row as new_row
from tests.simulation.staging import (
    SETTLED,
    add_roots,
    free_row,
    is_locked,
    leave_under_way,
    link_all,
    read_before_it_arrives,
    rename_all,
    rest,
    write,
)

if TYPE_CHECKING:
    from tests.simulation.history import History


def rename_what_was_just_loaded(history: History) -> None:
    """A document is loaded, and a moment later a row that leads to it has another name."""
    history.note("scenario: renamed just after the load")
    if row := free_row(history, history.shape.root):
        write(history, history.shape.root, row)
    run(history)
    rename_all(history, history.world.pick(history.shape.linked))
    history.world.now += SETTLED
    run(history)


def rename_while_a_run_begins(history: History) -> None:
    """Names change between the first look of ``init`` and the horizon, and are settled at once."""
    history.note("scenario: renamed while a run begins")
    world, table = history.world, history.world.pick(history.shape.linked)
    link_all(history, table)
    rest(history)
    run(history)

    def rename() -> None:
        rename_all(history, table)
        world.now += SETTLED

    world.meanwhile_at("info", 1, rename)
    run(history)
    world.doom = None


def rename_during_the_first_load(history: History) -> None:
    """Names change while everything is loaded again; the task that would see it at once dies."""
    history.note("scenario: everything is loaded while names change")
    world, table = history.world, history.world.pick(history.shape.linked)
    add_roots(history, 3)
    link_all(history, table)
    rest(history)
    delete_cursors(history, *history.cursors.texts)

    def rename() -> None:
        rename_all(history, table)
        if world.chance(0.7):
            world.doom_at(f"feed/page.sql {table}", 1)

    world.meanwhile_at(f"{history.shape.definition.name}/documents.sql", 2, rename)
    run(history, retries=0, asked=RunParams(page_size=2))
    world.doom = None


def rename_and_back(history: History) -> None:
    """A name changes, the task that sends it dies, its cursor is deleted; the name is as before.

    The name and its link to the document are above the horizon: only there the document is
    compared although the stream is loaded again. A link of the root's stream, whose cursor stays,
    is below: else the task dies in that stream.
    """
    history.note("scenario: a cursor is deleted while a request is under way")
    shape, table = history.shape, history.world.pick(history.shape.linked)
    root = new_row(shape.root, f"{shape.root[0]}{history.runs}-back", "back")
    key = f"{table[0]}-{root.id}"
    named, link = new_row(table, key, key), shape.link(f"l{key}", root.id, key)

    def linked() -> None:
        write(history, table, named)
        write(history, shape.link_table(table), link)

    write(history, shape.root, root)
    if shape.has_links:
        linked()
    rest(history)
    run(history)
    history.postgres.begin()
    if shape.has_links:
        write(history, table, named)
    else:
        linked()
    run(history)
    write(history, table, named._replace(name=f"{key} other"))
    leave_under_way(history, root)
    delete_cursors(history, table)
    if not is_locked(history, table, key):
        write(history, table, named)
    run(history)
    read_before_it_arrives(history)


def rename_before_a_reload(history: History) -> None:
    """Names change; a reload dies while it puts the cursors in order, and nobody asks again."""
    history.note("scenario: a reload dies")
    world, table = history.world, history.world.pick(history.shape.linked)
    link_all(history, table)
    rest(history)
    run(history)
    rename_all(history, table)
    world.now += SETTLED
    world.doom_at(f"saved cursor {table}", 1)
    run(history, reload="all", retries=0)
    world.doom = None


def rename_back_in_a_run(history: History) -> None:
    """A name changes and is as before when the document with it is on its way already."""
    history.note("scenario: renamed back in a run")
    world, table = history.world, history.world.pick(history.shape.linked)
    shape = history.shape
    named = new_row(table, f"{table[0]}{history.runs}-still", "still")
    write(history, table, named)
    for number in range(world.pick((1, 1, 1, 1, 3))):
        root = new_row(shape.root, f"{shape.root[0]}{history.runs}-{number}-still", "still")
        write(history, shape.root, root)
        write(history, shape.link_table(table), shape.link(f"l-{root.id}", root.id, named.id))
    rest(history)
    run(history)
    write(history, table, named._replace(name="other"))
    world.now += SETTLED
    world.meanwhile_at(f"feed/undated.sql {table}", 1, lambda: write(history, table, named))
    run(history)
    world.doom = None
