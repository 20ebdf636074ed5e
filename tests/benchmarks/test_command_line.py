"""The benchmark's command line is ended from outside."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import __main__ as command_line
from tests.support.signals import restored

__all__ = ["restored"]


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_servers_are_stopped_when_the_benchmark_is_to_end(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Scripted:
        def __init__(self, *_: Any) -> None:
            pass

        @contextmanager
        def running(self, _: int) -> Iterator[None]:
            try:
                signal.raise_signal(number)
                yield
            finally:
                signal.raise_signal(number)
                told.append("stopped")

    monkeypatch.setattr(command_line, "Servers", Scripted)
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 128 + number
    assert told == ["stopped"]
