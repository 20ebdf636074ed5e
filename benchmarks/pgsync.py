"""PGSync, for comparison: in a virtual environment of its own, with a Redis of its own.

Its settings are its defaults. Its schema can say what a document holds, but not quite as ours: a
person comes with the role in one list `persons`; three lists by role and lists of names are beyond
it, and so is the order within a list. So its documents are compared as sets, and its index has the
same settings, the same analyzer, and as many nested documents, but fewer text fields.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from benchmarks import ceiling
from benchmarks.figures import Load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import FOLDER, Servers, drop_slots
from local.certificates import trust_the_system
from local.processes import free_port, is_free, wait_until
from local.rest import call

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "7.3.0"
INDEX = "pgsync"
_HOME = FOLDER / "pgsync"
_PROGRAMS = _HOME / "venv" / "bin"
_SCHEMA = Path(__file__).with_name("pgsync.json")
_PATIENCE = 3600.0


class _Usage(NamedTuple):
    """What a program took, its children included: wall and CPU seconds, peak memory in MB."""

    wall: float
    cpu: float
    peak: float


def missing() -> str | None:
    """Install PGSync; return why it cannot run here, None when it can."""
    if shutil.which("redis-server") is None:
        return "there is no redis-server (Debian's package of that name)"
    if (_PROGRAMS / "pgsync").exists():
        return None
    shutil.rmtree(_HOME, ignore_errors=True)
    trust_the_system()
    uv = str(Path(sys.executable).parent / "uv")
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode"]
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(_PROGRAMS.parent)],
        [*install, "--python", str(_PROGRAMS / "python"), f"pgsync=={VERSION}"],
    ):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            shutil.rmtree(_HOME, ignore_errors=True)
            return f"it cannot be installed: {answer.stderr.strip()[-300:]}"
    return None


def load(servers: Servers) -> Load:
    """Load everything into a fresh index, and return what that took, the program's start left out.

    PostgreSQL must have `wal_level=logical`. The set-up of triggers and slot is not counted.
    Raises BenchmarkError when one of PGSync's programs fails.
    """
    _create_index(servers.elasticsearch.port)
    with _redis() as redis:
        environment = _environment(servers, redis)
        try:
            _run("bootstrap", environment)
            started = _run("pgsync", environment, "--help")
            before = servers.meter.read()
            loaded = _run("pgsync", environment)
            call("POST", f"{servers.elasticsearch.url}/{INDEX}/_refresh", seconds=600)
            spent = servers.meter.read().since(before)
        finally:
            _tear_down(servers.dsn)
    return Load(
        at=spent.at - started.wall,
        task=loaded.cpu - started.cpu,
        postgres=spent.postgres,
        elasticsearch=spent.elasticsearch,
        peak=loaded.peak,
    )


@contextmanager
def going_on(servers: Servers) -> Iterator[subprocess.Popen[bytes]]:
    """Let it load everything into a fresh index and keep that equal; yield its process.

    PostgreSQL must have `wal_level=logical`. Raises BenchmarkError when it cannot be set up.
    """
    _create_index(servers.elasticsearch.port)
    with _redis() as redis:
        environment = _environment(servers, redis)
        try:
            _run("bootstrap", environment)
            with (_HOME / "daemon.log").open("wb") as log:
                process = subprocess.Popen(
                    [_PROGRAMS / "pgsync", "--config", str(_SCHEMA), "--daemon"],
                    cwd=_HOME,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            try:
                yield process
            finally:
                process.terminate()
                process.wait()
        finally:
            _tear_down(servers.dsn)


def found_by(word: str) -> dict[str, Any]:
    """Return the query of the films whose title or whose persons have a word."""
    person = {"match": {"persons.person.name": word}}
    of_persons = {"nested": {"path": "persons", "query": person}}
    return {"bool": {"should": [{"match": {"title": word}}, of_persons]}}


def shown(document: dict[str, Any]) -> dict[str, Any]:
    """Return of one of our documents what PGSync's has as well, in PGSync's form."""
    return {
        **{name: document[name] for name in ("id", "title", "description", "imdb_rating")},
        "genres": sorted(document["genres"]),
        "persons": sorted(
            (role, person["id"], person["name"])
            for role in ("director", "actor", "writer")
            for person in document[f"{role}s"]
        ),
    }


def normal(document: dict[str, Any]) -> dict[str, Any]:
    """Return one of PGSync's documents without its own fields and without any order."""
    return {
        **{name: document.get(name) for name in ("id", "title", "description", "imdb_rating")},
        "genres": sorted(document["genres"] or []),
        "persons": sorted(
            (link["role"], link["person"]["id"], link["person"]["name"])
            for link in document["persons"] or []
        ),
    }


def _create_index(port: int) -> None:
    definition = copy.deepcopy(ceiling.DEFINITION)
    ours = definition["mappings"]["properties"]
    person = ours["actors"]["properties"]
    definition["mappings"] = {
        "properties": {
            **{
                name: ours[name] for name in ("id", "imdb_rating", "genres", "title", "description")
            },
            "persons": {
                "type": "nested",
                "properties": {"role": {"type": "keyword"}, "person": {"properties": person}},
            },
        }
    }
    url = f"http://127.0.0.1:{port}/{INDEX}"
    call("DELETE", f"{url}?ignore_unavailable=true", seconds=60)
    call("PUT", url, definition, seconds=60)


def _environment(servers: Servers, redis: int) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(_HOME),
        "PG_HOST": "127.0.0.1",
        "PG_PORT": str(servers.catalogue.port),
        "PG_USER": "postgres",
        "PG_PASSWORD": "trusted",
        "ELASTICSEARCH_HOST": "127.0.0.1",
        "ELASTICSEARCH_PORT": str(servers.elasticsearch.port),
        "ELASTICSEARCH_TIMEOUT": "60",  # after ten seconds, on a busy machine, it would end
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis),
        "CHECKPOINT_PATH": str(_HOME),
    }


def _run(program: str, environment: dict[str, str], *arguments: str) -> _Usage:
    """Run one of PGSync's programs to its end. Raises BenchmarkError with what it said."""
    log = _HOME / f"{program}.log"
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [_PROGRAMS / program, *(arguments or ("--config", str(_SCHEMA)))],
            cwd=_HOME,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        msg = f"PGSync's {program} failed: {log.read_text(errors='replace')[-1500:]}"
        raise BenchmarkError(msg)
    return _Usage(
        time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6
    )


@contextmanager
def _redis() -> Iterator[int]:
    """Keep a Redis without a disk; yield its port."""
    port = free_port(26379)
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=_HOME,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: not is_free(port), seconds=30, what="Redis listens")
        yield port
    finally:
        process.terminate()
        process.wait()


def _tear_down(dsn: str) -> None:
    """Remove triggers and slots, which would keep the database from being removed."""
    drop_slots(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table, trigger in connection.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}" ON {table}'.encode())
