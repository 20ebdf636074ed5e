"""Which database it is that is read, and whether it is the one that was read before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict


class Database(BaseModel):
    """Which database a cursor was read from; what is not known is None.

    :param system_identifier: the cluster's, None where the role may not read it.
    :param timeline: the cluster's: it rises when a server is promoted or restored.
    :param oid: the database's number in the cluster: a database that is dropped and created again
        under the same name has another.
    :param tables: the same numbers of the tables that are read, by table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    system_identifier: str | None = None
    timeline: int | None = None
    oid: int | None = None
    tables: Mapping[str, int] = {}

    def difference_from(self, other: Database) -> str | None:
        """Say why this cannot be another moment of the other database; None where it may be."""
        if self.name != other.name or _differ(self.system_identifier, other.system_identifier):
            return f"this is another database ({self.name}) than before ({other.name})"
        if _differ(self.oid, other.oid):
            return f"database {self.name} was dropped and created again"
        again = [name for name, oid in self.tables.items() if _differ(oid, other.tables.get(name))]
        if again:
            return f"dropped and created again, or replaced: {', '.join(sorted(again))}"
        return None

    def completed_by(self, other: Database) -> Self:
        """Return this with what another look knows: that counts where both know something."""
        told = {name: value for name, value in vars(other).items() if value is not None}
        return self.model_copy(update=told | {"tables": {**self.tables, **other.tables}})


def _differ(one: object, other: object) -> bool:
    """Whether both are known and differ."""
    return one is not None and other is not None and one != other
