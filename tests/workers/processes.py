"""A queue and Celery workers on this machine, each a process that can be killed by itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from local.airflow import PROGRAM
from local.processes import kill, terminate, wait_until
from local.state import Known
from tests.support.servers import free_port

PATIENCE = 600.0
"""Seconds within which a process starts or ends on a busy machine."""


class Started:
    """A process with a session of its own, and all that it starts.

    :param log: takes what it prints.
    """

    def __init__(
        self, command: list[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with log.open("wb") as stream:
            self._child = subprocess.Popen(
                command,
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        known = Known.of(self._child.pid)
        assert known, f"{command[0]} ended at once: {log.read_text()}"
        self._known = known

    def session(self) -> list[int]:
        """Return its live processes."""
        return self._known.session()

    def kill(self) -> None:
        """End all of them by SIGKILL, as when the machine under them is switched off."""

        def is_gone() -> bool:
            kill(self.session())
            return not self.session()

        wait_until(is_gone, seconds=PATIENCE, what="killed processes are gone")
        self._child.wait()

    def stop(self) -> None:
        """Ask it to end, and kill what does not."""
        terminate(self._child.pid)
        with suppress(TimeoutError):
            wait_until(lambda: not self.session(), seconds=20, what="it ends")
        self.kill()


@contextmanager
def running_redis(folder: Path) -> Iterator[int]:
    """Run a queue that keeps nothing on disk; give out its port."""
    program = shutil.which("redis-server")
    assert program, "redis-server is needed: apt-get install redis-server"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    queue = Started([program, *given], folder / "redis.log")
    try:
        wait_until(lambda: _answers(port), seconds=PATIENCE, what="the queue answers")
        yield port
    finally:
        queue.stop()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


class Workers:
    """Celery workers of one Airflow.

    :param environment: of Airflow's commands.
    :param folder: for their logs.
    :param concurrency: tasks that one runs at a time.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, concurrency: int) -> None:
        self._environment = environment
        self._folder = folder
        self._concurrency = concurrency
        self._workers: dict[str, Started] = {}

    def start(self, name: str) -> None:
        """Start a worker, and wait until it takes tasks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        options = {
            "--concurrency": str(self._concurrency),
            "--celery-hostname": f"{name}@localhost",
            "--pid": str(self._folder / f"{name}.pid"),  # one for the machine is the default
        }
        given = [word for option in options.items() for word in option]
        command: list[str | Path] = [PROGRAM, "celery", "worker", "--skip-serve-logs", *given]
        self._workers[name] = Started(command, log, self._environment)
        wait_until(
            lambda: " ready." in log.read_text(errors="replace"),
            seconds=PATIENCE,
            what=f"worker {name} is ready: {log}",
        )

    def of(self, pid: int | None) -> str | None:
        """Return the worker that a process belongs to, None when to none that lives."""
        return next((name for name, one in self._workers.items() if pid in one.session()), None)

    def kill(self, name: str) -> None:
        """Kill a worker and its tasks."""
        self._workers.pop(name).kill()

    def stop(self) -> None:
        """End all that run."""
        while self._workers:
            _, worker = self._workers.popitem()
            worker.stop()
