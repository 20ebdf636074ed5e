"""Scenarios of a fan-out that is killed: it goes on where it was, with the page that it was at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.sync.asked_for import RunParams

from tests.simulation.edits import MOST_FILMS
from tests.simulation.runs import clear, run
from tests.simulation.shapes import Root
from tests.simulation.shapes import row as new_row
from tests.simulation.staging import SETTLED, die, is_locked, rest, write

if TYPE_CHECKING:
    from tests.simulation.history import History


def leave_the_page(history: History) -> None:
    """Three rows are renamed; their fan-out is killed; the first is renamed again."""
    table, three = _die_in_a_fan_out(history)
    if not is_locked(history, table, three[0].id):
        write(history, table, three[0]._replace(name=f"{three[0].id} again"))
    run(history, asked=RunParams(page_size=2))


def go_on_with_the_page_of_a_newer_run(history: History) -> None:
    """The task of the run before is cleared, goes on there, and dies before it reads its tail."""
    table, _three = _die_in_a_fan_out(history)
    if len(history.windows) > 1:
        history.world.doom_at(f"saved cursor {table}", history.world.pick((2, 2, 3)))
        clear(history, history.windows[-2], table)
        history.world.doom = None


def _die_in_a_fan_out(history: History) -> tuple[str, list[Root]]:
    """Rename three rows that lead to four documents; kill the task that follows them."""
    shape, table = history.shape, history.world.pick(history.shape.linked)
    roots = [f"{shape.root[0]}{history.runs}-{number}" for number in range(4)]
    if len(history.postgres.tables[shape.root]) > MOST_FILMS:
        roots = sorted(history.postgres.tables[shape.root])
    else:
        rows = (new_row(shape.root, key, key + shape.padding) for key in roots)
        write(history, shape.root, *rows)
    three = [
        new_row(table, f"{table[0]}{history.runs}-{letter}", f"{history.runs} {letter}")
        for letter in "abc"
    ]
    write(history, table, *three)
    for row, root in zip((0, 0, 1, 2), (0, 2, 3, 1), strict=True):
        key = three[row].id
        link = shape.link(f"l{roots[root]}-{key}", roots[root], key)
        write(history, shape.link_table(table), link)
    rest(history)
    run(history)
    history.note("scenario: the fan-out of %s is killed", table)
    write(history, table, *(row._replace(name=f"{row.id} other") for row in three))
    history.world.now += SETTLED
    asked = RunParams(page_size=2)
    die(history, f"saved cursor {table}", history.world.pick((2, 2, 3)), asked)
    return table, three
