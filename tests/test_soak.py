"""The command that plays random histories for as long as asked."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import soak
from tests.simulation.breaks import BREAKS
from tests.simulation.tally import Tally


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command's arguments."""
    arguments = ["soak"]
    monkeypatch.setattr("sys.argv", arguments)
    return arguments


def test_the_rules_are_listed(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked += ["--break", ""]
    assert soak.main() == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(BREAKS)
    assert all(len(line.split()) > 4 for line in listed)


def test_an_unknown_rule_is_an_error(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked += ["--break", "99"]
    assert soak.main() == 1
    assert capsys.readouterr().out


def test_a_protection_that_is_switched_off_is_missed(asked: list[str]) -> None:
    asked += ["--break", "10"]
    assert soak.main() == 0


def test_all_rules_fail_when_one_is_not_missed(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked += ["--break", "all"]
    tried = []

    def switch_off(rule: str) -> int:
        tried.append(rule)
        return int(rule == "7")

    monkeypatch.setattr(soak, "switch_off", switch_off)
    assert soak.main() == 1
    assert tried == list(BREAKS)


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(("divergences", "code"), [(0, 0), (1, 1)])
def test_the_last_line_counts_both_kinds(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    divergences: int,
    code: int,
) -> None:
    line = str(Tally(histories=70, steps=900, kills=20, divergences=divergences))
    real = Counter(histories=3, steps=93, kills=4, divergences=divergences)
    monkeypatch.setattr(soak, "play_on_real_servers", lambda _until: real)
    monkeypatch.setattr(soak, "SIMULATION", (sys.executable, "-c", f"print({line!r})"))
    assert soak.main() == code
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 histories of real servers and 70 simulated, 993 steps, 24 kills, "
        f"{2 * divergences} divergences"
    )


@pytest.mark.usefixtures("asked")
def test_a_simulation_that_breaks_off_is_a_divergence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "play_on_real_servers", lambda _until: Counter())
    monkeypatch.setattr(soak, "SIMULATION", ("false",))
    assert soak.main() == 1
    assert capsys.readouterr().out.endswith(" 1 divergences\n")


@pytest.mark.long
def test_histories_of_real_servers_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(soak, "BATCH", 2)
    monkeypatch.setattr(soak, "DATA", tmp_path)
    clock = SimpleNamespace(monotonic=iter((0.0, 2.0)).__next__, time_ns=time.time_ns)
    monkeypatch.setattr(soak, "time", clock)
    counts = soak.play_on_real_servers(until=1.0, rebuilds=False)
    assert counts["histories"] >= 2
    assert counts["divergences"] == 0
    assert logging.root.manager.disable == logging.NOTSET
