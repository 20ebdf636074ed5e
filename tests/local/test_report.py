"""Lines and bars of a command that works for long."""

from __future__ import annotations

import io
import sys

import pytest

from local import report as module
from local.report import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_long_job_is_told_by_lines_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report()
    with report.bars():
        report.progress("films", 10_000, 1_000_000)
        assert capsys.readouterr().out == ""  # it is not long yet
        monkeypatch.setattr(module, "_EVERY", 0.0)
        report.progress("films", 0, 1_000_000)  # it has not begun
        report.progress("films", 20_000, 1_000_000)
        report.progress("films", 1_000_000, 1_000_000)
    assert capsys.readouterr().out.split(" s  ")[1] == "films: 20,000 of 1,000,000\n"


def test_a_long_job_is_a_bar_below_the_lines_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    report = Report()
    with report.bars():
        report.progress("films", 10, 50)
        report("Elasticsearch is up: [http://127.0.0.1:1]")
        report.progress("films", 20, 50)
        report.progress("films", 50, 50)
    text = terminal.getvalue()
    assert "10 of 50" in text
    assert "0.0 s  Elasticsearch is up: [http://127.0.0.1:1]\n" in text
    assert text.rindex("Elasticsearch is up") < text.rindex("0 of 50")


def test_lines_are_plain_when_the_bars_are_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    report = Report()
    with pytest.raises(OSError, match="a port"), report.bars():
        raise OSError("a port is taken")
    report("stopping")
    assert terminal.getvalue().endswith(" 0.0 s  stopping\n")
