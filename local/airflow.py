"""Airflow on this machine: all of its parts, with a home of its own.

The parts are started singly, not by `airflow standalone`, so that each can be stopped in its turn.
Each is the leader of a session, in which its children stay; a running task is a process group of
its own in the scheduler's session. No task here needs the triggerer: it runs because Airflow's home
page shows a red badge without one.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes import kill, terminate, wait_until

if TYPE_CHECKING:
    from local.airflow_settings import AirflowSettings
    from local.state import Known, State

PROGRAM = Path(sys.executable).parent / "airflow"
PARTS = {  # in the order of stopping: the scheduler's tasks still need the API
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "api-server": ("api-server",),
}


class AirflowError(RuntimeError):
    """A part of Airflow did not start; the message has the end of its log."""


class Airflow:
    """The parts of one Airflow, on 127.0.0.1.

    :param settings: where it lives and what it is connected to.
    :param state: where its processes are remembered; the caller of `start` and `stop` writes it.
    """

    def __init__(self, settings: AirflowSettings, state: State) -> None:
        self.settings = settings
        self._state = state
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> bool:
        """Whether all parts are alive."""
        return all(self._state.alive(part) for part in PARTS)

    def migrate(self, *, fresh: bool = False) -> None:
        """Bring the metadata database to this Airflow's version; quick when it is there already.

        It also writes the configuration with its keys, so it has to end before the parts start.

        :param fresh: the database has just been created.

        Raises AirflowError.
        """
        self.settings.password()
        done = self.settings.home / "migrated"
        current = version("apache-airflow")
        if not fresh and done.exists() and done.read_text() == current:
            return
        log = self.settings.home / "migrate.log"
        with log.open("wb") as stream:
            answer = subprocess.run(
                [PROGRAM, "db", "migrate"],
                env=self.settings.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=False,
            )
        if answer.returncode:
            raise _failure("airflow db migrate failed", log)
        done.write_text(current)

    def start(self, *parts: str) -> None:
        """Start these parts where they do not run; `check` and the REST API say how they are.

        The scheduler comes last: a task that does not find the API at once fails.
        """
        for part in parts:
            if self._state.alive(part):
                continue
            log = self._log(part)
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes(b"")
            with log.open("ab") as stream:  # to the end, also after somebody has emptied it
                child = subprocess.Popen(
                    [PROGRAM, *PARTS[part]],
                    cwd=self.settings.home,
                    env=self.settings.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._children.append(child)
            self._state.note(part, child.pid)

    def check(self) -> None:
        """Raise AirflowError when a part that was started has ended."""
        for child in self._children:
            child.poll()
        for part, known in self._state.processes.items():
            if part in PARTS and not known.alive:
                raise _failure(f"Airflow's {part} ended", self._log(part))

    def stop(self, *, patience: float = 20) -> None:
        """End all parts and what they started; harmless when nothing runs.

        :param patience: seconds for running tasks to finish; then they are killed.
        """
        for part in PARTS:
            known = self._state.processes.get(part)
            if known is not None and known.session():
                _stop_session(known, patience)
            self._state.processes.pop(part, None)
        for child in self._children:
            child.wait()
        self._children.clear()

    def _log(self, part: str) -> Path:
        return self.settings.home / "parts" / f"{part}.log"


def _stop_session(leader: Known, patience: float) -> None:
    """End a session: first its leader's group, after the patience everything in it by force."""
    if patience > 0:
        terminate(leader.pid)
        try:
            wait_until(lambda: not leader.session(), seconds=patience, what="Airflow ends")
        except TimeoutError:
            pass
        else:
            return
    kill(leader.session())
    wait_until(lambda: not leader.session(), seconds=10, what="Airflow's processes end")


def _failure(what: str, log: Path) -> AirflowError:
    end = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    return AirflowError(f"{what} ({log}):\n{end}".rstrip())
