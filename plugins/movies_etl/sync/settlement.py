"""What becomes of documents: counted, checked for a newer one in the index, parked if refused.

A document is settled when it is in the index, when the index has a newer one, or when it lies
among the dead letters. Only then may a cursor pass its row.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, KeysView, Sequence
from typing import Self

from movies_etl.errors import ConfigurationError, named, printable
from movies_etl.es.letters import Letter
from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.refresher import Refresher
from movies_etl.sync.fuse import Fuse
from movies_etl.sync.resources import Resources
from movies_etl.sync.versions import RESERVED_MICROSECONDS, Versions

log = logging.getLogger(__name__)

MAX_TOLD_DOCUMENTS = 10
"""Refused documents that a task logs one by one."""

FIRST_LOAD_AHEAD_SECONDS = 2 * RESERVED_MICROSECONDS / 1e6
"""How far ahead of the clock the versions of a first load may be, with room for its margins."""


class Settlement:
    """Settles the documents of one task.

    :param letter_versions: the documents that have a letter, and the letters' versions.
    """

    def __init__(
        self, resources: Resources, versions: Versions, letter_versions: dict[str, int], ahead: int
    ) -> None:
        self.counters = resources.counters
        self._server = resources.source.server
        self._index = resources.index
        self._letters = resources.letters
        self._noun = resources.definition.noun
        self.versions = versions
        self._letter_versions = letter_versions
        self._ahead = ahead
        self._fuse = Fuse(self._noun, self._index.name)
        self._refresher = Refresher(self._index, resources.executor, self.counters.written)

    @classmethod
    def opened(cls, resources: Resources, versions: Versions, *, ahead: int) -> Self:
        """Look which documents have a letter, and remove the letters that are void.

        A later reading than theirs was indexed, so such a letter arrived late, by a request of a
        task that had died.

        :param versions: of the task.
        :param ahead: microseconds that a version may be later than the database's clock.
        """
        letters = resources.letters.versions()
        stored = resources.index.stored(sorted(letters))
        void = {one: there.version for one, there in stored.items() if there.version > letters[one]}
        for one, version in void.items():
            resources.letters.resolve([one], version)
        if void:
            nouns = resources.definition.nouns
            log.info(
                "Dead letters are void, as these %s were indexed later: %s", nouns, named(void)
            )
        left = {one: version for one, version in letters.items() if one not in void}
        return cls(resources, versions, left, ahead)

    @property
    def ids_with_letter(self) -> KeysView[str]:
        """The documents that were refused when they were last read."""
        return self._letter_versions.keys()

    def refused_before(self, ids: Sequence[str], since: int) -> dict[str, bytes]:
        """Return what is kept of the texts of these documents that were refused already.

        :param since: letters of lower versions are left out.
        """
        parked = self._letters.parked(sorted(self.ids_with_letter & set(ids)))
        return {id_: one.document.encode() for id_, one in parked.items() if one.version >= since}

    def begin_anew(self) -> None:
        """Judge refusals by what is accepted from here on: everything before is settled."""
        self._fuse.begin_anew()

    def send(self, documents: int) -> None:
        """Note that valid documents are about to be sent."""
        self._fuse.send(documents)

    def show(self) -> None:
        """Make what is settled visible to searches, and do not wait for it."""
        self._refresher.show(self.counters.written)

    def wait_until_visible(self) -> None:
        """Return when searches see what was to be shown."""
        self._refresher.wait()

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of one bulk request.

        :raises RefusedDocumentsError: many documents were refused and none accepted.
        :raises ConfigurationError: the index has a document from the future.
        """
        self.counters.indexed += len(outcome.indexed)
        self.counters.deleted += len(outcome.deleted)
        self.counters.unchanged += len(outcome.absent)
        self.counters.conflicts += len(outcome.conflicts)
        letters = [
            (Letter(item.id, "indexing", reason, item.source.decode()), item.version)
            for item, reason in outcome.refused
        ]
        self._fuse.arrive(len(outcome.accepted) + len(letters))
        self._fuse.accept(len(outcome.indexed))
        self._fuse.refuse(self._fresh([letter for letter, _ in letters]))
        self._check_versions(outcome.conflicts)
        if letters or self._letter_versions:
            self._settle_letters(outcome.indexed + outcome.deleted + outcome.absent, letters)

    def _settle_letters(self, items: Sequence[Item], letters: Sequence[tuple[Letter, int]]) -> None:
        """Park and resolve a reading at a time: a body may hold several readings of one."""
        right: defaultdict[int, list[str]] = defaultdict(list)
        for item in items:
            right[item.version].append(item.id)
        refused: defaultdict[int, list[Letter]] = defaultdict(list)
        for letter, version in letters:
            refused[version].append(letter)
        for version in sorted(right.keys() | refused.keys()):
            self._park(refused[version], version)
            self.resolve(right[version], version)

    def _fresh(self, letters: Sequence[Letter]) -> list[Letter]:
        return [letter for letter in letters if letter.id not in self._letter_versions]

    def refuse(self, letters: Sequence[Letter], version: int) -> None:
        """Keep documents of one reading, which are not sent at all, as dead letters.

        :raises RefusedDocumentsError: many documents were refused and none accepted.
        """
        self._fuse.refuse(self._fresh(letters))
        self._park(letters, version)

    def find(self, ids: Collection[str], version: int) -> None:
        """Note documents that the index has already as they were read."""
        self._fuse.accept(len(ids))
        self.resolve(ids, version)

    def _check_versions(self, conflicts: Sequence[Item]) -> None:
        """Accept that the index has something newer, but not something from the future."""
        if not conflicts:
            return
        latest = max(self._server.clock(), self.versions.reading) + self._ahead
        for id_, stored in self._index.stored([item.id for item in conflicts]).items():
            if stored.version > latest:
                seconds = (stored.version - latest) / 1e6
                raise ConfigurationError(
                    f"{self._noun.capitalize()} {id_} has a version in {self._index.name} that is "
                    f"{seconds:.0f} s ahead of the database's clock. "
                    f"{_what_to_do(seconds, self._index.definition.alias)}"
                )

    def _park(self, letters: Sequence[Letter], version: int) -> None:
        """Keep the refused documents of one reading as dead letters."""
        if not letters:
            return
        noun = self._noun.capitalize()
        told = max(MAX_TOLD_DOCUMENTS - self.counters.refused, 0)
        for id_, stage, reason, _document in letters[:told]:
            said = printable(f"{noun} {id_} is kept as a dead letter ({stage}): {reason}")
            log.warning("%s", said)
        if more := len(letters[told:]):
            log.warning("More dead letters: %d; the page Movies has all of them", more)
        self.counters.refused += len(letters)
        self._letters.park(letters, self._server.now(), version)
        for letter in letters:
            known = self._letter_versions.get(letter.id, 0)
            self._letter_versions[letter.id] = max(known, version)

    def resolve(self, ids: Collection[str], version: int) -> None:
        """Remove the dead letters of documents of which the index has this reading.

        If the row was gone at that reading, no document in the index is the right state. A
        letter of a later reading stays.
        """
        known = self._letter_versions
        if resolved := {one for one in ids if known.get(one, version + 1) <= version}:
            self._letters.resolve(resolved, version)
            for one in resolved:
                del known[one]
            log.info("Dead letters resolved: %s", named(sorted(resolved)))


def _what_to_do(seconds: float, alias: str) -> str:
    """Say what is likely where the index has a version of the future, the harmless step first."""
    if seconds <= FIRST_LOAD_AHEAD_SECONDS:
        return (
            "Most likely another installation of this program, with Variables of its own, has "
            "loaded this index: its first run goes a minute ahead. Wait: runs go on by themselves "
            f"after {seconds:.0f} s. If this comes again, stop the other installation, or give "
            "one of them other names (MOVIES_ETL_INDEX_PREFIX)."
        )
    return (
        "Most likely the clock of the database's server was set back, or the cursors were deleted "
        "while it was ahead. Set the clock right if it is not: runs go on by themselves when it "
        f"has passed the version. If that is too late, take alias {alias} away from the index: "
        "the next run creates one and loads everything, and until then searches find nothing."
    )
