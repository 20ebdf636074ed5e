"""The catalogue as it was found: what the queries have to know of its tables."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl import __version__
from movies_etl.state.visible import Visible


class Layout(BaseModel):
    """What the queries have to know.

    :param name: of the schema; empty in the context of a run that an older version of the program
        began.
    :param stamps: what the catalogue calls the columns ``modified`` and ``created``.
    :param without_zone: tables whose cursor column has no time zone.
    :param zone: the zone of those columns.
    :param lowest_ids: by table, the id that no other comes before.
    :param idless: tables whose ids may be NULL.
    :param ambiguous: tables in which several rows may share an id.
    :param partitioned: tables that have partitions.
    :param oids: by table, its number: a table that is dropped and created again has another.
    :param altered_by: by table, the newest transaction that changed one of its columns.
    :param visible: what was visible before this was learned; None where the role may not know.
    :param is_earlier: an earlier run learned it: if something became visible since, the role's
        rights may have changed, too.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    stamps: dict[str, str]
    without_zone: tuple[str, ...]
    zone: str
    lowest_ids: dict[str, str]
    idless: tuple[str, ...]
    ambiguous: tuple[str, ...]
    partitioned: tuple[str, ...]
    oids: dict[str, int]
    altered_by: dict[str, int]
    visible: Visible | None = None
    is_earlier: bool = False

    @property
    def settings(self) -> tuple[str, dict[str, str], str]:
        """The settings by which rows are found: schema, names of cursor columns, zone."""
        return self.name, self.stamps, self.zone

    @property
    def reader(self) -> str:
        """What decides which rows are found, beside the rows: those settings and the program.

        The columns stand in a fixed order: a task gets its layout from another task, and the keys
        in it may have moved.
        """
        stamps = (self.stamps[key] for key in sorted(self.stamps))
        return " ".join((__version__, self.name, *stamps, self.zone))


class LayoutStore(Protocol):
    """Keeps what the last run learned of the catalogue."""

    def load(self) -> Layout | None:
        """Return it, marked as an earlier run's; None where there is nothing that can be read."""

    def save(self, layout: Layout) -> None:
        """Keep it in place of what was kept before."""


class Layouts:
    """What runs learn of the catalogue: read once per run, and kept where the next one can use it.

    :param store: where it is kept.

    ``known`` is what an earlier run learned.
    """

    def __init__(self, store: LayoutStore) -> None:
        self._store = store
        self.known = store.load()

    def look(self, learned: Layout, seen: Visible | None) -> None:
        """Keep what a run learned, if the next one may find the same still visible.

        On a server that commits all the time it does not, and nothing is written.

        :param seen: what was visible when the run before read.
        """
        visible, before = learned.visible, self.known and self.known.visible
        if visible is None or visible == before:
            return
        if before is None or (seen and visible.is_same(seen)):
            self._store.save(learned)
