"""One stream in one run: documents on their way to the index, the cursor that follows them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field

from pydantic import ValidationError

from movies_etl.definitions.definition import Stream
from movies_etl.definitions.documents import problems
from movies_etl.definitions.movies import STREAMS, Movie
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.es.bulk import Item, Sender
from movies_etl.es.dead_letters import DeadLetters, Letter, kept
from movies_etl.es.index import ABSENT, Index, Stored
from movies_etl.es.throttle import Throttle
from movies_etl.postgres.source import Document, Source
from movies_etl.settings import Settings
from movies_etl.state.cursors import RESERVED_MICROSECONDS, Cursor, CursorStore
from movies_etl.state.run_context import RunContext
from movies_etl.sync.batches import Batch
from movies_etl.sync.loader import Loader
from movies_etl.sync.settlement import Counters, Settlement

MAX_READINGS_AHEAD = 1000
"""Batches for which a cursor is good while versions are ahead of the clock."""


@dataclass(frozen=True)
class Resources:
    """What a task works with.

    :param source: the catalogue.
    :param index: the run's concrete index.
    :param letters: where refused documents go.
    :param cursors: where cursors are kept.
    :param executor: whose threads send the bulk requests.
    :param counters: what is done; an attempt after another goes on counting.
    :param lock_wait: seconds to wait for another writer to end.
    """

    source: Source
    index: Index
    letters: DeadLetters
    cursors: CursorStore
    executor: Executor
    counters: Counters = field(default_factory=Counters)
    lock_wait: float = 60.0


class StreamRun:
    """One stream in one run: what is on its way, and how far its cursor may go."""

    def __init__(
        self, stream: Stream, context: RunContext, resources: Resources, settings: Settings
    ) -> None:
        held = {stream.name: resources.cursors.load(stream.name) for stream in STREAMS}
        self._stream = stream
        self._context = context
        self._resources = resources
        self.cursor = self._checked(held[stream.name])
        known = [cursor for cursor in held.values() if cursor]
        # Whatever the clock says, a later reading has a greater version than all that was sent.
        self._version = max([context.version - 1, *(cursor.version for cursor in known)])
        self._trusted_from = self._trusted_from_version(known)
        self._sent = self._version
        self._open = False
        self._reserved_to = 0
        self._counters = resources.counters
        self._settlement = Settlement(
            resources.counters,
            resources.source,
            resources.index,
            resources.letters,
            ahead=int(settings.horizon_margin * 1e6),
        )
        throttle = Throttle(settings.bulk_bytes, settings.senders)
        self._loader: Loader[Cursor] = Loader(
            Sender(resources.index, settings.patience, throttle),
            resources.executor,
            throttle=throttle,
            in_flight=settings.senders + 2,  # two wait: a large page is long in coming
        )

    def _checked(self, cursor: Cursor | None) -> Cursor:
        if cursor is None or cursor.index != self._context.uuid:
            raise ConfigurationError(
                f"The cursor of {self._stream.name} was removed or changed since this run began. "
                "Trigger a new run: its init puts the cursors in order."
            )
        return cursor

    def _trusted_from_version(self, cursors: list[Cursor]) -> int:
        """Return the version below which a document is sent again rather than believed.

        A task that died may have left a request that arrives only now. It would change a document
        after we found it unchanged; documents that were written since cannot be changed by it.
        """
        if any(cursor.open for cursor in cursors):
            self._version = max(self._version, self._resources.source.version())
            return self._version + 1
        return max(cursor.trusted_from for cursor in cursors)

    @property
    def films_with_letter(self) -> AbstractSet[str]:
        """The films whose last document was refused."""
        return self._settlement.films_with_letter

    def load(self, batch: Batch) -> bool:
        """Build, validate, compare and queue the documents of a batch; settle what has arrived.

        :returns: whether the cursor moved.
        """
        films = batch.films
        stored = (
            self._resources.index.stored(films)
            if batch.skip_unchanged or batch.unless_read_since
            else {}
        )
        if batch.unless_read_since:
            films = [
                film
                for film in films
                if not self._is_read_since(batch.unless_read_since, film, stored)
            ]
        moved = bool(films) and self._build(films, stored, skip_unchanged=batch.skip_unchanged)
        self._counters.read += len(batch.films)
        self._counters.unchanged += len(batch.films) - len(films)
        self._counters.pages += bool(batch.films)
        if batch.reached:
            self._loader.mark(batch.reached)
        return self._save_settled() or moved

    def _build(self, films: list[str], stored: dict[str, Stored], *, skip_unchanged: bool) -> bool:
        """Queue the documents of films piece by piece; say if the cursor moved meanwhile.

        What is compared was asked of the index before, and is good only as long as nothing that
        was pending then is settled.
        """
        moved = False
        version, pieces = self._resources.source.documents(films)
        self._version = max(self._version + 1, version)
        self._settlement.reading = self._version
        with closing(pieces):
            for documents in pieces:
                if skip_unchanged:
                    self._queue(self._without_refused(documents), stored)
                else:
                    self._queue(documents, {})
                    moved |= self._save_settled()
        return moved

    def _is_read_since(self, version: int, film: str, stored: dict[str, Stored]) -> bool:
        return self._loader.is_pending(film) or stored.get(film, ABSENT).version >= version

    def _without_refused(self, documents: list[Document]) -> list[Document]:
        """Leave out documents whose very text was refused before: nobody mended them since."""
        refused = self._settlement.refused_before(
            [one.film for one in documents], self._trusted_from
        )
        left = [
            one
            for one in documents
            if kept(one.text) != refused.get(one.film) or self._loader.is_pending(one.film)
        ]
        self._counters.unchanged += len(documents) - len(left)
        return left

    def _queue(self, documents: list[Document], stored: dict[str, Stored]) -> None:
        refused = []
        unchanged = []
        changed = []
        for document in documents:
            try:
                movie = Movie.model_validate_json(document.text)
            except ValidationError as error:
                reason = problems(error)
                refused.append(Letter(document.film, "validation", reason, document.text.decode()))
                continue
            if stored and self._is_there(movie, stored):
                unchanged.append(movie.id)
            else:
                changed.append(Item(movie.id, self._version, document.text))
        self._counters.unchanged += len(unchanged)
        resolved = not self._settlement.films_with_letter.isdisjoint(unchanged)
        if self._open or changed or refused or resolved:  # letters have this version, too
            self._note_sending()
        for item in changed:
            self._loader.add(item)
        self._settlement.park(refused, self._version)
        self._settlement.resolve(unchanged, self._version)

    def _is_there(self, movie: Movie, stored: dict[str, Stored]) -> bool:
        """Whether the index has this very text, and nothing is on its way to change it."""
        there = stored.get(movie.id, ABSENT)
        return (
            there.checksum == movie.checksum
            and there.version >= self._trusted_from
            and not self._loader.is_pending(movie.id)
        )

    def _note_sending(self) -> None:
        """Note before a version is sent that this task may end uncleanly, having sent it."""
        self._sent = self._version
        if self._version > self._reserved_to:
            self._open = True
            self._save(self.cursor)

    def _save_settled(self) -> bool:
        """Save the cursor of the last page of which every document is settled; say if it moved."""
        reached = self._settled()
        if reached is None or reached == self.cursor:
            return False
        self._save(reached)
        return True

    def finish(self) -> None:
        """Wait for everything, make it visible to searches, and close the cursor."""
        reached = self._settled(everything=True)
        if self._counters.indexed:
            self._resources.index.refresh()
        self._open = False
        self._save(reached or self.cursor)

    def _settled(self, *, everything: bool = False) -> Cursor | None:
        try:
            return self._loader.settled(self._settlement.settle, everything=everything)
        except MoviesEtlError:
            reached = self._loader.reached
            if reached and reached != self.cursor:  # pages before the one that failed are done
                self._save(reached)
            raise

    def _save(self, cursor: Cursor) -> None:
        # Whoever has lost its session has lost the lock: another task may be ahead by now.
        clock = self._resources.source.version()
        if self._open:
            # Versions that are ahead of the clock go on one by one until it has caught up.
            self._reserved_to = max(
                clock + RESERVED_MICROSECONDS, self._version + MAX_READINGS_AHEAD
            )
        sent = self._reserved_to if self._open else self._sent
        self.cursor = cursor
        self._resources.cursors.save(
            self._stream.name,
            cursor.moved(version=sent, open=self._open, trusted_from=self._trusted_from),
        )
