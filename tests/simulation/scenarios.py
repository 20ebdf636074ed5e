"""Short courses of events that chance alone would seldom put in this order.

Each is woven into the histories at random, with everything else going on around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.events import arrive, meet_a_rival
from tests.simulation.fan_outs import go_on_with_the_page_of_a_newer_run, leave_the_page
from tests.simulation.operators import empty_index, replace_index, restore_index
from tests.simulation.postgres import INFINITY, MINUS_INFINITY
from tests.simulation.renames import (
    rename_and_back,
    rename_back_in_a_run,
    rename_before_a_reload,
    rename_during_the_first_load,
    rename_what_was_just_loaded,
    rename_while_a_run_begins,
)
from tests.simulation.runs import run
from tests.simulation.staging import (
    SETTLED,
    add_films,
    any_film,
    die,
    free_row,
    free_rows,
    is_locked,
    leave_under_way,
    read_before_it_arrives,
    rest,
    write,
    write_in,
)
from tests.simulation.world import weighted

if TYPE_CHECKING:
    from tests.simulation.history import History


def change_its_mind(history: History) -> None:
    """A film goes from A to B, the task that sends B dies, and it is A again when B arrives."""
    film = any_film(history)
    run(history)
    if film is None or is_locked(history, "film_work", film.id):
        return
    history.note("scenario: from A to B and back")
    write(history, "film_work", film._replace(title=film.title + "!"))
    if history.world.chance(0.3):
        die(history, "bulk, carried out, before its answer", 1)  # nor has it been refreshed
    else:
        leave_under_way(history, film)
    if not is_locked(history, "film_work", film.id):
        write(history, "film_work", film)
    read_before_it_arrives(history)


def be_refused_in_between(history: History) -> None:
    """A film is refused, or no longer, in a run that dies; it is as before when that arrives."""
    film = any_film(history)
    if film is None:
        return
    good = film._replace(rating=1.5)
    bad = film._replace(rating=float("nan"))
    before, between = history.world.pick(((good, bad), (bad, good)))
    history.note("scenario: refused in between")
    write(history, "film_work", before)
    run(history)
    write(history, "film_work", between)
    leave_under_way(history, film)
    if not is_locked(history, "film_work", film.id):
        write(history, "film_work", before)
    read_before_it_arrives(history)


def lose_its_date(history: History) -> None:
    """A film changes when its ``modified`` is NULL or infinite."""
    film = any_film(history)
    if film is None:
        return
    history.note("scenario: a film loses its date")
    run(history)
    if not is_locked(history, "film_work", film.id):
        transaction = history.postgres.begin()
        stamp = history.world.pick((None, INFINITY, MINUS_INFINITY))
        undated = film._replace(title=film.title + "?", stamp=stamp, xmin=transaction.xmin)
        transaction.writes.append(("film_work", undated))
        history.postgres.commit(transaction)
    run(history)


def be_prepared_for_a_while(history: History) -> None:
    """A film changes in a prepared transaction, another after it; both are read when each ends."""
    rest(history)
    film = any_film(history)
    if film is None:
        return
    history.note("scenario: prepared for a while")
    transaction = history.postgres.begin()
    write_in(history, transaction, "film_work", film._replace(title=film.title + "-"))
    history.postgres.prepare(transaction)
    history.world.now += SETTLED
    if other := free_row(history, "film_work"):
        write(history, "film_work", other)
    history.world.now += SETTLED
    run(history)
    if transaction in history.postgres.prepared:
        history.postgres.commit(transaction)
    run(history)


def be_overtaken(history: History) -> None:
    """Another run begins while a task is at the first of several pages."""
    history.note("scenario: another run begins")
    add_films(history, 4)
    for film in free_rows(history, "film_work")[:4]:
        write(history, "film_work", film)
    rest(history)
    history.world.meanwhile_at("movies/documents.sql", 1, lambda: meet_a_rival(history))
    run(history, asked=RunParams(page_size=1))
    history.world.doom = None


def lose_the_index(history: History) -> None:
    """Everything is loaded, then the index is replaced or emptied."""
    rest(history)
    run(history)
    while history.node.late:
        arrive(history)
    history.note("scenario: the index is lost")
    history.world.pick((replace_index, empty_index, empty_index))(history)
    run(history)


def restore_the_index(history: History) -> None:
    """Everything is loaded, a film changes and is loaded, and the index is put back."""
    rest(history)
    run(history)
    live, film = history.node.live(), any_film(history)
    if live is None or film is None or is_locked(history, "film_work", film.id):
        return
    history.note("scenario: the index is restored")
    snapshot = live.copy()
    write(history, "film_work", film._replace(title=film.title + "+"))
    history.world.now += SETTLED
    run(history)
    while history.node.late:
        arrive(history)
    restore_index(history, snapshot)
    run(history)


SCENARIOS = weighted(
    (be_refused_in_between, 10),
    (change_its_mind, 1),
    (leave_the_page, 4),
    (go_on_with_the_page_of_a_newer_run, 4),
    (rename_during_the_first_load, 3),
    (rename_what_was_just_loaded, 1),
    (rename_while_a_run_begins, 2),
    (rename_back_in_a_run, 5),
    (be_overtaken, 2),
    (lose_its_date, 2),
    (be_prepared_for_a_while, 2),
)
"""Of any history; the more conditions one has to meet, the more often it is tried."""

OF_OPERATORS = weighted(
    (lose_the_index, 8),
    (restore_the_index, 6),
    (rename_and_back, 15),
    (rename_before_a_reload, 9),
)
"""Of histories in which operators do something, beside the others."""
