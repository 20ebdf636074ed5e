"""What operators do: cursors deleted, indexes replaced, tasks cleared, films asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from movies_etl.es import admin
from movies_etl.sync.asked_for import RunParams
from movies_etl.sync.starting_points import Reload
from movies_etl.sync.versions import RESERVED_MICROSECONDS

from tests.simulation.runs import clear, run
from tests.simulation.world import ACTION, MINUTE, SECOND

if TYPE_CHECKING:
    from tests.simulation.elasticsearch import IndexModel
    from tests.simulation.history import History


def operate(history: History) -> None:
    """Do one of the things that operators do."""
    history.world.pick(DEEDS)(history)


def delete_cursors(history: History, *names: str) -> None:
    """Delete these cursors, else one or all; not while documents are ahead of the clock."""
    clock = history.world.database_clock + RESERVED_MICROSECONDS
    for index in history.node.indexes.values():
        if any(held.version > clock for held in index.held.values()):
            return
    kept = tuple(history.cursors.texts)
    if kept and not names:
        names = kept if history.world.chance(0.4) else (history.world.pick(kept),)
    for name in names:
        history.cursors.texts.pop(name, None)
    history.note("deleted the cursors of %s", names)


def replace_index(history: History) -> None:
    """Delete the index, move the alias to an empty one, or recreate it under its name."""
    node, name = history.node, next(iter(sorted(history.node.aliased)), None)
    if name is None or not history.operated:
        return
    history.tally.recreated += 1
    draw = history.world.random.random()
    if draw < 0.4:
        node.delete(name)
        history.note("deleted index %s", name)
        return
    mappings = admin.described(history.shape.definition, history.settings.include_dir)["mappings"]
    if draw < 0.7 or history.tasks:  # under a running task it would be taken for the same
        node.aliased.discard(name)
        name = f"{node.alias}-manual-{history.tally.recreated}"
    node.create(name, mappings, aliased=True)
    history.note("alias %s leads to a fresh %s", node.alias, name)


def repair_alias(history: History) -> None:
    """Leave the alias to one index, when it was moved while ``init`` created one."""
    for name in sorted(history.node.aliased)[1:]:
        history.node.aliased.discard(name)


def empty_index(history: History) -> None:
    """Delete every document by hand; seen only while nothing writes until the next init."""
    live = history.node.live()
    if live and not history.tasks and not history.node.late:
        live.held.clear()
        live.refresh()
        history.windows.clear()  # what a cleared task adds hides from init that it was emptied
        history.note("emptied the index")


def restore_index(history: History, snapshot: IndexModel) -> None:
    """Restore a snapshot over its index; seen only while nothing writes until the next init."""
    live = history.node.live()
    if live and live.uuid == snapshot.uuid and not history.tasks and not history.node.late:
        live.restore(snapshot)
        history.windows.clear()  # a cleared task would go on without an init
        history.note("restored the index")


def reload(history: History) -> None:
    """Trigger a run that loads a stream again."""
    streams = history.shape.definition.streams
    which: Reload = history.world.random.choice(("all", *(stream.name for stream in streams)))
    history.note("reload=%s", which)
    run(history, reload=which)


def clear_a_task(history: History) -> None:
    """Clear a task of an earlier run."""
    if history.windows:
        first = history.world.pick(history.shape.definition.streams).name
        clear(history, history.world.pick(history.windows), first)


def ask_for_documents(history: History) -> None:
    """Trigger a run that loads documents again, and replays dead letters."""
    rows = list(history.postgres.tables[history.shape.root])
    ids = history.world.random.sample(rows, min(2, len(rows)))
    replay = ("all",) if history.world.chance(0.5) else ()
    history.note("ids=%s replay=%s", ids, replay)
    run(history, asked=RunParams(ids=ids, replay=replay))


def set_clock(history: History) -> None:
    """Set the database's clock back, or right again."""
    world = history.world
    if not history.steps_back:
        return
    longest = world.random.choice((20 * ACTION, 4 * SECOND, 3 * MINUTE))
    world.set_back(0 if world.behind else world.random.randint(1, longest))
    history.note("the database's clock is %s s behind", world.behind / SECOND)


DEEDS = (
    delete_cursors,
    replace_index,
    repair_alias,
    empty_index,
    reload,
    ask_for_documents,
    clear_a_task,
    set_clock,
)
