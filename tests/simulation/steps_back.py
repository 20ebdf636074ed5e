"""Scenarios of a database whose clock is set back, by hand or because another server took over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync import Requests

from tests.simulation.staging import (
    free_row,
    free_rows,
    is_locked,
    link_all,
    rename_all,
    rest,
    write,
    write_in,
)
from tests.simulation.world import SECOND

if TYPE_CHECKING:
    from tests.simulation.history import History


ENDS = (
    ("bulk, carried out, before its answer", 1),
    ("bulk, carried out, before its answer", 1),
    ("bulk", 1),
    ("bulk", 2),
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
        history.world.behind = history.world.random.randint(SECOND, 4 * SECOND)
        rename_all(history, table)

    if history.world.chance(0.5):
        history.run()
        set_back()
    else:
        history.world.meanwhile_at(f"{table}/changed.sql", 1, set_back)
    history.run()
    history.world.doom = None


def die_and_go_back_in_time(history: History) -> None:
    """A task dies after a while; the clock is set back into that while; films change again.

    The transaction that changes them began before that while, so its rows are settled although the
    clock has not yet reached the versions that the dead task sent: less than a margin is missing.
    """
    world = history.world
    history.run()
    rest(history)
    films = free_rows(history, "film_work")
    history.note("scenario: a task dies and the clock is set back")
    write(history, "film_work", *(film._replace(title=f"{film.id} sooner") for film in films))
    transaction = history.postgres.begin()
    began = world.database_clock

    def dawdle() -> None:
        world.now += 8 * SECOND + world.random.randint(0, 3 * SECOND)
        world.doom_at(*world.pick(ENDS))

    world.meanwhile_at("documents.sql", world.pick((1, 2, 2, 3)), dawdle)
    history.run(retries=0, asked=Requests(page_size=1))
    world.doom = None
    if world.hushed:
        history.let_all_go()
    world.behind = max(0, world.now - began - 7 * SECOND)
    if transaction in history.postgres.open:
        free = [film for film in films if not is_locked(history, "film_work", film.id)]
        later = (film._replace(title=f"{film.id} later") for film in free)
        write_in(history, transaction, "film_work", *later)
        history.postgres.commit(transaction)
    history.run(retries=0)
    world.behind = 0
    world.now += 70 * SECOND
    history.run()


STEPS_BACK = (
    go_back_in_time,
    go_back_in_time,
    die_and_go_back_in_time,
    die_and_go_back_in_time,
)
"""Of histories in which the clock is set back, beside the others."""
