"""What was visible at a moment, and what a stream had read by then.

While two looks are equal, nothing became visible between them: docs/adr/0009 has the proof. So what
was read after the first of them need not be read again.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict


class Cluster(NamedTuple):
    """What tells one cluster from another; see ``include/sql/cluster.sql``.

    :param life: the time from one start or recovery to the next, for one database and one role.
    :param snapshot: what is visible in it.
    """

    system_identifier: str
    timeline: int
    life: str
    snapshot: str


class Visible(BaseModel):
    """What was visible in a database.

    :param server: which life of which server it was; see :class:`Cluster`.
    :param snapshot: PostgreSQL's, as text.
    :param reader: what read: the program's version, and the settings by which it finds rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str
    snapshot: str
    reader: str

    def is_same(self, other: Visible) -> bool:
        """Whether nothing became visible between two looks of readers that read alike."""
        return (self.server, self.snapshot, self.reader) == (
            other.server,
            other.snapshot,
            other.reader,
        )

    @classmethod
    def of(cls, cluster: Cluster | None, reader: str) -> Self | None:
        """Return what is visible; None where the cluster is not known."""
        return cluster and cls(server=cluster.life, snapshot=cluster.snapshot, reader=reader)
