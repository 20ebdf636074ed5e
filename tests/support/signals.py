"""Signals in tests of commands that handle them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def restored() -> Iterator[None]:
    """A terminal's SIGHUP is not ignored; handlers are put back after the test."""
    before = {number: signal.getsignal(number) for number in _HANDLED}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
