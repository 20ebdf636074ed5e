"""What is done to the index behind the program's back, and to what PostgreSQL counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.world import weighted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.elasticsearch import IndexModel
    from tests.simulation.history import History


def damage(history: History) -> None:
    """Delete, change or add a document by hand, or reset the statistics of deletions."""
    live = history.node.live()
    if live is not None:
        history.world.pick(DEEDS)(history, live)
        live.refresh()


def delete_document(history: History, live: IndexModel) -> None:
    """Delete a document."""
    if live.held:
        key = history.world.pick(sorted(live.held))
        live.remove(key, live.version(key) + 1)
        history.is_damaged = True
        history.note("document %s is deleted by hand", key)


def change_document(history: History, live: IndexModel) -> None:
    """Change a document; its checksum stays where the next look at what was written will see it."""
    if not live.held:
        return
    key = history.world.pick(sorted(live.held))
    source = live.held[key].source | {history.shape.text: "changed by hand"}
    if not is_followed(history, live):
        source["checksum"] = 1
        history.is_damaged = True
    live.put(key, live.version(key) + 1, source)
    history.note("document %s is changed by hand", key)


def is_followed(history: History, live: IndexModel) -> bool:
    """Whether the reconcile has noted up to where the documents of this index were written."""
    state = history.reconciled.load()
    is_of_it = state is not None and (state.index, state.history) == (live.uuid, live.history)
    return is_of_it and state is not None and state.written is not None


def add_stray(history: History, live: IndexModel) -> None:
    """Add a document that no row leads to, with an id, with another's id, or without one."""
    key = f"stray {history.world.pick('ABC')}"
    id_ = history.world.pick((key, *sorted(live.held), None))
    source = {history.shape.text: "a stray"} | ({} if id_ is None else {"id": id_})
    live.put(key, live.version(key) + 1, source)
    history.is_damaged = True
    history.note("document %s of %s is added by hand", key, id_)


def lose_statistics(history: History, _live: IndexModel | None = None) -> None:
    """Let PostgreSQL forget what it counted, as in a crash."""
    history.postgres.deletions.crash()
    history.note("the statistics are lost")


DEEDS: list[Callable[[History, IndexModel], None]] = weighted(
    (delete_document, 2), (change_document, 3), (add_stray, 2), (lose_statistics, 2)
)
