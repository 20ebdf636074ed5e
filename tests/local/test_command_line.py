"""The command line of the local stack."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import __main__ as command_line
from local import commands
from local import run as running
from local.stack import Stack
from tests.support.signals import restored

__all__ = ["restored"]

COMMANDS = {
    *("run", "up", "down", "status", "search", "edit", "simulate", "watch"),
    *("sql", "psql", "airflow", "env", "clean"),
}


@pytest.fixture
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work on a checkout where nothing has been started."""
    for module in (commands, running):
        monkeypatch.setattr(
            module, "Stack", lambda report, **options: Stack(report, tmp_path, **options)
        )


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert not {name for name in COMMANDS if f"    {name} " not in told}


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize(
    "command",
    [["search", "tears"], ["edit"], ["simulate"], ["watch"], ["psql"], ["airflow", "info"]],
)
def test_a_command_that_needs_the_stack_says_how_to_start_it(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the local stack is down: `make run`")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        *(["up", "--films", "0"], ["run", "--films", "many"], ["watch", "--every", "0"]),
        *(["simulate", "--rate", "-1"], ["simulate", "--rate", "inf"], ["simulate", "--rate", "x"]),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(command)
    assert ended.value.code == 2
    assert command[1] in capsys.readouterr().err


def test_films_are_not_generated_into_a_catalogue_that_is_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Scripted(signal.SIGINT)
    stack.up = True
    monkeypatch.setattr(running, "Stack", lambda *_, **__: stack)
    assert command_line.main(["up", "--films", "5"]) == 1
    assert not stack.started
    assert "remove it with `make clean`" in capsys.readouterr().err


@pytest.mark.usefixtures("_nothing_runs")
def test_status_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["status"]) == 1
    assert "PostgreSQL     down" in capsys.readouterr().out


@pytest.mark.usefixtures("_nothing_runs")
def test_stopping_nothing_is_harmless() -> None:
    assert command_line.main(["down"]) == 0
    assert command_line.main(["clean"]) == 0


@pytest.mark.usefixtures("_nothing_runs")
def test_clean_removes_what_is_the_stacks_own_and_says_what_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(print, tmp_path)
    others = {"bench", "cache", "soak", "test"}
    for name in {"airflow", "elasticsearch", "postgres"} | others:
        (stack.folder / name / "data").mkdir(parents=True)
    stack.postgres.folder.mkdir(parents=True, exist_ok=True)  # under root it may lie elsewhere
    stack.keep("up")

    assert command_line.main(["clean"]) == 0

    assert {path.name for path in stack.folder.iterdir()} == {"lock"} | others
    assert not stack.postgres.folder.exists()
    assert "left in .local: bench, cache, soak, test" in capsys.readouterr().out


@pytest.mark.usefixtures("_nothing_runs")
def test_env_can_be_read_by_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("export ") for line in lines)
    assert any(line.startswith("export AIRFLOW_CONN_MOVIES_POSTGRES='{") for line in lines)


class Closed(io.StringIO):
    """A terminal that has been closed."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


class Scripted:
    """A stack that nothing is started for: its start is cut by a signal."""

    up = False
    state = SimpleNamespace(kept="up")

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        self.started = False
        self.stopped: list[float] = []

    def runner(self) -> int | None:
        return None

    def keep(self, _: str) -> None:
        pass

    def start(self, _: int | None) -> None:
        signal.raise_signal(self.number)
        self.started = True
        raise KeyboardInterrupt

    def stop(self, *, patience: float = 20) -> None:
        if self.number == signal.SIGHUP:
            signal.raise_signal(self.number)  # shells send it once more
        self.stopped.append(patience)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_stops_everything_when_it_is_to_end(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Scripted(number)
    monkeypatch.setattr(running, "Stack", lambda *_, **__: stack)
    assert command_line.main(["run"]) == 130
    assert not stack.started
    assert stack.stopped == [20]


@pytest.mark.usefixtures("restored")
def test_run_stops_everything_although_the_terminal_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Scripted(signal.SIGHUP)
    monkeypatch.setattr(running, "Stack", lambda *_, **__: stack)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert command_line.main(["run"]) == 130
    assert stack.stopped == [20]


@pytest.mark.usefixtures("restored")
def test_run_goes_on_under_nohup_when_the_terminal_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stack = Scripted(signal.SIGHUP)
    monkeypatch.setattr(running, "Stack", lambda *_, **__: stack)
    command_line.main(["run"])
    assert stack.started
