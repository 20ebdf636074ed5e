"""What is remembered between commands: ports, and processes by number and time of birth."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.processes import birth, free_port, is_free, session

# Below the range that outgoing connections take their ports from (32768 and up on Linux): a client
# that polls a port in that range while nobody listens can end up connected to itself.
DEFAULT_PORTS = {"postgres": 25432, "elasticsearch": 29200, "airflow": 28080}


class PortError(ValueError):
    """A port that the environment asks for cannot be used; the message says which."""


@dataclass(frozen=True)
class Known:
    """A process that is recognised again although numbers are given out anew."""

    pid: int
    born: float

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        return birth(self.pid) == self.born

    def session(self) -> list[int]:
        """Return the live processes of the session that it leads, or led before it ended.

        Its number is not given out again as long as one of them lives.
        """
        return session(self.pid) if birth(self.pid) in {None, self.born} else []

    @classmethod
    def of(cls, pid: int) -> Known | None:
        """Return the process with this number, None when there is none alive."""
        born = birth(pid)
        return None if born is None else cls(pid, born)


@dataclass
class State:
    """The content of the file: ports by part, processes by name, and what keeps the stack up.

    `kept` is "run" when the process named `run` stops the stack at its end, "up" when the stack
    stays until `down`.
    """

    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Known] = field(default_factory=dict)
    kept: str = "up"

    @classmethod
    def read(cls, path: Path) -> State:
        """Read the file; one that is missing or damaged is an empty state."""
        try:
            content = json.loads(path.read_text())
            processes = {name: Known(**known) for name, known in content["processes"].items()}
            return cls(dict(content["ports"]), processes, content["kept"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, path: Path) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        unfinished.replace(path)

    def alive(self, name: str) -> Known | None:
        """Return the process of this name when it runs."""
        known = self.processes.get(name)
        return known if known is not None and known.alive else None

    def note(self, name: str, pid: int) -> None:
        """Remember a process that has just been started."""
        if known := Known.of(pid):
            self.processes[name] = known

    def choose_port(self, part: str) -> int:
        """Choose the port for a part that does not run, and remember it.

        The environment's MOVIES_LOCAL_<PART>_PORT wins, then the remembered port, then the
        default; when a port that nobody asked for is taken, the next free one is used.
        Raises PortError when the environment's port is not usable.
        """
        name = f"MOVIES_LOCAL_{part.upper()}_PORT"
        if wanted := os.environ.get(name):
            if not (wanted.isdecimal() and 0 < int(wanted) < 65536 and is_free(int(wanted))):
                msg = f"{name}={wanted} is not a free port: unset it, or name another one"
                raise PortError(msg)
            self.ports[part] = int(wanted)
        else:
            others = {port for other, port in self.ports.items() if other != part}
            self.ports[part] = free_port(self.ports.get(part, DEFAULT_PORTS[part]), others)
        return self.ports[part]
