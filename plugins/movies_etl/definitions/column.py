"""What a column of the catalogue must be for the queries to work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """What is asked of a column.

    :param kind: ``id``; ``key``, the id of another table's row; ``stamp``, a cursor column; a
        ``text`` or a ``number`` that documents show, or ``any`` other type.
    :param of: for a key, the table whose ids it holds.
    :param known: for a text, the values that ``documents.sql`` knows by name; rows of other values
        appear in no document. Empty: it shows any.
    """

    kind: Literal["id", "key", "stamp", "text", "number", "any"]
    of: str = ""
    known: tuple[str, ...] = ()


ID = Column("id")
STAMP = Column("stamp")
TEXT = Column("text")
NUMBER = Column("number")
ANY = Column("any")
ROLE = Column("text", known=("actor", "director", "writer"))
