"""Documents to bodies: how large they are, how many are in flight, and which marks they reach.

Documents become bodies of a size that the throttle allows; a body is sent by one of the
executor's threads while the next is built. Outcomes are handed back in the order in which bodies
were filled, and with them the marks that were set between documents: a mark comes back only when
every document before it is settled, so it may be saved as a cursor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from movies_etl.es.outcome import Item, Outcome
from movies_etl.es.throttle import Throttle

MarkT = TypeVar("MarkT")


@dataclass(frozen=True)
class _Shipment:
    """A body on its way, and where its outcome will be."""

    body: list[Item]
    answer: Future[Outcome]


class Send(Protocol):
    """Sends items until each is settled; raises when the index stays unavailable."""

    def __call__(self, items: Sequence[Item]) -> Outcome:
        """Return the outcome of every item."""


class Loader(Generic[MarkT]):
    """Gathers documents into bodies and keeps a few of them in flight.

    :param send: sends the items of a body until each is settled.
    :param executor: where bodies are sent from, one thread per request in flight.
    :param throttle: says at which size a body is sent.
    :param in_flight: bodies that may wait for their answer before the caller has to.

    ``reached`` is the last mark whose documents are all settled; it is up to date even if
    ``settled`` raises.
    """

    def __init__(
        self, send: Send, executor: Executor, *, throttle: Throttle, in_flight: int
    ) -> None:
        self._send = send
        self._executor = executor
        self._throttle = throttle
        self._in_flight = in_flight
        self._body: list[Item] = []
        self._size = 0
        self._marks_in_body: list[MarkT] = []
        self._queue: deque[_Shipment | MarkT] = deque()
        self._sent = 0
        self._pending: dict[str, int] = {}  # how many readings of each document are on their way
        self.reached: MarkT | None = None

    def is_pending(self, id_: str) -> bool:
        """Whether this document is on its way: what the index has says nothing then."""
        return id_ in self._pending

    def add(self, item: Item) -> None:
        """Take a document; sends the body when it is full."""
        self._body.append(item)
        self._pending[item.id] = self._pending.get(item.id, 0) + 1
        self._size += item.size
        if self._size >= self._throttle.body_bytes:
            self.ship()

    def mark(self, mark: MarkT) -> None:
        """Ask for this value back once every document that was added before is settled."""
        if self._body:
            self._marks_in_body.append(mark)
        else:
            self._queue.append(mark)

    def ship(self) -> None:
        """Send what was gathered, full or not."""
        if not self._body:
            return
        body, self._body, self._size = self._body, [], 0
        self._queue.append(_Shipment(body, self._executor.submit(self._send, body)))
        self._queue.extend(self._marks_in_body)
        self._marks_in_body.clear()
        self._sent += 1

    def settled(
        self, settle: Callable[[Outcome], None], *, everything: bool = False
    ) -> MarkT | None:
        """Hand over the outcomes that are there, in order; return the last mark they reach.

        Waits for the oldest body while too many are in flight.

        :param settle: takes the outcome of one body.
        :param everything: send what was gathered and wait for all of it.
        """
        if everything:
            self.ship()
        reached: MarkT | None = None
        while self._queue:
            head = self._queue[0]
            if isinstance(head, _Shipment):
                if not (everything or self._sent > self._in_flight or head.answer.done()):
                    break
                settle(head.answer.result())
                self._sent -= 1
                self._forget(head.body)
            else:
                self.reached = reached = head
            self._queue.popleft()
        return reached

    def _forget(self, body: Sequence[Item]) -> None:
        pending = self._pending
        for item in body:
            left = pending.pop(item.id) - 1
            if left:
                pending[item.id] = left
