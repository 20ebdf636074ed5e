"""Documents compared with what their rows make now: which are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from movies_etl.es.inventory import DocumentInventory
from movies_etl.es.letters import kept
from movies_etl.postgres.inventory import Built, RowInventory
from movies_etl.reconcile.candidates import Candidates
from movies_etl.sync.ids import in_pages
from movies_etl.sync.resources import Resources

COMPARED_TOGETHER = 5_000
"""Documents that are built by one statement and looked up by one request."""

FOUND_TOGETHER = 100_000
"""Documents that one look through a table leads to: at 1,000,000 films the look costs as much as
the comparison of 10,000."""


def followed(
    look: Callable[[str | None, int], list[str]], after: str | None = None
) -> Iterator[list[str]]:
    """Yield the documents that looks through a table lead to, in pages to be compared together.

    :param look: returns the first documents after one, at most so many, in the order of their ids.
    """
    while ids := look(after, FOUND_TOGETHER):
        yield from in_pages(ids, COMPARED_TOGETHER)
        if len(ids) < FOUND_TOGETHER:
            return
        after = ids[-1]


class Comparer:
    """Compares documents with their rows. What differs is a candidate and no more.

    :param resources: the servers.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents = DocumentInventory(resources.index)
        self._rows = RowInventory(resources.source)
        # Of a refused document the last good one stays in the index, or none was ever there.
        # Where its row has changed since, it is a candidate.
        self._refused = resources.letters.ids()

    def compare(self, ids: Sequence[str], found: Candidates) -> None:
        """Compare checksums, as the index has them in real time."""
        stored = self._resources.index.stored(ids)
        there = {id_: one.checksum for id_, one in stored.items()}
        self.judge(there, self._built(ids), found)
        found.looked_at += len(ids)

    def judge(
        self, there: Mapping[str, int | None], built: Mapping[str, Built], found: Candidates
    ) -> None:
        """Add what differs between checksums in the index and what rows make."""
        wanted = {
            id_: one.checksum
            for id_, one in built.items()
            if one.checksum is not None and id_ not in self._refused
        }
        found.different.update(
            id_ for id_, one in wanted.items() if id_ in there and there[id_] != one
        )
        self._judge_presence(there, built, wanted, found)

    def compare_texts(self, ids: Sequence[str], found: Candidates) -> None:
        """Compare whole documents, as the index has them in real time."""
        self.judge_texts(self._documents.texts(ids), self.texts(ids), found)
        found.looked_at += len(ids)

    def texts(self, ids: Sequence[str]) -> dict[str, Built]:
        """Build documents with their texts."""
        return self._built(ids, whole=ids)

    def judge_texts(
        self, there: Mapping[str, Any], built: Mapping[str, Built], found: Candidates
    ) -> None:
        """Add what differs between documents in the index and what rows make.

        :param there: documents by key.
        """
        wanted = {
            id_: one.text
            for id_, one in built.items()
            if one.text is not None and id_ not in self._refused
        }
        found.damaged.update(
            id_ for id_, one in wanted.items() if id_ in there and there[id_] != json.loads(one)
        )
        self._judge_presence(there, built, wanted, found)

    def _judge_presence(
        self,
        there: Mapping[str, Any],
        built: Mapping[str, Built],
        wanted: Mapping[str, Any],
        found: Candidates,
    ) -> None:
        """Add what only one side has, and refused documents that may be accepted now.

        :param wanted: those built documents that are not refused.
        """
        found.missing.update(wanted.keys() - there.keys())
        found.surplus.update(there.keys() - built.keys())
        found.different.update(self._no_longer_refused(built))

    def _no_longer_refused(self, ids: Iterable[str]) -> list[str]:
        """Return the refused documents whose rows make other texts than those that were refused."""
        refused = sorted(self._refused.intersection(ids))
        if not refused:
            return []
        letters = self._resources.letters.parked(refused)
        return [
            id_
            for id_, one in self.texts(refused).items()
            if one.text and id_ in letters and kept(one.text) != letters[id_].document.encode()
        ]

    def _built(self, ids: Sequence[str], whole: Sequence[str] = ()) -> dict[str, Built]:
        possible = self._resources.source.possible
        return self._rows.built(possible(ids), possible(whole))
