"""Strays: documents under a key that is not their id, which nothing here has written."""

from __future__ import annotations

from collections.abc import Container, Mapping

from movies_etl.es.inventory import LISTED_PER_REQUEST, DocumentInventory, Listed
from movies_etl.sync.ids import in_pages

MAX_STRAYS = 1000
"""Documents under a wrong key that one look finds."""


def strays(
    documents: DocumentInventory, listed: Mapping[str, Listed], gone: Container[str]
) -> list[str]:
    """Return the keys of documents whose field ``id`` is not their key.

    Only ids that several documents have, and those without a row, are checked: a stray may be the
    only document with its id.

    :param listed: the documents of a range, by id.
    :param gone: those of them that have no row.
    """
    ids = [id_ for id_, one in listed.items() if one.copies > 1 or id_ in gone]
    found: list[str] = []
    for page in in_pages(ids, LISTED_PER_REQUEST):
        if len(found) >= MAX_STRAYS:
            break
        found += documents.elsewhere(page, MAX_STRAYS)
    return found
