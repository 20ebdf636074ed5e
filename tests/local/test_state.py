"""Ports and processes that are remembered between commands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.processes import free_port, kill, session, wait_until
from local.state import DEFAULT_PORTS, Known, PortError, State


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port(21_000)))
        server.listen()
        yield server.getsockname()[1]


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = State(ports={"postgres": 21_001}, kept="run")
    state.note("run", os.getpid())
    state.write(tmp_path / "folder" / "stack.json")
    again = State.read(tmp_path / "folder" / "stack.json")
    assert again == state
    assert again.alive("run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ports": 1}', '{"ports": {}, "processes": 3}'])
def test_a_damaged_file_is_an_empty_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert State.read(tmp_path / "stack.json") == State()
    assert State.read(tmp_path / "missing.json") == State()


def test_a_process_number_that_was_given_out_anew_is_not_the_process() -> None:
    known = Known.of(os.getpid())
    assert known
    assert known.alive
    assert not replace(known, born=known.born - 1).alive
    assert replace(known, born=known.born - 1).session() == []


def test_a_session_is_known_after_its_leader_has_died() -> None:
    orphan = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('up', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{orphan}; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout
        leader.stdout.readline()
        known = Known.of(leader.pid)
        assert known
        assert len(known.session()) == 2
    assert not known.alive
    assert len(known.session()) == 1
    kill(session(known.pid))
    wait_until(lambda: not known.session(), seconds=5, what="the orphan ends")


def test_the_default_ports_are_not_those_of_outgoing_connections() -> None:
    assert max(DEFAULT_PORTS.values()) < 32_768
    assert len(set(DEFAULT_PORTS.values())) == len(DEFAULT_PORTS)


def test_a_taken_port_is_passed_over(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOVIES_LOCAL_POSTGRES_PORT", raising=False)
    state = State(ports={"postgres": taken})
    assert state.choose_port("postgres") > taken
    assert state.ports["postgres"] == state.choose_port("postgres")


def test_parts_get_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOVIES_LOCAL_AIRFLOW_PORT", raising=False)
    wanted = free_port(22_000)
    state = State(ports={"elasticsearch": wanted, "airflow": wanted})
    assert state.choose_port("airflow") != wanted


def test_the_environment_names_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = free_port(23_000)
    monkeypatch.setenv("MOVIES_LOCAL_AIRFLOW_PORT", str(wanted))
    assert State(ports={"airflow": 28_080}).choose_port("airflow") == wanted


@pytest.mark.parametrize("wanted", ["0", "65536", "eighty", "-1"])
def test_a_port_that_is_none_is_refused_by_name(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIES_LOCAL_AIRFLOW_PORT", wanted)
    with pytest.raises(PortError, match="MOVIES_LOCAL_AIRFLOW_PORT"):
        State().choose_port("airflow")


def test_a_port_that_is_asked_for_but_taken_is_refused(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIES_LOCAL_POSTGRES_PORT", str(taken))
    with pytest.raises(PortError, match=str(taken)):
        State().choose_port("postgres")


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(TimeoutError, match="the cows come home"):
        wait_until(lambda: False, seconds=0.1, what="the cows come home")
