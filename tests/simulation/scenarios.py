"""Short courses of events that chance alone would seldom put in this order.

Each is woven into the histories at random, with everything else going on around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync import Requests

from tests.simulation.postgres import INFINITY, MINUS_INFINITY, Film, Link, Named
from tests.simulation.staging import (
    SETTLED,
    any_film,
    die,
    free_row,
    free_rows,
    is_locked,
    leave_under_way,
    link_all,
    read_before_it_arrives,
    rename_all,
    rest,
    write,
    write_in,
)
from tests.simulation.writers import DESCRIPTION, MOST_FILMS

if TYPE_CHECKING:
    from tests.simulation.history import History


def change_its_mind(history: History) -> None:
    """A film goes from A to B, the task that sends B dies, and it is A again when B arrives."""
    film = any_film(history)
    history.run()
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
    history.run()
    write(history, "film_work", between)
    leave_under_way(history, film)
    if not is_locked(history, "film_work", film.id):
        write(history, "film_work", before)
    read_before_it_arrives(history)


def leave_the_page(history: History) -> None:
    """Three genres or persons are renamed; their fan-out is killed; the first is renamed again."""
    table, three = _die_in_a_fan_out(history)
    if not is_locked(history, table, three[0].id):
        write(history, table, three[0]._replace(name=f"{three[0].id} again"))
    history.run(asked=Requests(page_size=2))


def go_on_with_the_page_of_a_newer_run(history: History) -> None:
    """The task of the run before is cleared, goes on there, and dies before it reads its tail."""
    table, _three = _die_in_a_fan_out(history)
    if len(history.windows) > 1:
        history.world.doom_at(f"saved cursor {table}", history.world.pick((2, 2, 3)))
        history.clear(history.windows[-2], table)
        history.world.doom = None


def _die_in_a_fan_out(history: History) -> tuple[str, list[Named]]:
    """Rename three genres or persons of four films; kill the task that follows them."""
    table = history.world.pick(("genre", "person"))
    films = [f"f{history.runs}-{number}" for number in range(4)]
    if len(history.postgres.tables["film_work"]) > MOST_FILMS:
        films = sorted(history.postgres.tables["film_work"])
    else:
        write(history, "film_work", *(Film(key, None, "", key, None, DESCRIPTION) for key in films))
    three = [
        Named(f"{table[0]}{history.runs}-{letter}", None, "", f"{history.runs} {letter}")
        for letter in "abc"
    ]
    write(history, table, *three)
    for row, film in zip((0, 0, 1, 2), (0, 2, 3, 1), strict=True):
        key = three[row].id
        link = Link(f"l{films[film]}-{key}", None, "", films[film], key, "actor")
        write(history, f"{table}_film_work", link)
    rest(history)
    history.run()
    history.note(f"scenario: the fan-out of {table} is killed")
    write(history, table, *(row._replace(name=f"{row.id} other") for row in three))
    history.world.now += SETTLED
    asked = Requests(page_size=2)
    die(history, f"saved cursor {table}", history.world.pick((2, 2, 3)), asked)
    return table, three


def rename_what_was_just_loaded(history: History) -> None:
    """A film is loaded, and a moment later a person or genre of it has another name."""
    history.note("scenario: renamed just after the load")
    if film := free_row(history, "film_work"):
        write(history, "film_work", film)
    history.run()
    rename_all(history, history.world.pick(("genre", "person")))
    history.world.now += SETTLED
    history.run()


def rename_while_a_run_begins(history: History) -> None:
    """Names change between the first look of ``init`` and the horizon, and are settled at once."""
    history.note("scenario: renamed while a run begins")
    world, table = history.world, history.world.pick(("genre", "person"))
    link_all(history, table)
    rest(history)
    history.run()

    def rename() -> None:
        rename_all(history, table)
        world.now += SETTLED

    world.meanwhile_at("info", 1, rename)
    history.run()
    world.doom = None


def rename_during_the_first_load(history: History) -> None:
    """Names change while everything is loaded again; the task that would see it at once dies."""
    history.note("scenario: everything is loaded while names change")
    world, table = history.world, history.world.pick(("genre", "person"))
    link_all(history, table)
    rest(history)
    history.delete_cursors(everything=True)

    def rename() -> None:
        rename_all(history, table)
        if world.chance(0.7):
            world.doom_at(f"{table}/changed.sql", 1)

    world.meanwhile_at("documents.sql", 2, rename)
    history.run(retries=0, asked=Requests(page_size=2))
    world.doom = None


def lose_its_date(history: History) -> None:
    """A film changes when its ``modified`` is NULL or infinite."""
    film = any_film(history)
    if film is None:
        return
    history.note("scenario: a film loses its date")
    history.run()
    if not is_locked(history, "film_work", film.id):
        transaction = history.postgres.begin()
        stamp = history.world.pick((None, INFINITY, MINUS_INFINITY))
        undated = film._replace(title=film.title + "?", stamp=stamp, xmin=transaction.xmin)
        transaction.writes.append(("film_work", undated))
        history.postgres.commit(transaction)
    history.run()


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
    history.run()
    if transaction in history.postgres.prepared:
        history.postgres.commit(transaction)
    history.run()


def be_overtaken(history: History) -> None:
    """Another run begins while a task is at the first of several pages."""
    history.note("scenario: another run begins")
    for film in free_rows(history, "film_work")[:4]:
        write(history, "film_work", film)
    rest(history)
    history.world.meanwhile_at("documents.sql", 1, history.meet_a_rival)
    history.run(asked=Requests(page_size=1))
    history.world.doom = None


def lose_the_index(history: History) -> None:
    """Everything is loaded, then the index is replaced or emptied."""
    rest(history)
    history.run()
    while history.node.late:
        history.arrive()
    history.note("scenario: the index is lost")
    history.world.pick((history.replace_index, history.empty_index, history.empty_index))()
    history.run()


SCENARIOS = (
    *[be_refused_in_between] * 6,
    *[change_its_mind] * 3,
    *[leave_the_page] * 4,
    *[go_on_with_the_page_of_a_newer_run] * 4,
    *[rename_during_the_first_load] * 3,
    rename_what_was_just_loaded,
    rename_while_a_run_begins,
    be_overtaken,
    *[lose_its_date] * 2,
    *[be_prepared_for_a_while] * 2,
)
"""Of any history; the more conditions one has to meet, the more often it is tried."""

OF_OPERATORS = (lose_the_index,) * 3
"""Of histories in which operators do something, beside the others."""
