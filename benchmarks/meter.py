"""CPU time and memory of processes, read from /proc."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class _Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here; times in seconds."""

    parent: int
    own: float
    ended_children: float


@dataclass(frozen=True)
class Reading:
    """A moment; the difference of two is what was spent between them.

    :param at: the wall clock, seconds since 1970.
    :param task: CPU seconds of the reading process with all its threads.
    :param postgres: of the postmaster, its ended children and its live ones.
    :param elasticsearch: of the node's process.
    """

    at: float
    task: float
    postgres: float
    elasticsearch: float

    def since(self, earlier: Reading) -> Reading:
        """Return what was spent since an earlier reading; `at` becomes the seconds between."""
        before = asdict(earlier)
        return Reading(**{name: value - before[name] for name, value in asdict(self).items()})


@dataclass(frozen=True)
class Meter:
    """Reads what the servers have spent so far.

    :param postgres: the postmaster's process id; the cluster should serve nobody else.
    :param elasticsearch: the node's process id.
    """

    postgres: int
    elasticsearch: int

    def read(self) -> Reading:
        """Read all clocks. Raises FileNotFoundError when a server does not run."""
        postgres, elasticsearch = _family(self.postgres), _stat(self.elasticsearch).own
        return Reading(time.time(), time.process_time(), postgres, elasticsearch)


def peak_memory(pid: int | str = "self") -> float:
    """Return the largest resident memory that a process has had, in MB (10^6 bytes)."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    msg = f"process {pid} has no memory of its own"
    raise ValueError(msg)


def _stat(pid: int) -> _Stat:
    text = (_PROC / str(pid) / "stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()  # the name before may have spaces
    return _Stat(
        parent=int(fields[1]),
        own=(int(fields[11]) + int(fields[12])) * _TICK,
        ended_children=(int(fields[13]) + int(fields[14])) * _TICK,
    )


def _family(parent: int) -> float:
    """Return CPU seconds of a process, of its ended and of its live children.

    It is read again when a child ended meanwhile: it would count twice or not at all.
    """
    while True:
        ended = _stat(parent).ended_children
        live = sum(_stat_if_alive(pid, parent) for pid in _numbers())
        after = _stat(parent)
        if after.ended_children == ended:
            return after.own + ended + live


def _stat_if_alive(pid: int, parent: int) -> float:
    try:
        stat = _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return stat.own if stat.parent == parent else 0.0


def _numbers() -> list[int]:
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdecimal()]
