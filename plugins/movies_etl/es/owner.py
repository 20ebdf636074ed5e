"""Whose an index is: its mapping's ``_meta`` says it, from the moment that the index is created.

Names do not tell: two environments may share an Elasticsearch, and each finds an alias ``movies``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from movies_etl import __version__
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.state.database import Database

_KEY = "movies_etl"
"""The key of ``_meta`` that is this program's; others may be anybody's."""


class Owner(BaseModel):
    """The database that an index is filled from.

    :param database: its name.
    :param system_identifier: of its cluster, None where the role may not read it.
    :param version: of the program that wrote this.
    """

    model_config = ConfigDict(frozen=True)

    database: str
    system_identifier: str | None = None
    version: str

    @classmethod
    def of(cls, database: Database) -> Self:
        """Return the owner of an index that this program fills from a database."""
        return cls(
            database=database.name,
            system_identifier=database.system_identifier,
            version=__version__,
        )

    def __str__(self) -> str:
        cluster = self.system_identifier or "with an unknown identifier"
        return f"{self.database} of cluster {cluster}"

    def is_database(self, database: Database) -> bool:
        """Whether this is that database, as far as can be told."""
        own = Database(name=self.database, system_identifier=self.system_identifier)
        return own.difference_from(database) is None


def owner_of(mapping: Mapping[str, Any]) -> Owner | None:
    """Return whose an index is by its mapping; None of one that version 0.1.0 made.

    A value that is no owner was written by someone else; it is ignored and overwritten.
    """
    try:
        return Owner.model_validate((mapping.get("_meta") or {}).get(_KEY))
    except ValidationError:
        return None


def is_made_here(mapping: Mapping[str, Any]) -> bool:
    """Whether a mapping without an owner looks like one that version 0.1.0 made."""
    checksum = mapping.get("properties", {}).get("checksum", {})
    return bool(mapping.get("dynamic") == "strict" and checksum.get("type") == "long")


def owned(described: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    """Return the description of an index with its owner in the mapping's ``_meta``."""
    mapping = described["mappings"]
    return {**described, "mappings": {**mapping, "_meta": _with_owner(mapping, owner)}}


def claim(index: Index, mapping: Mapping[str, Any], owner: Owner) -> None:
    """Write an index's owner.

    :param mapping: the index's, whose ``_meta`` may have other keys.
    """
    with translated_errors():
        index.client.indices.put_mapping(index=index.name, meta=_with_owner(mapping, owner))


def _with_owner(mapping: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    return {**mapping.get("_meta", {}), _KEY: owner.model_dump()}
