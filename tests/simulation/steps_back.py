"""Scenarios of a database whose clock is set back, by hand or because another server took over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.events import let_all_go
from tests.simulation.runs import run
from tests.simulation.staging import (
    add_films,
    free_row,
    free_rows,
    is_locked,
    link_all,
    rename_all,
    rest,
    write,
    write_in,
)
from tests.simulation.world import SECOND, weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


ENDS = (
    ("bulk, carried out, before its answer", 1),
    ("bulk, carried out, before its answer", 1),
    ("bulk", 1),
)
"""Where the task dies that had sent something just before."""


def go_back_in_time(history: History) -> None:
    """Films are loaded, the clock is set back (in a run or before one), and names change."""
    film = free_row(history, "film_work")
    if film is None:
        return
    write(history, "film_work", film._replace(title=f"{film.id} sooner"))
    history.note("scenario: the clock is set back")
    table = history.world.pick(("genre", "person"))
    link_all(history, table)

    def set_back() -> None:
        history.world.set_back(history.world.random.randint(SECOND, 4 * SECOND))
        rename_all(history, table)

    if history.world.chance(0.5):
        run(history)
        set_back()
    else:
        history.world.meanwhile_at(f"feed/page.sql {table}", 1, set_back)
    run(history)
    history.world.doom = None


def die_and_go_back_in_time(history: History) -> None:
    """A task dies after a while; the clock is set back into that while; films change again.

    The transaction that changes them began before that while, so its rows are settled although the
    clock has not yet reached the versions that the dead task sent: less than a margin is missing.
    """
    world = history.world
    add_films(history, 3)
    run(history)
    rest(history)
    films = free_rows(history, "film_work")
    history.note("scenario: a task dies and the clock is set back")
    write(history, "film_work", *(film._replace(title=f"{film.id} sooner") for film in films))
    transaction = history.postgres.begin()
    began = world.database_clock

    def dawdle() -> None:
        world.now += 8 * SECOND + world.random.randint(0, 3 * SECOND)
        world.doom_at(*world.pick(ENDS))

    # The version of a page is read just before its documents: that of the next is a while later.
    world.meanwhile_at("movies/documents.sql", world.pick((1, 1, 2)), dawdle)
    run(history, retries=0, asked=RunParams(page_size=1))
    world.doom = None
    if world.hushed:
        let_all_go(history)
    world.set_back(max(0, world.now - began - 7 * SECOND))
    if transaction in history.postgres.open:
        free = [film for film in films if not is_locked(history, "film_work", film.id)]
        later = (film._replace(title=f"{film.id} later") for film in free)
        write_in(history, transaction, "film_work", *later)
        history.postgres.commit(transaction)
    run(history, retries=0)
    world.set_back(0)
    world.now += 70 * SECOND
    run(history)


STEPS_BACK = weighted((go_back_in_time, 1), (die_and_go_back_in_time, 2))
"""Of histories in which the clock is set back, beside the others."""
