"""Bulk requests: how they are written, and when they are sent again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import elasticsearch
from elasticsearch.serializer import NdjsonSerializer
from pydantic_core import to_json

from movies_etl.errors import ConfigurationError, IndexUnavailableError, MoviesEtlError
from movies_etl.es.blocks import with_remedy
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.es.outcome import Item, Outcome, Refusal, sort_out
from movies_etl.es.throttle import Throttle
from movies_etl.retries import retrying

SLOW_REQUEST_SECONDS = 20.0
"""Seconds that a request may take before it counts as push-back: the next ones are smaller, well
before they run into the client's time-out."""

MAX_FAILED_ITEMS = 20
"""If Elasticsearch keeps failing on at most this many documents of a body and accepts the rest,
those documents are at fault. If it fails on more, or on all, a shard is broken."""

_TOO_LARGE = 413
_TOO_MANY = 429
_VERSION = b',"version":%d,"version_type":"external_gte"}}\n'


class BulkSerializer(NdjsonSerializer):
    """Passes a finished body on as it is: the client's own serializer copies it twice."""

    def dumps(self, data: object) -> bytes:
        """Return what is to be sent."""
        return data if isinstance(data, bytes) else super().dumps(data)


class Sender:
    """Sends bodies to one index and waits politely for a lost or overloaded Elasticsearch.

    :param index: the concrete index; a request never creates one.
    :param patience: seconds that one body is tried for, with full jitter between the tries.
    :param throttle: told when Elasticsearch pushes back.
    """

    def __init__(self, index: Index, patience: float, throttle: Throttle) -> None:
        self._index = index
        self._throttle = throttle
        self._client = index.client
        self._patience = patience

    def __call__(self, items: Sequence[Item]) -> Outcome:
        """Send items until each is settled.

        :raises IndexUnavailableError: Elasticsearch stayed away for longer than the patience.
        :raises ConfigurationError: it refuses the request: login, rights, a missing or closed
            index.
        """
        outcome = Outcome()
        try:
            self._send_until_settled(items, outcome)
        except IndexUnavailableError:
            took_others = outcome.accepted or len(items) == 1
            if (
                outcome.size < len(items)
                or len(outcome.failed) > MAX_FAILED_ITEMS
                or not took_others
            ):
                raise
            outcome.refused += outcome.failed
            outcome.failed = []
        return outcome

    def _send_until_settled(self, items: Sequence[Item], outcome: Outcome) -> None:
        waiting = list(items)
        put_off: list[Refusal] = []
        for attempt in retrying(self._patience):
            with attempt:
                waiting, put_off = [one.item for one in put_off] + waiting, []
                outcome.failed = []
                while waiting:
                    first = attempt.retry_state.attempt_number == 1
                    piece = waiting if first else self._fit(waiting)
                    put_off += self._send_timed(piece, outcome)
                    waiting = waiting[len(piece) :]
                if put_off:
                    self._throttle.pushed_back()
                    raise IndexUnavailableError(
                        f"Elasticsearch (connection movies_elasticsearch) does not take "
                        f"{len(put_off)} of {len(items)} documents for now: "
                        f"{with_remedy(put_off[-1].reason)}. It is waited for MOVIES_ETL_PATIENCE "
                        f"({self._patience:.0f} s); then the task is retried from the last loaded "
                        "page."
                    )

    def _fit(self, items: list[Item]) -> list[Item]:
        """Return the first items, as many as a body may have by now."""
        size = 0
        for count, item in enumerate(items, start=1):
            size += item.size
            if size >= self._throttle.body_bytes:
                return items[:count]
        return items

    def _send_timed(self, items: list[Item], outcome: Outcome) -> list[Refusal]:
        """Send one request and tell the throttle how long it took; return what was put off."""
        with self._throttle.permit():
            began = time.monotonic()
            put_off = self._send(items, outcome)
            if time.monotonic() - began > SLOW_REQUEST_SECONDS:
                self._throttle.pushed_back()
            elif not put_off:
                self._throttle.taken()
        return put_off

    def _send(self, items: list[Item], outcome: Outcome) -> list[Refusal]:
        """Send one request; return the items to be sent again."""
        try:
            with translated_errors():
                answer = self._client.bulk(
                    index=self._index.name,
                    operations=_body(items),  # type: ignore[arg-type]
                    filter_path="items.*.status,items.*.error.type,items.*.error.reason,"
                    "items.*.error.caused_by",
                )
        except IndexUnavailableError as error:
            timed_out = isinstance(error.__cause__, elasticsearch.ConnectionTimeout)
            if timed_out or _status(error) == _TOO_MANY:
                self._throttle.pushed_back()
            raise
        except ConfigurationError as error:
            if _status(error) == _TOO_LARGE and len(items) > 1:
                self._throttle.pushed_back()
                half = len(items) // 2
                later = self._send(items[:half], outcome)
                try:
                    return later + self._send(items[half:], outcome)
                except IndexUnavailableError as error_of_the_rest:
                    reason = str(error_of_the_rest)  # the first half is settled
                    return later + [Refusal(item, reason) for item in items[half:]]
            if _status(error) == _TOO_LARGE:
                outcome.refused.append(Refusal(items[0], "the document is too large to be sent"))
                return []
            raise
        results = [result for item in answer["items"] for result in item.values()]
        return sort_out(items, results, outcome, self._index.definition.alias)


def _body(items: Sequence[Item]) -> bytes:
    """Return the body of a bulk request: two lines per document, one per deletion."""
    pieces: list[bytes] = []
    for id_, version, source in items:
        if source:
            pieces += (b'{"index":{"_id":', to_json(id_), _VERSION % version, source, b"\n")
        else:
            pieces += (b'{"delete":{"_id":', to_json(id_), _VERSION % version)
    return b"".join(pieces)


def _status(error: MoviesEtlError) -> int | None:
    cause = error.__cause__
    return cause.meta.status if isinstance(cause, elasticsearch.ApiError) else None
