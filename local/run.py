"""Starting and stopping everything: the commands run, up, down and clean."""

from __future__ import annotations

import contextlib
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.airflow_api import DAG
from local.catalogue import CatalogueError
from local.indexes import indexes
from local.outcome import IDLE, lines
from local.processes import end_signals, interrupt_by_signals, pause
from local.report import Report
from local.rest import RestError, UnreachableError
from local.runs import FinishedRuns, RunError, await_scheduler, first_run
from local.search import count
from local.stack import Stack
from local.starting import HAS_CATALOGUE
from local.summary import addresses, rows_in_database, summary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from local.airflow_api import AirflowApi, Run


def run(arguments: argparse.Namespace) -> int:
    """Start everything, wait for the first run, report it, and follow the later ones."""
    report = Report()
    stack = Stack(report, progress=report.progress)
    interrupt_by_signals()
    others = stack.runner() is not None or (stack.up and stack.state.kept == "up")
    code = 1
    try:
        if others:
            report("already up" + (f", by process {stack.runner()}" if stack.runner() else ""))
        else:
            stack.keep("run")
        code = _run(stack, report, arguments)
    except KeyboardInterrupt:
        code = 130
    finally:
        if others:
            report("left running: `python -m local down` stops it")
        else:
            _stop(stack, report)
    return code


def _run(stack: Stack, report: Report, arguments: argparse.Namespace) -> int:
    first = _started(stack, report, arguments.films)
    text, equal = summary(stack, first)
    print(text, flush=True)
    if arguments.once:
        return 0 if equal else 1
    print("stop           Ctrl-C\n", flush=True)
    follower = _Follower(stack, first)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            follower.look()
            stack.forget()
            pause(2)
    return 0


def _started(stack: Stack, report: Report, films: int | None) -> dict[str, Run]:
    """Start what does not run; return each DAG's first run that has ended since.

    Without the first run of `movies_sync` nothing works; a failed run of another DAG is reported.
    """
    since = datetime.now(UTC)
    with report.bars():
        if not stack.up:
            stack.start(films)
        elif films:
            raise CatalogueError(HAS_CATALOGUE)
        loading = _Loading(stack, report)
        check = stack.airflow.check
        first, *others = [stack.api(index.sync_dag) for index in indexes()]
        await_scheduler(first, check, report)
        runs = {first.dag_id: first_run(first, check, report, since, loading.look)}
        loading.end()
        for api in others:
            try:
                runs[api.dag_id] = first_run(api, check, report, since)
            except RunError as error:
                report(f"{api.dag_id}: {error}")
    return runs


class _Loading:
    """Shows how many films of a long first load can be found."""

    _WHAT = "films in Elasticsearch"

    def __init__(self, stack: Stack, report: Report) -> None:
        self._url = stack.elasticsearch.url
        self._report = report
        self._films = rows_in_database(stack.dsn)
        self._found = 0

    def look(self) -> int:
        """Return how many there are."""
        with contextlib.suppress(UnreachableError, RestError):  # busy
            self._found = count(self._url)
        self._report.progress(self._WHAT, min(self._found, self._films), self._films)
        return self._found

    def end(self) -> None:
        """Take the bar away, also where some films were refused."""
        self._report.progress(self._WHAT, self._films, self._films)


class _Follower:
    """Prints a line for each run that ends, and for each part that is lost.

    Of the DAGs for other indexes, only runs that did something are reported.

    :param told: the last run of each DAG that was reported; earlier ones are not reported.
    """

    def __init__(self, stack: Stack, told: Mapping[str, Run]) -> None:
        self._stack = stack
        self._runs = []
        for index in indexes():
            run = told.get(index.sync_dag)
            since = run.ended if run and run.ended else datetime.now(UTC)
            self._runs.append(FinishedRuns(stack.api(index.sync_dag), since))
        self._told: dict[str, list[str]] = {}
        self._lost: set[str] = set()

    def look(self) -> None:
        """Print what is new."""
        for runs in self._runs:
            for ended in runs.new():
                self._tell(runs.api, ended)
        self._stack.refresh()
        lost = {part for part, runs in self._stack.parts.items() if not runs}
        for part in sorted(lost - self._lost):
            print(f"{part} is gone: `python -m local up` starts it again", flush=True)
        self._lost = lost

    def _tell(self, api: AirflowApi, ended: Run) -> None:
        told = lines(api, ended)
        before, self._told[api.dag_id] = self._told.get(api.dag_id, []), told
        news = [line for line in told if line not in before]  # a warning that stays is printed once
        if api.dag_id == DAG or news[1:] or not told[0].endswith(IDLE):
            print("\n".join(news), flush=True)


def _stop(stack: Stack, report: Report) -> None:
    """Stop everything; a second Ctrl-C kills instead of waiting."""
    report("stopping")
    try:
        stack.stop()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, *end_signals()):
            signal.signal(number, signal.SIG_IGN)
        report("hurrying")
        stack.stop(patience=0)


def up(arguments: argparse.Namespace) -> int:
    """Start everything and return when the DAG has run once."""
    report = Report()
    stack = Stack(report, progress=report.progress)
    if stack.up and not arguments.films:
        report("already up")
    else:
        if not stack.up and stack.runner() is None:
            stack.keep("up")
        _started(stack, report, arguments.films)
    print("\n".join(addresses(stack)))
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop everything."""
    stack = Stack(Report())
    stack.end_runner()
    stack.stop()
    return 0


def clean(_: argparse.Namespace) -> int:
    """Stop everything and remove its data; say what stays."""
    report = Report()
    stack = Stack(report)
    stack.end_runner()
    stack.remove()
    kept = sorted(path.name for path in stack.folder.iterdir() if path.is_dir())
    if kept:
        report(f"left in .local: {', '.join(kept)}")
    return 0
