"""What becomes of each document of a batch: sent, deleted, refused, or left out as it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from movies_etl.definitions.documents import MAX_ID_BYTES, IndexedDocument
from movies_etl.errors import problems
from movies_etl.es.index import ABSENT, Stored
from movies_etl.es.letters import Letter, kept
from movies_etl.es.outcome import Item
from movies_etl.postgres.assembly import Assembled
from movies_etl.sync.loader import Loader
from movies_etl.sync.progress import Progress
from movies_etl.sync.resources import Resources
from movies_etl.sync.settlement import Settlement


class Outgoing:
    """Decides what becomes of the documents of one stream, and queues what has to be sent.

    All documents of a call are of the newest reading. ``stored`` is what the index has of them.

    :param settlement: settles what is not sent.
    :param loader: sends the rest.
    :param before_sending: called before a version is sent.
    """

    def __init__(
        self,
        resources: Resources,
        settlement: Settlement,
        loader: Loader[Any],
        progress: Progress,
        *,
        before_sending: Callable[[], None],
    ) -> None:
        self._counters = resources.counters
        self._model = resources.definition.document
        self._versions = settlement.versions
        self._settlement = settlement
        self._loader = loader
        self._progress = progress
        self._before_sending = before_sending

    def compare(self, documents: Sequence[Assembled], stored: Mapping[str, Stored]) -> None:
        """Queue documents that neither the index nor their dead letter has as they are."""
        self.queue(self._without_refused(documents), stored)

    def queue(self, documents: Sequence[Assembled], stored: Mapping[str, Stored]) -> None:
        """Queue the valid documents, and make dead letters of the others.

        :param stored: a document that is there with the same text is left out; empty: none is.
        """
        version = self._versions.reading
        refused = []
        unchanged = []
        changed = []
        for one in documents:
            document = self._validated(one)
            if isinstance(document, Letter):
                refused.append(document)
            elif stored and self._is_there(document, stored):
                unchanged.append(document.id)
            else:
                changed.append(Item(document.id, version, one.text))
        self._counters.unchanged += len(unchanged)
        resolved = not self._settlement.ids_with_letter.isdisjoint(unchanged)
        if self._versions.is_open or changed or refused or resolved:  # letters have a version, too
            self._before_sending()
        self._progress.queued(len(changed))
        self._settlement.send(len(changed))
        for item in changed:
            self._loader.add(item)
        self._settlement.find(unchanged, version)
        self._settlement.refuse(refused, version)

    def delete(self, ids: Sequence[str], stored: Mapping[str, Stored]) -> None:
        """Delete the documents of these ids, which had no row at the newest reading."""
        version = self._versions.reading
        there = [one for one in ids if self._may_be_there(one, stored)]
        if there:
            self._before_sending()
        self._settlement.send(len(there))
        for one in there:
            self._loader.add(Item(one, version, b""))
        gone = [one for one in ids if one not in set(there)]
        self._counters.unchanged += len(gone)
        self._settlement.resolve(gone, version)

    def _without_refused(self, documents: Sequence[Assembled]) -> list[Assembled]:
        """Leave out documents whose very text was refused before: nobody fixed them since."""
        refused = self._settlement.refused_before(
            [one.id for one in documents], self._versions.trusted_from
        )
        left = [
            one
            for one in documents
            if kept(one.text) != refused.get(one.id) or self._loader.is_pending(one.id)
        ]
        self._counters.unchanged += len(documents) - len(left)
        return left

    def _validated(self, one: Assembled) -> IndexedDocument | Letter:
        """Return the document, or its letter when it must not be sent."""
        if one.problem:
            return Letter(one.id, "assembly", one.problem, "")
        try:
            return self._model.model_validate_json(one.text)
        except ValidationError as error:
            reason = problems(error, with_values=True)
            return Letter(one.id, "validation", reason, one.text.decode())

    def _is_there(self, document: IndexedDocument, stored: Mapping[str, Stored]) -> bool:
        """Whether the index has this very text, and nothing is on its way to change it."""
        there = stored.get(document.id, ABSENT)
        return (
            there.checksum == document.checksum
            and self._versions.is_trusted(there.version)
            and not self._loader.is_pending(document.id)
        )

    def _may_be_there(self, id_: str, stored: Mapping[str, Stored]) -> bool:
        """Whether the index has a document of this id, or a late request may bring one."""
        if not 0 < len(id_.encode()) <= MAX_ID_BYTES:
            return False
        there = stored.get(id_, ABSENT)
        is_trusted = self._versions.is_trusted(there.version)
        return there is not ABSENT or not is_trusted or self._loader.is_pending(id_)
