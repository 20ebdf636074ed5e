"""What becomes of documents: counted, doubted when the index had a newer one, parked if refused.

A document is settled when it is in the index, when the index has a newer one, or when it lies
among the dead letters. Only then may a cursor pass its film.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection, KeysView, Sequence
from dataclasses import dataclass

from movies_etl.errors import ConfigurationError, RefusedDocumentsError
from movies_etl.es.bulk import Item, Outcome
from movies_etl.es.dead_letters import DeadLetters, Letter
from movies_etl.es.index import Index
from movies_etl.postgres.source import Source

log = logging.getLogger(__name__)

FUSE_REFUSALS = 20
"""Refused documents, with none accepted, that mean a wrong mapping rather than bad films."""


@dataclass
class Counters:
    """What one task did.

    :param read: films looked at.
    :param indexed: documents that Elasticsearch took.
    :param unchanged: films left out because the index has their document already.
    :param conflicts: documents for which the index had a newer one.
    :param refused: documents parked as dead letters.
    :param pages: pages of films.
    :param seconds: from the task's beginning to the last cursor, over all attempts.
    """

    read: int = 0
    indexed: int = 0
    unchanged: int = 0
    conflicts: int = 0
    refused: int = 0
    pages: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def tick(self) -> None:
        """Bring ``seconds`` up to date."""
        self.seconds = round(time.monotonic() - self._began, 3)


class Settlement:
    """Settles the documents of one task.

    :param counters: where it is counted.
    :param source: for the database's clock.
    :param index: the run's concrete index.
    :param letters: where refused documents go.
    :param ahead: microseconds that a version may be later than the database's clock.

    ``reading`` is the version of the newest reading of the task.
    """

    def __init__(
        self, counters: Counters, source: Source, index: Index, letters: DeadLetters, *, ahead: int
    ) -> None:
        self.counters = counters
        self._source = source
        self._index = index
        self._letters = letters
        self._ahead = ahead
        self._refused_by_index = 0
        self.reading = 0
        self._letter_versions = self._valid_letters()

    @property
    def films_with_letter(self) -> KeysView[str]:
        """The films whose last document was refused."""
        return self._letter_versions.keys()

    def _valid_letters(self) -> dict[str, int]:
        """Remove the letters that a later reading than theirs has made void; return the others.

        Such a letter arrived late, by a request of a task that had died.
        """
        versions = self._letters.versions()
        stored = self._index.stored(sorted(versions))
        void = {film: one.version for film, one in stored.items() if one.version > versions[film]}
        for film, version in void.items():
            self._letters.resolve([film], version)
            log.info("Dead letter of film %s is void: it was indexed later", film)
        return {film: version for film, version in versions.items() if film not in void}

    def refused_before(self, films: Sequence[str], since: int) -> dict[str, bytes]:
        """Return what is kept of the texts of these films that were refused already.

        :param since: letters of lower versions are left out.
        """
        parked = self._letters.parked(sorted(self.films_with_letter & set(films)))
        return {film: one.document.encode() for film, one in parked.items() if one.version >= since}

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of one bulk request.

        :raises RefusedDocumentsError: many documents were refused and none accepted.
        :raises ConfigurationError: the index has a document from the future.
        """
        self.counters.indexed += len(outcome.indexed)
        self.counters.conflicts += len(outcome.conflicts)
        self._check_fuse(outcome)
        self._check_versions(outcome.conflicts)
        if outcome.refused or self._letter_versions:
            self._settle_letters(outcome)

    def _settle_letters(self, outcome: Outcome) -> None:
        """Park and resolve a reading at a time: a body may hold several documents of a film."""
        indexed: defaultdict[int, list[str]] = defaultdict(list)
        for item in outcome.indexed:
            indexed[item.version].append(item.film)
        refused: defaultdict[int, list[Letter]] = defaultdict(list)
        for item, reason in outcome.refused:
            letter = Letter(item.film, "indexing", reason, item.source.decode())
            refused[item.version].append(letter)
        for version in sorted(indexed.keys() | refused.keys()):
            self.park(refused[version], version)
            self.resolve(indexed[version], version)

    def _check_fuse(self, outcome: Outcome) -> None:
        self._refused_by_index += len(outcome.refused)
        if (
            self._refused_by_index >= FUSE_REFUSALS
            and outcome.refused
            and not self.counters.indexed
        ):
            first = outcome.refused[0]
            parked = self._refused_by_index - len(outcome.refused)
            raise RefusedDocumentsError(
                f"Elasticsearch refused {self._refused_by_index} documents and accepted none; "
                f"film {first.item.film}: {first.reason}. The mapping of {self._index.name} does "
                "not fit the documents. The cursor stands at the last settled page; "
                f"{parked} of them are dead letters, which the param replay tries again."
            )

    def _check_versions(self, conflicts: Sequence[Item]) -> None:
        """Accept that the index has something newer, but not something from the future."""
        if not conflicts:
            return
        latest = max(self._source.version(), self.reading) + self._ahead
        for film, stored in self._index.stored([item.film for item in conflicts]).items():
            if stored.version > latest:
                raise ConfigurationError(
                    f"Film {film} has version {stored.version} in {self._index.name}, later than "
                    f"the database's clock ({latest}): another program writes to the index, or "
                    "the clock was set back and the cursors were deleted. Take alias movies away "
                    "from the index: the next run creates one and loads everything."
                )

    def park(self, letters: Sequence[Letter], version: int) -> None:
        """Keep the refused documents of one reading as dead letters."""
        if not letters:
            return
        for film, stage, reason, _document in letters:
            log.warning("Film %s is kept as a dead letter (%s): %s", film, stage, reason)
        self.counters.refused += len(letters)
        self._letters.park(letters, self._source.now(), version)
        for letter in letters:
            known = self._letter_versions.get(letter.film, 0)
            self._letter_versions[letter.film] = max(known, version)

    def resolve(self, films: Collection[str], version: int) -> None:
        """Remove the dead letters of films whose document of this reading is in the index.

        A letter of a later reading stays.
        """
        known = self._letter_versions
        if resolved := {film for film in films if known.get(film, version + 1) <= version}:
            self._letters.resolve(resolved, version)
            for film in resolved:
                del known[film]
            log.info("Dead letters resolved: %s", ", ".join(sorted(resolved)))
