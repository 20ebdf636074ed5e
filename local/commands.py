"""The commands that use a stack which is up."""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import TYPE_CHECKING

from local.airflow import PROGRAM
from local.edits import edit
from local.indexes import indexes
from local.lag import Observer
from local.processes import interrupt_by_signals
from local.query import query
from local.report import Report
from local.shown import shown
from local.simulate import Simulation
from local.stack import Stack
from local.summary import addresses, both_sides, found
from local.watch import watch

if TYPE_CHECKING:
    import argparse


def needed() -> Stack:
    """Return the stack; raise LookupError when its servers do not run."""
    stack = Stack(Report())
    if not (stack.postgres.running and stack.elasticsearch.running):
        msg = "the local stack is down: `make run` or `.venv/bin/python -m local up` starts it"
        raise LookupError(msg)
    return stack


def status(_: argparse.Namespace) -> int:
    """Tell what runs; exit 1 when something does not."""
    stack = Stack(Report())
    for part, runs in stack.parts.items():
        print(f"{part:<14} {'up' if runs else 'down'}")
    if not stack.up:
        print("start          make run, or .venv/bin/python -m local up")
        return 1
    for one in both_sides(stack):
        print(one)
    print("\n".join(addresses(stack)))
    return 0


def search_index(arguments: argparse.Namespace) -> int:
    """Print the films that match."""
    print("\n".join(found(needed(), " ".join(arguments.words), size=arguments.size)))
    return 0


def edit_catalogue(arguments: argparse.Namespace) -> int:
    """Make a few edits and say how to see them."""
    for done in edit(needed().dsn, arguments.seed):
        print(shown(done.text))
        print(shown(f"    .venv/bin/python -m local search {shlex.quote(done.words)}"))
    print("the next run of movies_sync, within a minute, brings them into the index")
    return 0


def simulate_edits(arguments: argparse.Namespace) -> int:
    """Edit the catalogue until Ctrl-C."""
    stack, report = needed(), Report()
    interrupt_by_signals()
    with contextlib.suppress(KeyboardInterrupt):
        Simulation(stack.dsn, arguments.rate, report, arguments.seed).run()
    return 0


def watch_lag(arguments: argparse.Namespace) -> int:
    """Show lag and rate until Ctrl-C."""
    stack = needed()
    observers = [
        Observer(stack.dsn, stack.elasticsearch.url, stack.api(index.sync_dag), index)
        for index in indexes()
    ]
    with contextlib.suppress(KeyboardInterrupt):
        watch(observers, arguments.every)
    return 0


def show_query(arguments: argparse.Namespace) -> int:
    """Print a query of the program; nothing needs to run."""
    print(query(arguments.file, arguments.stream, index=arguments.index, links=arguments.links))
    return 0


def psql(arguments: argparse.Namespace) -> int:
    """Become psql on the catalogue."""
    stack = needed()
    program = stack.postgres.program("psql")
    os.execv(program, ["psql", "-d", stack.dsn, *_rest(arguments)])  # noqa: S606


def airflow(arguments: argparse.Namespace) -> int:
    """Become the airflow command, connected to the local Airflow."""
    environment = needed().settings.environment()
    os.execve(PROGRAM, ["airflow", *_rest(arguments)], environment)  # noqa: S606


def env(_: argparse.Namespace) -> int:
    """Print the environment of the local Airflow as shell commands."""
    for name, value in Stack(Report()).settings.variables().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _rest(arguments: argparse.Namespace) -> list[str]:
    rest: list[str] = arguments.arguments
    return rest[1:] if rest[:1] == ["--"] else rest
