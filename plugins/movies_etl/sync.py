"""The loop: what changed is read, built whole, compared, sent, settled, and only then remembered.

``sync`` runs one stream of one run:

1. ``batches`` pages through the stream's changes and leads them to films;
2. films that this run has loaded already are left out;
3. ``Source.documents`` builds each film's whole document from its present state;
4. ``Movie`` validates it; a document that the index has already is left out;
5. ``Loader`` sends it, with the database's clock before the reading as its version, so an older
   reading never overwrites a newer one; before a version is sent, the cursor says that it may be;
6. when every document of a page is settled (indexed, beaten by a newer one, or parked as a dead
   letter) the page's cursor is saved.

A crash between any two steps repeats a page and changes nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field

from pydantic import ValidationError

from movies_etl import lock
from movies_etl.batches import Batch, batches
from movies_etl.bulk import Item, Sender
from movies_etl.cursors import LEASE, Cursor, CursorStore
from movies_etl.dead_letters import DeadLetters, Letter
from movies_etl.documents import Movie, complaint
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.index import ABSENT, Index, Stored, live
from movies_etl.loader import Loader
from movies_etl.settings import Settings
from movies_etl.settlement import Counters, Settlement
from movies_etl.source import Document, Source
from movies_etl.streams import STREAMS, Stream
from movies_etl.throttle import Throttle
from movies_etl.window import Window

log = logging.getLogger(__name__)

MOST_READINGS = 1000
"""Batches for which a cursor is good while versions are ahead of the clock."""


@dataclass(frozen=True)
class Parts:
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


@dataclass(frozen=True)
class Requests:
    """What somebody asked for in the trigger form.

    :param page_size: rows a page; None takes the setting.
    :param ids: films to be loaded whatever the index has of them.
    :param replay: films whose dead letters are tried again; ``all`` for every one.
    """

    page_size: int | None = None
    ids: Sequence[str] = ()
    replay: Sequence[str] = ()


def sync(
    stream: Stream, window: Window, parts: Parts, settings: Settings, asked: Requests | None = None
) -> Counters:
    """Load everything that changed in one stream, and move its cursor.

    :param window: what ``init`` decided for this run.
    :returns: what was done; also when nothing changed.
    :raises MoviesEtlError: the cursor stands at the last settled page; see ``errors``.
    """
    asked = asked or Requests()
    counters = parts.counters
    page_size = asked.page_size or settings.page_size
    started = time.monotonic()
    lock.take(parts.source, window.uuid, wait=parts.lock_wait)
    check_window(window, parts)
    task = _Task(stream, window, parts, settings)

    for films in task.requested(asked, page_size):
        task.load(Batch(films, compare=False))
        task.save_settled()
    for batch in batches(stream, task.cursor, parts.source, window, page_size):
        task.load(batch)
        if task.save_settled():
            _log_page(stream, counters, time.monotonic() - started)
    task.finish()

    counters.seconds = round(counters.seconds + time.monotonic() - started, 3)
    log.info("%s is done: %s", stream.name, asdict(counters))
    return counters


def check_window(window: Window, parts: Parts) -> None:
    """Refuse to write when the alias or the connection has left what the run began with.

    :raises ConfigurationError: one leads elsewhere; the next run finds out where.
    """
    database = parts.source.database()
    if not database.same_as(window.database):
        raise ConfigurationError(
            f"Connection movies_postgres leads to database {database.name}, but this run began "
            f"with another ({window.database.name}). Nothing was written; trigger a new run."
        )
    index = live(parts.index.client, parts.index.patience)
    if index is None or index.name != window.index or index.uuid() != window.uuid:
        found = f"leads to {index.name}" if index else "is gone"
        raise ConfigurationError(
            f"Alias movies {found}, but this run began with index {window.index}. Nothing was "
            "written; trigger a new run (clearing this task alone would fail again)."
        )


class _Task:
    """One stream in one run: what is on its way, and how far its cursor may go."""

    def __init__(self, stream: Stream, window: Window, parts: Parts, settings: Settings) -> None:
        held = {stream.name: parts.cursors.load(stream.name) for stream in STREAMS}
        self._stream = stream
        self._window = window
        self._parts = parts
        self.cursor = self._checked(held[stream.name])
        known = [cursor for cursor in held.values() if cursor]
        # Whatever the clock says, a later reading has a greater version than all that was sent.
        self._version = max([window.version - 1, *(cursor.version for cursor in known)])
        self._fence = self._raised_fence(known)
        self._open = False
        self._lease = 0
        self._counters = parts.counters
        self._settlement = Settlement(
            parts.counters,
            parts.source,
            parts.index,
            parts.letters,
            ahead=int(settings.horizon_margin * 1e6),
        )
        throttle = Throttle(settings.bulk_bytes, settings.senders)
        self._loader: Loader[Cursor] = Loader(
            Sender(parts.index, settings.patience, throttle),
            parts.executor,
            throttle=throttle,
            in_flight=settings.senders,
        )

    def _checked(self, cursor: Cursor | None) -> Cursor:
        if cursor is None or cursor.index != self._window.uuid:
            raise ConfigurationError(
                f"The cursor of {self._stream.name} was removed or changed since this run began. "
                "Trigger a new run: its init puts the cursors in order."
            )
        return cursor

    def _raised_fence(self, cursors: list[Cursor]) -> int:
        """Return the version below which a document is sent again rather than believed.

        A task that died may have left a request that arrives only now. It would change a document
        after we found it unchanged; documents that were written since cannot be changed by it.
        """
        if any(cursor.open for cursor in cursors):
            self._version = max(self._version, self._parts.source.version())
            return self._version + 1
        return max(cursor.fence for cursor in cursors)

    def requested(self, asked: Requests, page_size: int) -> list[list[str]]:
        """Return the films that somebody asked for, in pages."""
        letters = self._settlement.films_with_letter
        replayed = letters if "all" in asked.replay else asked.replay
        films = list(dict.fromkeys([*asked.ids, *sorted(replayed)]))
        return [films[at : at + page_size] for at in range(0, len(films), page_size)]

    def load(self, batch: Batch) -> None:
        """Build, validate, compare and queue the documents of a batch."""
        films = batch.films
        stored = self._parts.index.stored(films) if batch.compare or batch.once else {}
        if batch.once:
            films = [film for film in films if not self._is_read_since(batch.once, film, stored)]
        if films:
            version, documents = self._parts.source.documents(films)
            self._version = max(self._version + 1, version)
            self._settlement.reading = self._version
            if batch.compare:
                documents = self._without_refused(documents)
            self._queue(documents, stored if batch.compare else {})
        self._counters.read += len(batch.films)
        self._counters.unchanged += len(batch.films) - len(films)
        self._counters.pages += bool(batch.films)
        if batch.reached:
            self._loader.mark(batch.reached)

    def _is_read_since(self, version: int, film: str, stored: dict[str, Stored]) -> bool:
        return self._loader.is_pending(film) or stored.get(film, ABSENT).version >= version

    def _without_refused(self, documents: list[Document]) -> list[Document]:
        """Leave out documents whose very text was refused before: nobody mended them since."""
        refused = self._settlement.refused_before([one.film for one in documents], self._fence)
        left = [
            one
            for one in documents
            if one.text != refused.get(one.film) or self._loader.is_pending(one.film)
        ]
        self._counters.unchanged += len(documents) - len(left)
        return left

    def _queue(self, documents: list[Document], stored: dict[str, Stored]) -> None:
        refused = []
        unchanged = []
        for document in documents:
            try:
                movie = Movie.model_validate_json(document.text)
            except ValidationError as error:
                reason = complaint(error)
                refused.append(Letter(document.film, "validation", reason, document.text))
                continue
            if self._is_there(movie, stored):
                unchanged.append(movie.id)
            else:
                self._note_sending()
                self._loader.add(Item(movie.id, self._version, document.text.encode()))
        self._counters.unchanged += len(unchanged)
        if self._open or refused or not self._settlement.films_with_letter.isdisjoint(unchanged):
            self._note_sending()  # letters are sent with this version, too
        self._settlement.park(refused)
        self._settlement.resolve(unchanged)

    def _is_there(self, movie: Movie, stored: dict[str, Stored]) -> bool:
        """Whether the index has this very text, and nothing is on its way to change it."""
        there = stored.get(movie.id, ABSENT)
        return (
            there.checksum == movie.checksum
            and there.version >= self._fence
            and not self._loader.is_pending(movie.id)
        )

    def _note_sending(self) -> None:
        """Note before a version is sent that this task may end uncleanly, having sent it."""
        if self._version > self._lease:
            self._open = True
            self._save(self.cursor)

    def save_settled(self) -> bool:
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
            self._parts.index.refresh()
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
        clock = self._parts.source.version()
        if self._open:
            # Versions that are ahead of the clock go on one by one until it has caught up.
            self._lease = max(clock + LEASE, self._version + MOST_READINGS)
        sent = self._lease if self._open else self._version
        self.cursor = cursor
        self._parts.cursors.save(
            self._stream.name, cursor.moved(version=sent, open=self._open, fence=self._fence)
        )


def _log_page(stream: Stream, done: Counters, seconds: float) -> None:
    log.info(
        "%s: page %d, %d films read, %d indexed, %d unchanged (%.0f films/s)",
        stream.name,
        done.pages,
        done.read,
        done.indexed,
        done.unchanged,
        done.read / max(seconds, 1e-9),
    )
