"""The command line of the local stack: `python -m local --help`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shlex
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import psycopg

from local.airflow import PROGRAM, AirflowError
from local.edits import edit
from local.elasticsearch import ElasticsearchError
from local.elasticsearch_build import BuildError
from local.elasticsearch_jars import JarsError
from local.outcome import lines
from local.postgres import PostgresError
from local.postgres_place import AWAY, PlaceError
from local.processes import end_signals
from local.rest import RestError, UnreachableError
from local.runs import RunError, finished_runs, first_run
from local.search import ALIAS, LETTERS, count
from local.stack import DATABASE, Stack
from local.state import PortError
from local.summary import addresses, films_in_database, found, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.airflow_api import AirflowApi, Run

_ERRORS = (
    *(AirflowError, BuildError, ElasticsearchError, JarsError, PortError, PostgresError),
    *(
        PlaceError,
        RestError,
        RunError,
        UnreachableError,
        LookupError,
        TimeoutError,
        ImportError,
        OSError,
    ),
    psycopg.Error,
)
_PASSED_ON = {
    "psql": f"psql on the database {DATABASE}, such as: psql -c 'TABLE content.genre'",
    "airflow": "any airflow command, such as: airflow dags trigger movies_sync",
}


class Progress:
    """Prints lines with the seconds since it was made; threads may share it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._alone = threading.Lock()

    def __call__(self, text: str) -> None:
        """Print one line at once, also into a pipe; nothing ends because nobody reads it."""
        with self._alone, contextlib.suppress(OSError):
            print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)


def run(arguments: argparse.Namespace) -> int:
    """Start everything, wait for the first run, tell of it, and follow the later ones."""
    report = Progress()
    stack = Stack(report)
    for number in (signal.SIGINT, *end_signals()):  # SIGINT too: shells ignore it in background
        signal.signal(number, _interrupt)
    others = stack.runner() is not None or (stack.up and stack.state.kept == "up")
    code = 1
    try:
        if others:
            report("already up" + (f", by process {stack.runner()}" if stack.runner() else ""))
        else:
            stack.keep("run")
        code = _run(stack, report, once=arguments.once)
    except KeyboardInterrupt:
        code = 130
    finally:
        if others:
            report("left running: `python -m local down` stops it")
        else:
            _stop(stack, report)
    return code


def _run(stack: Stack, report: Progress, *, once: bool) -> int:
    since = datetime.now(UTC)
    if not stack.up:
        stack.start()
    api = stack.api()
    first = first_run(api, stack.airflow.check, report, since)
    text, equal = summary(stack, first)
    print(text, flush=True)
    if once:
        return 0 if equal else 1
    print("stop           Ctrl-C\n", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        _follow(stack, api, first)
    return 0


def _follow(stack: Stack, api: AirflowApi, first: Run) -> None:
    """Print a line for each run that ends, and for each part that is lost, until interrupted."""
    lost: set[str] = set()
    before: list[str] = []
    for ended in finished_runs(api, first):
        if ended is not None:
            told = lines(api, ended)
            print("\n".join(line for line in told if line not in before), flush=True)
            before = told  # a warning that stays is told once
        stack.refresh()
        stack.forget()
        for part, runs in stack.parts.items():
            if not runs and part not in lost:
                print(f"{part} is gone: `python -m local up` starts it again", flush=True)
        lost = {part for part, runs in stack.parts.items() if not runs}


def _stop(stack: Stack, report: Progress) -> None:
    """Stop everything; a second Ctrl-C kills instead of waiting."""
    report("stopping")
    try:
        stack.stop()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, *end_signals()):
            signal.signal(number, signal.SIG_IGN)
        report("hurrying")
        stack.stop(patience=0)


def _interrupt(number: int, _: object) -> NoReturn:
    if number == signal.SIGHUP:
        signal.signal(number, signal.SIG_IGN)  # shells send it once more; that is no haste
    raise KeyboardInterrupt


