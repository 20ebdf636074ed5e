"""The catalogue as it was found: what the queries have to know of its tables."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Layout(BaseModel):
    """What the queries have to know.

    :param stamps: what the catalogue calls the columns ``modified`` and ``created``.
    :param without_zone: tables whose cursor column has no time zone.
    :param zone: the zone of those columns.
    :param lowest_ids: by table, the id that no other comes before.
    :param idless: tables whose ids may be NULL.
    :param ambiguous: tables of whose rows several may share an id.
    :param partitioned: tables that have partitions.
    :param oids: by table, its number: a table that is dropped and created again has another.
    :param altered_by: by table, the newest transaction that changed one of its columns.
    """

    model_config = ConfigDict(frozen=True)

    stamps: dict[str, str]
    without_zone: tuple[str, ...]
    zone: str
    lowest_ids: dict[str, str]
    idless: tuple[str, ...]
    ambiguous: tuple[str, ...]
    partitioned: tuple[str, ...]
    oids: dict[str, int]
    altered_by: dict[str, int]
