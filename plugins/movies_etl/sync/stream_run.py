"""One stream in one run: documents on their way to the index, the cursor that follows them."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from contextlib import closing
from typing import Self

from movies_etl.definitions.definition import Stream
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.es.bulk import Sender
from movies_etl.es.index import ABSENT, Stored
from movies_etl.es.outcome import Outcome
from movies_etl.es.throttle import Throttle
from movies_etl.postgres.source import Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor, all_cursors
from movies_etl.sync.batches import Batch
from movies_etl.sync.loader import Loader
from movies_etl.sync.outgoing import Outgoing
from movies_etl.sync.progress import Progress
from movies_etl.sync.resources import Resources
from movies_etl.sync.settlement import Settlement
from movies_etl.sync.versions import Versions


class StreamRun:
    """One stream in one run: what is on its way, and how far its cursor may go.

    :param settlement: settles what is sent.
    :param loader: sends; its marks are cursors.

    Documents are read on the primary until :meth:`read_on` says otherwise.
    """

    def __init__(
        self,
        stream: Stream,
        cursor: Cursor,
        resources: Resources,
        settlement: Settlement,
        loader: Loader[Cursor],
    ) -> None:
        self._stream = stream
        self.cursor = cursor
        self._resources = resources
        self._source = resources.source
        self._versions = settlement.versions
        self._settlement = settlement
        self._loader = loader
        self._counters = resources.counters
        self.progress = Progress(
            stream, resources.definition, resources.counters, is_quiet=resources.is_quiet
        )
        self._outgoing = Outgoing(
            resources, settlement, loader, self.progress, before_sending=self._note_sending
        )

    @classmethod
    def begun(
        cls,
        stream: Stream,
        resources: Resources,
        settings: Settings,
        settlement: Settlement | None = None,
    ) -> Self:
        """Begin where the stream's cursor stands; the writer's lock is held.

        :param settlement: the task's, where one task loads several streams.
        :raises ConfigurationError: the cursor is not that of this run's index.
        """
        cursors = all_cursors(resources.cursors, resources.definition.streams)
        cursor = cursors[stream.name]
        if cursor is None or cursor.index != resources.context.uuid:
            raise ConfigurationError(
                f"The cursor of {stream.name} was removed or changed since this run began. "
                "Trigger a new run: its init puts the cursors in order."
            )
        throttle = Throttle(settings.bulk_bytes, settings.senders)
        loader: Loader[Cursor] = Loader(
            Sender(resources.index, settings.patience, throttle),
            resources.executor,
            throttle=throttle,
            # Two bodies wait, so that the senders have work while the next page is read.
            in_flight=settings.senders + 2,
        )
        settlement = settlement or opened(resources, settings, cursors.values())
        return cls(stream, cursor, resources, settlement, loader)

    @property
    def ids_with_letter(self) -> AbstractSet[str]:
        """The documents that were refused when they were last read."""
        return self._settlement.ids_with_letter

    def read_on(self, source: Source) -> None:
        """Read documents from here on, which has caught up since the lock was taken."""
        self._source = source

    def load(self, batch: Batch) -> None:
        """Build, validate, compare and queue the documents of a batch; settle what has arrived."""
        ids = batch.ids
        is_compared = batch.skip_unchanged or batch.unless_read_since or batch.delete_absent
        stored = self._resources.index.stored(ids) if is_compared else {}
        if since := batch.unless_read_since:
            ids = [one for one in ids if not self._is_read_since(since, one, stored)]
        if ids:
            self._build(ids, stored, batch)
        self._counters.read += len(batch.ids)
        self._counters.unchanged += len(batch.ids) - len(ids)
        if batch.ids:
            self._counters.pages += 1
            self.progress.page()
        if batch.decision:
            self.progress.decided(batch.decision)
        if batch.reached:
            self._loader.mark(batch.reached)
        self._save_settled()

    def _build(self, ids: list[str], stored: dict[str, Stored], batch: Batch) -> None:
        """Queue the documents of these ids piece by piece.

        :param batch: says what is skipped and what becomes of ids without a row.

        ``stored`` was fetched before this call. It is valid only until a document pending at that
        time is settled, so outcomes are not taken between pieces while comparing.
        """
        source = self._source
        clock, pieces = source.documents(source.possible(ids) if batch.delete_absent else ids)
        self._versions.next_reading(clock)
        absent = dict.fromkeys(ids) if batch.delete_absent else {}
        with closing(pieces):
            for documents in pieces:
                for one in documents if absent else ():
                    absent.pop(one.id, None)
                if batch.skip_unchanged:
                    self._outgoing.compare(documents, stored)
                else:
                    self._outgoing.queue(documents, {})
                    self._save_settled()
        self._outgoing.delete([*absent], stored)

    def _is_read_since(self, version: int, id_: str, stored: dict[str, Stored]) -> bool:
        return self._loader.is_pending(id_) or stored.get(id_, ABSENT).version >= version

    def _note_sending(self) -> None:
        """Note before a version is sent that this task may end uncleanly, having sent it."""
        if self._versions.about_to_send():
            self._save(self.cursor)

    def _save_settled(self) -> None:
        """Save the cursor of the last page of which every document is settled."""
        reached = self._settled()
        if reached is not None and reached != self.cursor:
            self._save(reached)

    def finish(self) -> None:
        """Wait for everything, until searches see it, and close the cursor."""
        reached = self._all_settled()
        self._settlement.show()
        self._settlement.wait_until_visible()
        self._versions.close()
        self._save(reached)

    def pause(self) -> None:
        """Wait for everything, and leave the cursor open: the same task goes on later."""
        self._save(self._all_settled())

    def _all_settled(self) -> Cursor:
        return self._settled(everything=True) or self.cursor

    def _settled(self, *, everything: bool = False) -> Cursor | None:
        try:
            return self._loader.settled(self._settle, everything=everything)
        except MoviesEtlError:
            reached = self._loader.reached
            if reached and reached != self.cursor:  # pages before the one that failed are done
                self._save(reached)
            raise

    def _settle(self, outcome: Outcome) -> None:
        self._settlement.settle(outcome)
        self.progress.settled(outcome)

    def _save(self, cursor: Cursor) -> None:
        # A task that has lost its session has lost the lock: another task may be ahead by now.
        clock = self._resources.source.server.clock()
        reserved = self._versions.reserve(clock)
        self.cursor = cursor
        self._resources.cursors.save(self._stream.name, cursor.moved(**reserved._asdict()))


def opened(
    resources: Resources, settings: Settings, cursors: Collection[Cursor | None]
) -> Settlement:
    """Begin to send: with which versions, depends on how the task before ended.

    :param cursors: of all streams, as found under the writer's lock.
    """
    first = resources.context.version
    known = [cursor for cursor in cursors if cursor]
    if any(cursor.open for cursor in known):
        clock = resources.source.server.clock()
        versions = Versions.after_unclean_end(first, known, clock)
    else:
        versions = Versions.after_clean_end(first, known)
    return Settlement.opened(resources, versions, ahead=int(settings.horizon_margin * 1e6))