def up(_: argparse.Namespace) -> int:
    """Start everything and return when the DAG has run once."""
    report = Progress()
    stack = Stack(report)
    since = datetime.now(UTC)
    if stack.up:
        report("already up")
    else:
        if stack.runner() is None:
            stack.keep("up")
        stack.start()
        first_run(stack.api(), stack.airflow.check, report, since)
    print("\n".join(addresses(stack)))
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop everything."""
    stack = Stack(Progress())
    stack.end_runner()
    stack.stop()
    return 0


def clean(_: argparse.Namespace) -> int:
    """Stop everything and remove its data; say what stays."""
    report = Progress()
    stack = Stack(report)
    stack.end_runner()
    stack.remove()
    kept = sorted(path.name for path in stack.folder.iterdir() if path.is_dir())
    if kept:
        report(f"left in .local: {', '.join(kept)}")
    return 0


def status(_: argparse.Namespace) -> int:
    """Tell what runs; exit 1 when something does not."""
    stack = Stack(Progress())
    for part, runs in stack.parts.items():
        print(f"{part:<14} {'up' if runs else 'down'}")
    if not stack.up:
        print("start          make run, or .venv/bin/python -m local up")
        return 1
    films, url = films_in_database(stack.dsn), stack.elasticsearch.url
    letters = count(url, LETTERS)
    print(
        f"films          {films:,} in PostgreSQL, {count(url):,} in Elasticsearch"
        + (f", {letters:,} dead letter{'' if letters == 1 else 's'}" if letters else "")
    )
    print("\n".join(addresses(stack)))
    return 0


def search_index(arguments: argparse.Namespace) -> int:
    """Print the films that match."""
    stack = _needed()
    print("\n".join(found(stack, " ".join(arguments.words), size=arguments.size)))
    return 0


def edit_catalogue(arguments: argparse.Namespace) -> int:
    """Make a few edits and say how to see them."""
    for done in edit(_needed().dsn, arguments.seed):
        print(f"{done.text}\n    .venv/bin/python -m local search {shlex.quote(done.words)}")
    print("the next run of movies_sync, within a minute, brings them into the index")
    return 0


def psql(arguments: argparse.Namespace) -> int:
    """Become psql on the catalogue."""
    stack = _needed()
    program = stack.postgres.program("psql")
    os.execv(program, ["psql", "-d", stack.dsn, *_rest(arguments)])  # noqa: S606


def airflow(arguments: argparse.Namespace) -> int:
    """Become the airflow command, connected to the local Airflow."""
    environment = _needed().settings.environment()
    os.execve(PROGRAM, ["airflow", *_rest(arguments)], environment)  # noqa: S606


def env(_: argparse.Namespace) -> int:
    """Print the environment of the local Airflow as shell commands."""
    for name, value in Stack(Progress()).settings.variables().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _rest(arguments: argparse.Namespace) -> list[str]:
    rest: list[str] = arguments.arguments
    return rest[1:] if rest[:1] == ["--"] else rest


def _needed() -> Stack:
    """Return the stack; raise LookupError when its servers do not run."""
    stack = Stack(Progress())
    if not (stack.postgres.running and stack.elasticsearch.running):
        msg = "the local stack is down: `make run` or `.venv/bin/python -m local up` starts it"
        raise LookupError(msg)
    return stack


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(
        prog="python -m local",
        description="PostgreSQL, Elasticsearch and Airflow for real on this machine, with 17,472 "
        "films. Everything is kept in .local/, or under root PostgreSQL's data in "
        f"{AWAY}-*. The database and the alias are called {ALIAS}.",
        epilog="Ports: MOVIES_LOCAL_POSTGRES_PORT, MOVIES_LOCAL_ELASTICSEARCH_PORT and "
        "MOVIES_LOCAL_AIRFLOW_PORT; else a default, or the next free one.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    add("run", run, "start everything, show the first run, stay until Ctrl-C").add_argument(
        "--once", action="store_true", help="stop everything after the first run"
    )
    add("up", up, "start everything and leave it running")
    add("down", down, "stop everything")
    add("status", status, "what runs, and where")
    words = add("search", search_index, "search the index")
    words.add_argument("words", nargs="+", metavar="WORDS", help="English or Russian")
    words.add_argument("--size", type=int, default=10, help="films to print (default 10)")
    add("edit", edit_catalogue, "change a few films, as an editor would").add_argument(
        "--seed", type=int, help="make the same edits again"
    )
    for name, function in (("psql", psql), ("airflow", airflow)):
        command = add(name, function, _PASSED_ON[name])
        command.add_argument("arguments", nargs="*", metavar="ARGS", help=f"as {name} takes them")
    add("env", env, 'settings for a shell: eval "$(.venv/bin/python -m local env)"')
    add("clean", clean, "stop everything and remove its data; jars stay, and what tests keep")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    # Its remarks on connections that an interrupted start has cut are of no use.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] and given[0] in _PASSED_ON and given[1:2] not in (["--help"], ["-h"]):
        given.insert(1, "--")  # options that follow are not ours
    chosen = parser().parse_args(given)
    try:
        code: int = chosen.function(chosen)
    except _ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
