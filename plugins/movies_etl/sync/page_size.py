"""How many documents a page of a first load has: more and more, while pages are quick."""

from __future__ import annotations

import time

MAX_PAGE_DOCUMENTS = 64_000
"""Documents that are built together while all are sent. PostgreSQL spends a third less on a
document than with pages of 1,000, as it reads persons and plans once per page. The first page is an
ordinary one, so that Elasticsearch has something to do at once, and each is twice as large as the
one before while they are quick."""

MAX_PAGE_GROWTH = 64
"""A page may grow to at most this multiple of page_size, so a small page_size keeps pages small."""

QUICK_PAGE_SECONDS = 5.0
"""If a page takes less than this, the next page is larger; if it takes more than twice this,
smaller. A page is one statement and one snapshot: an ALTER of its tables waits for it, and what
comes after the ALTER waits, too."""


class PageSize:
    """The size of the next page; the first page begins now.

    :param ordinary: documents of the first page, and of the smallest.

    ``documents`` is the size.
    """

    def __init__(self, ordinary: int) -> None:
        self.documents = ordinary
        self._ordinary = ordinary
        self._largest = max(ordinary, min(MAX_PAGE_GROWTH * ordinary, MAX_PAGE_DOCUMENTS))
        self._began = time.monotonic()

    def next(self) -> None:
        """Choose the size of the next page, which begins now, by the time that this one took."""
        now = time.monotonic()
        took, self._began = now - self._began, now
        if took < QUICK_PAGE_SECONDS:
            self.documents = min(2 * self.documents, self._largest)
        elif took > 2 * QUICK_PAGE_SECONDS:
            self.documents = max(self.documents // 2, self._ordinary)
