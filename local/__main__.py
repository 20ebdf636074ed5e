"""The command line of the local stack: `python -m local --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, TypeVar

import psycopg

from local import commands, run
from local.airflow import AirflowError
from local.catalogue import CatalogueError
from local.elasticsearch import ElasticsearchError
from local.elasticsearch_build import BuildError
from local.elasticsearch_jars import JarsError
from local.postgres import PostgresError
from local.postgres_place import AWAY, PlaceError
from local.reader import DATABASE
from local.rest import RestError, UnreachableError
from local.runs import RunError
from local.search import ALIAS
from local.shown import shown
from local.state import PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ERRORS = (
    *(AirflowError, BuildError, CatalogueError, ElasticsearchError, JarsError, PlaceError),
    *(PortError, PostgresError, RestError, RunError, UnreachableError),
    *(ImportError, LookupError, OSError, TimeoutError, psycopg.Error),
)
Number = TypeVar("Number", int, float)
_PASSED_ON = {
    "psql": f"psql on the database {DATABASE}, such as: psql -c 'TABLE content.genre'",
    "airflow": "any airflow command, such as: airflow dags trigger movies_sync",
}


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
    found = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = found.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    starting = add("run", run.run, "start everything, show the first run, stay until Ctrl-C")
    starting.add_argument("--once", action="store_true", help="stop everything after the first run")
    for command in (starting, add("up", run.up, "start everything and leave it running")):
        command.add_argument(
            "--films",
            type=_number,
            metavar="N",
            help="generate a catalogue of N films, such as 1000000, in place of the sample; there "
            "must be none yet",
        )
    add("down", run.down, "stop everything")
    add("status", commands.status, "what runs, and where")
    words = add("search", commands.search_index, "search the index: films that have all the words")
    words.add_argument("words", nargs="+", metavar="WORDS", help="English or Russian")
    words.add_argument("--size", type=_number, default=10, help="films to print (default 10)")
    add("edit", commands.edit_catalogue, "change a few films, as an editor would").add_argument(
        "--seed", type=int, help="make the same edits again"
    )
    simulating = add(
        "simulate", commands.simulate_edits, "edit the catalogue again and again until Ctrl-C"
    )
    simulating.add_argument(
        "--rate", type=_positive, default=1.0, metavar="N", help="edits per second (default 1)"
    )
    simulating.add_argument("--seed", type=int, help="choose the same edits again")
    watching = add("watch", commands.watch_lag, "lag and rate of each stream, until Ctrl-C")
    watching.add_argument(
        "--every", type=_positive, default=2.0, metavar="SECONDS", help="default 2"
    )
    showing = add("sql", commands.show_query, "print a query of the program, its names filled in")
    showing.add_argument("file", metavar="FILE", help="such as feed/page, or page")
    showing.add_argument("stream", metavar="STREAM", nargs="?", help="whose table (default: root)")
    showing.add_argument("--index", default=ALIAS, help=f"of which index (default {ALIAS})")
    showing.add_argument("--links", action="store_true", help="the stream's links, not its rows")
    for name, function in (("psql", commands.psql), ("airflow", commands.airflow)):
        passed_on = add(name, function, _PASSED_ON[name])
        passed_on.add_argument("arguments", nargs="*", metavar="ARGS", help=f"as {name} takes them")
    add("env", commands.env, 'settings for a shell: eval "$(.venv/bin/python -m local env)"')
    add("clean", run.clean, "stop everything and remove its data; jars stay, and what tests keep")
    return whole


def _number(text: str) -> int:
    """Return a whole number above zero."""
    return _above_zero(int(text))


def _positive(text: str) -> float:
    """Return a number above zero."""
    return _above_zero(float(text))


def _above_zero(number: Number) -> Number:
    if not 0 < number < float("inf"):
        msg = f"{number} is no number above zero"
        raise argparse.ArgumentTypeError(msg)
    return number


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
        print("\n".join(map(shown, f"error: {error}".splitlines())), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
