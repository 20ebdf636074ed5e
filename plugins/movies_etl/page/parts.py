"""The parts of one server's answer: one that cannot be read is named, and hides no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from elasticsearch import Elasticsearch

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import IndexUnavailableError, MoviesEtlError, on_one_line
from movies_etl.es import admin
from movies_etl.es.index import Index
from movies_etl.page import asking
from movies_etl.page.asking import unforeseen

AnswerT = TypeVar("AnswerT")

LEAST_SECONDS = 0.1
"""Seconds that a request has although the time of its answer is over."""


class Parts:
    """What one server is asked, part by part.

    ``unread`` says which parts could not be read, and why.
    """

    def __init__(self) -> None:
        self.unread: list[str] = []

    def ask(
        self,
        part: str,
        question: Callable[[], AnswerT],
        unless: tuple[type[MoviesEtlError], ...] = (),
    ) -> AnswerT | None:
        """Return the answer of one part; None where it cannot be read.

        :param part: what is asked for, as people know it.
        :param unless: errors that are raised: no other part would be answered either.
        """
        try:
            return question()
        except unless:
            raise
        except MoviesEtlError as error:
            self.unread.append(f"{part}: {on_one_line(error)}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are shown
            self.unread.append(unforeseen(part, error))
        return None


def live_index(parts: Parts, client: Elasticsearch, definition: IndexDefinition) -> Index | None:
    """Return the index behind the alias; None where there is none, or where ``parts`` says why.

    :raises IndexUnavailableError: Elasticsearch cannot be reached or is overloaded.
    """
    return parts.ask(
        "The alias", lambda: admin.live(client, definition), unless=(IndexUnavailableError,)
    )


class Hurried:
    """A client whose requests have the time of one answer for all of them."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self._deadline = time.monotonic() + asking.SERVER_SECONDS

    @property
    def client(self) -> Elasticsearch:
        """The client, with what is left of the time."""
        left = self._deadline - time.monotonic()
        return self._client.options(request_timeout=max(left, LEAST_SECONDS))
