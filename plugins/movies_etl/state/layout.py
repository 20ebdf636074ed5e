"""The catalogue as it was found: what the queries have to know of its tables."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from movies_etl import __version__
from movies_etl.state.visible import Visible


class Layout(BaseModel):
    """What the queries have to know.

    :param name: of the schema; empty in the context of a run that began before this was noted.
    :param stamps: what the catalogue calls the columns ``modified`` and ``created``.
    :param without_zone: tables whose cursor column has no time zone.
    :param zone: the zone of those columns.
    :param lowest_ids: by table, the id that no other comes before.
    :param idless: tables whose ids may be NULL.
    :param ambiguous: tables of whose rows several may share an id.
    :param partitioned: tables that have partitions.
    :param oids: by table, its number: a table that is dropped and created again has another.
    :param altered_by: by table, the newest transaction that changed one of its columns.
    :param visible: what was visible before this was learned; None where the role may not know.
    :param is_earlier: an earlier run learned it: since something became visible the role's rights
        may be others, too.
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
        """What decides which rows are found, beside the rows: those settings and the program."""
        return " ".join((__version__, self.name, *self.stamps.values(), self.zone))


class LayoutStore(Protocol):
    """Keeps what the last run learned of the catalogue."""

    def load(self) -> Layout | None:
        """Return it, marked as an earlier run's; None where there is nothing that can be read."""

    def save(self, layout: Layout) -> None:
        """Keep it in place of what was kept before."""


def remember(store: LayoutStore, known: Layout | None, learned: Layout | None) -> None:
    """Keep what a run learned, if the next one can use it and does not know it.

    :param known: what the store has.
    """
    if learned and learned.visible and (known is None or known.visible != learned.visible):
        store.save(learned)
