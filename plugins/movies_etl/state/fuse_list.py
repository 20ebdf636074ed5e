"""A list of documents of which so many differ that a person is asked before anything is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from movies_etl.state.cursors import Stamp

Kind = Literal["deletions", "rewrites"]
"""What would be done to the documents."""

ListState = Literal["waiting", "refused", "done"]


class FuseList(BaseModel):
    """What is known of a list; its ids lie beside it.

    :param digest: of the kind, the index and the ids: the same documents are the same list.
    :param index: uuid of the concrete index that the documents are in.
    :param count: how many documents are on the list.
    :param documents: how many documents there were, of which the list is a share.
    :param examples: titles or names of the first documents.
    :param state: ``waiting`` for an answer, ``refused`` by one, or ``done``: carried out, or of no
        use any more.
    :param found_at: the database's time when it was made.
    :param asked_at: when a run began to ask; None before.
    :param asked_by: the id of that run.
    :param answered_at: when the answer was carried out or kept.
    :param answered_by: who gave it; None when time ran out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    kind: Kind
    index: str
    count: int
    documents: int
    examples: tuple[str, ...] = ()
    state: ListState = "waiting"
    found_at: Stamp
    asked_at: Stamp | None = None
    asked_by: str | None = None
    answered_at: Stamp | None = None
    answered_by: str | None = None

    @property
    def share(self) -> float:
        """The part of the documents that is on the list."""
        return self.count / max(self.documents, 1)


def digest_of(kind: Kind, index: str, ids: Iterable[str]) -> str:
    """Return the digest that tells a list from others.

    :param ids: in the order of their bytes.
    """
    digest = hashlib.sha256(f"{kind}\n{index}".encode())
    for id_ in ids:
        digest.update(f"\n{id_}".encode())
    return digest.hexdigest()
