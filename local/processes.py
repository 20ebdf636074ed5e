"""Waiting for events, free ports, and processes known by number and time of birth."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_NEVER = threading.Event()


def pause(seconds: float) -> None:
    """Let other programs work for a moment between two looks at what is waited for."""
    _NEVER.wait(seconds)


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Look at the condition until it holds; raise TimeoutError, saying what, after the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            msg = f"waited {seconds:.0f} seconds in vain: {what}"
            raise TimeoutError(msg)
        pause(0.05)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int, taken: frozenset[int] | set[int] = frozenset()) -> int:
    """Return the first free port from the preferred one on that is not in taken.

    Raises OSError when the next hundred ports are all in use.
    """
    for port in range(preferred, min(preferred + 100, 65536)):
        if port not in taken and is_free(port):
            return port
    msg = f"no free port from {preferred} to {preferred + 99}"
    raise OSError(msg)


def birth(pid: int) -> float | None:
    """Return when the process was started (by psutil), None when there is none alive."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def named_in(name: str, folder: Path) -> list[int]:
    """Return the live processes of this name whose working directory is the folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if (
                process.info["name"] == name
                and process.status() != psutil.STATUS_ZOMBIE
                and process.cwd() == str(folder)
            ):
                found.append(int(process.pid))
        except (psutil.Error, OSError):
            continue
    return found


def kill(pids: Iterable[int]) -> None:
    """SIGKILL each process; one that is gone already does not matter."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def end_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to end.

    SIGHUP, which a closed terminal sends, is one of them unless it is ignored (`nohup`).
    """
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, *hang_up]


def interrupt_by_signals() -> None:
    """Let each signal that asks this process to end raise KeyboardInterrupt.

    SIGINT too: shells ignore it in background.
    """
    for number in (signal.SIGINT, *end_signals()):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> NoReturn:
    if number == signal.SIGHUP:
        signal.signal(number, signal.SIG_IGN)  # shells send it once more; that is no haste
    raise KeyboardInterrupt


def terminate(group: int) -> None:
    """SIGTERM to a process group; one that is gone already does not matter."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)


def session(leader: int) -> list[int]:
    """Return the live processes of the session that this process leads or led."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and birth(pid) is not None:
                found.append(int(pid))
        except OSError:
            continue
    return found
