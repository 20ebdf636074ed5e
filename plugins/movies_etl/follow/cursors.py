"""Cursors of a task that holds the writer's lock for minutes: read once, written when needed.

No other task writes them meanwhile. A person may: a stream is loaded again by removing its cursor
or setting it back, so such a change is not overwritten. A position that is kept late repeats rows
after a crash and loses none. A version must be kept before it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable

from movies_etl.definitions.definition import Stream
from movies_etl.state.cursors import Cursor, CursorStore, all_cursors


class CursorChangedError(Exception):
    """Somebody removed or changed a cursor: the next ``init`` decides what to do."""


class HeldCursors:
    """Cursors in memory in front of those that last.

    :param store: where they last.
    :param streams: of the index.
    """

    def __init__(self, store: CursorStore, streams: Iterable[Stream]) -> None:
        self._store = store
        self._kept = all_cursors(store, streams)
        self._present = dict(self._kept)

    def load(self, stream: str) -> Cursor | None:
        """Return the stream's present cursor."""
        return self._present[stream]

    def save(self, stream: str, cursor: Cursor) -> None:
        """Take a cursor; write it if it reserves higher versions than the written ones do.

        :raises CursorChangedError: it is not what was written last; nothing was written.
        """
        self._present[stream] = cursor
        if cursor.open and cursor.version > self._promised():
            self._keep(stream, cursor)

    def keep(self) -> None:
        """Write what changed since it was written last.

        :raises CursorChangedError: a cursor is not what was written last; it was not overwritten.
        """
        for stream, cursor in self._present.items():
            if cursor and cursor != self._kept[stream]:
                self._keep(stream, cursor)

    def _promised(self) -> int:
        """Return the version above which a task begins after a crash."""
        kept = [cursor.version for cursor in self._kept.values() if cursor and cursor.open]
        return max(kept, default=0)

    def _keep(self, stream: str, cursor: Cursor) -> None:
        if self._store.load(stream) != self._kept[stream]:
            msg = f"the cursor of {stream} was removed or changed"
            raise CursorChangedError(msg)
        self._store.save(stream, cursor)
        self._kept[stream] = cursor
