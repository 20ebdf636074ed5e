"""Short courses of events that chance alone would seldom put in this order.

Each is woven into the histories at random, with everything else going on around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movies_etl.sync import Requests

from tests.simulation.elasticsearch import POISON
from tests.simulation.postgres import Film, Link, Named
from tests.simulation.world import SECOND
from tests.simulation.writers import DESCRIPTION, MOST_FILMS

if TYPE_CHECKING:
    from tests.simulation.history import History


def change_its_mind(history: History) -> None:
    """A film goes from A to B, the task that sends B dies, and it is A again when B arrives."""
    history.run()
    film = _free_row(history, "film_work")
    if film is None or film.title.startswith(POISON):
        return
    history.note("scenario: from A to B and back")
    _write(history, "film_work", film._replace(title=film.title + "!"))
    history.world.doom_at("bulk", history.world.pick((1, 1, 2)))
    history.run(retries=0)
    history.world.doom = None
    if not _is_locked(history, "film_work", film.id):
        _write(history, "film_work", film)
    history.run()


def be_refused_in_between(history: History) -> None:
    """A film is refused, or no longer, in a run that dies; it is as before when that arrives."""
    film = _free_row(history, "film_work")
    if film is None or film.title.startswith(POISON):
        return
    good = film._replace(rating=1.5)
    bad = film._replace(rating=float("nan"))
    before, between = history.world.pick(((good, bad), (bad, good)))
    history.note("scenario: refused in between")
    _write(history, "film_work", before)
    history.run()
    _write(history, "film_work", between)
    history.world.doom_at("bulk", 1)
    history.run(retries=0)
    history.world.doom = None
    if not _is_locked(history, "film_work", film.id):
        _write(history, "film_work", before)
    history.run()


def leave_the_page(history: History) -> None:
    """Three genres or persons are renamed; their fan-out is killed; the first is renamed again."""
    table, three = _die_in_a_fan_out(history)
    if not _is_locked(history, table, three[0].id):
        _write(history, table, three[0]._replace(name=f"{three[0].id} again"))
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
        _write(
            history, "film_work", *(Film(key, None, "", key, None, DESCRIPTION) for key in films)
        )
    three = [
        Named(f"{table[0]}{history.runs}-{letter}", None, "", f"{history.runs} {letter}")
        for letter in "abc"
    ]
    _write(history, table, *three)
    for row, film in zip((0, 0, 1, 2), (0, 2, 3, 1), strict=True):
        key = three[row].id
        link = Link(f"l{films[film]}-{key}", None, "", films[film], key, "actor")
        _write(history, f"{table}_film_work", link)
    history.writers.settle_down()
    history.world.now += 12 * SECOND
    history.run()
    history.note(f"scenario: the fan-out of {table} is killed")
    _write(history, table, *(row._replace(name=f"{row.id} other") for row in three))
    history.world.now += 12 * SECOND
    history.world.doom_at(f"saved cursor {table}", history.world.pick((2, 2, 3)))
    history.run(retries=0, asked=Requests(page_size=2))
    history.world.doom = None
    return table, three


def rename_what_was_just_loaded(history: History) -> None:
    """A film is loaded, and a moment later a person or genre of it has another name."""
    history.note("scenario: renamed just after the load")
    if film := _free_row(history, "film_work"):
        _write(history, "film_work", film)
    history.run()
    _rename_all(history, history.world.pick(("genre", "person")))
    history.world.now += 12 * SECOND
    history.run()


def go_back_in_time(history: History) -> None:
    """Films are loaded, the clock is set back (in a run or before one), and names change."""
    film = _free_row(history, "film_work")
    if film is None:
        return
    _write(history, "film_work", film._replace(title=f"{film.id} sooner"))
    history.note("scenario: the clock is set back")
    table = history.world.pick(("genre", "person"))

    def set_back() -> None:
        history.world.behind = history.world.random.randint(SECOND, 4 * SECOND)
        _rename_all(history, table)

    if history.world.chance(0.5):
        history.run()
        set_back()
    else:
        history.world.meanwhile_at(f"{table}/changed.sql", 1, set_back)
    history.run()
    history.world.doom = None


def die_and_go_back_in_time(history: History) -> None:
    """A task dies with several requests under way; the clock is set back; films change again."""
    history.run()
    films = _free_rows(history, "film_work")
    history.note("scenario: a task dies and the clock is set back")
    _write(history, "film_work", *(film._replace(title=f"{film.id} sooner") for film in films))
    history.world.doom_at("bulk", history.world.pick((2, 3, 4)))
    history.run(retries=0, asked=Requests(page_size=1))
    history.world.doom = None
    history.world.behind = history.world.random.randint(11, 50) * SECOND
    films = _free_rows(history, "film_work")
    _write(history, "film_work", *(film._replace(title=f"{film.id} later") for film in films))
    history.run(retries=0)
    history.world.behind = 0
    history.world.now += 70 * SECOND
    history.run()


def rename_during_the_first_load(history: History) -> None:
    """Names change while everything is loaded again; the task that would see it at once dies."""
    history.note("scenario: everything is loaded while names change")
    history.delete_cursors(everything=True)
    world, table = history.world, history.world.pick(("genre", "person"))

    def rename() -> None:
        _rename_all(history, table)
        if world.chance(0.7):
            world.doom_at(f"{table}/changed.sql", 1)

    world.meanwhile_at("documents.sql", 2, rename)
    history.run(retries=0, asked=Requests(page_size=2))
    world.doom = None


SCENARIOS = (
    be_refused_in_between,
    be_refused_in_between,
    change_its_mind,
    change_its_mind,
    change_its_mind,
    leave_the_page,
    leave_the_page,
    leave_the_page,
    go_on_with_the_page_of_a_newer_run,
    go_on_with_the_page_of_a_newer_run,
    go_on_with_the_page_of_a_newer_run,
    rename_what_was_just_loaded,
    rename_what_was_just_loaded,
    rename_during_the_first_load,
    rename_during_the_first_load,
    rename_during_the_first_load,
)
"""Of any history."""

STEPS_BACK = (go_back_in_time, go_back_in_time, die_and_go_back_in_time)
"""Of histories in which the clock is set back, beside the others."""


def _is_locked(history: History, table: str, key: str) -> bool:
    return history.postgres.is_locked(None, table, key)


def _free_row(history: History, table: str) -> Any | None:
    """Return a committed row that no open transaction has written."""
    rows = _free_rows(history, table)
    return history.world.pick(rows) if rows else None


def _free_rows(history: History, table: str) -> list[Any]:
    rows = history.postgres.tables[table]
    return [row for key, row in rows.items() if not _is_locked(history, table, key)]


def _write(history: History, table: str, *rows: Any) -> None:
    """Write rows at once, in a transaction of their own, each with its stamp."""
    transaction = history.postgres.begin()
    for row in rows:
        new = row._replace(stamp=transaction.stamp, xmin=transaction.xmin)
        transaction.writes.append((table, new))
        history.note(f"{transaction.name}: {table} {tuple(new)}")
    history.postgres.commit(transaction)


def _rename_all(history: History, table: str) -> None:
    letter = history.world.pick("DEFG")
    rows = _free_rows(history, table)
    _write(history, table, *(row._replace(name=f"{row.id} {letter}") for row in rows))
