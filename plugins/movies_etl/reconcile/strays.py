"""Strays: documents under a key that is not their id, which nothing here has written."""

from __future__ import annotations

from collections.abc import Mapping

from movies_etl.es.inventory import DocumentInventory, Listed

MAX_STRAYS = 1000
"""Documents under a wrong key that one look finds."""


def strays(documents: DocumentInventory, listed: Mapping[str, Listed]) -> list[str]:
    """Return the keys of documents that say to have an id that another document has, too.

    :param listed: the documents of a range, by id.
    """
    several = [id_ for id_, one in listed.items() if one.copies > 1]
    if not several:
        return []
    return [key for key in documents.keys(several, MAX_STRAYS) if key not in listed]
