"""What a run of movies_sync did, in words: what was sent, what was refused, what differs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.rest import RestError, UnreachableError
from local.shown import shown
from local.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.airflow_api import AirflowApi, Run

IDLE = "nothing to send"
_WARNINGS = 3  # of one task; its log has all


@dataclass(frozen=True)
class Outcome:
    """The results of a run's tasks.

    :param sent: documents that Elasticsearch took, by stream.
    :param seconds: what each stream's task took.
    :param refused: documents that became dead letters.
    :param difference: rows in the database less documents in the index; None when the run did not
        compare them.
    """

    sent: Mapping[str, int]
    seconds: Mapping[str, float]
    refused: int
    difference: int | None

    @classmethod
    def of(cls, api: AirflowApi, run: Run) -> Outcome:
        """Read the results; raise UnreachableError or RestError when that is not possible."""
        streams = [task.name for task in api.tasks(run.run_id) if task.name != "init"]
        results = {stream: api.result(run.run_id, stream) for stream in streams}
        differences = [result.get("difference") for result in results.values()]
        return cls(
            {stream: int(result.get("indexed", 0)) for stream, result in results.items()},
            {stream: float(result.get("seconds", 0)) for stream, result in results.items()},
            sum(int(result.get("refused", 0)) for result in results.values()),
            next((int(number) for number in differences if number is not None), None),
        )

    def __str__(self) -> str:
        shares = ", ".join(f"{number:,} by {name}" for name, number in self.sent.items() if number)
        parts = [f"sent {shares}"] if shares else []
        if self.refused:
            parts.append(f"{self.refused:,} refused and kept as dead letters")
        if self.difference:
            documents = counted(abs(self.difference), "document")
            parts.append(f"{documents} {'too many' if self.difference < 0 else 'missing'}")
        return "; ".join(parts) or IDLE


def lines(api: AirflowApi, run: Run) -> list[str]:
    """Return a line about a finished run, and its warnings below it."""
    ended = (run.ended or datetime.now(UTC)).astimezone()
    seconds = (run.ended - run.started).total_seconds() if run.ended and run.started else 0
    text = f"{ended:%H:%M:%S} {api.dag_id} {run.state} in {seconds:.1f} s"
    if run.state == "failed":
        return [f"{text}: {why(api, run)}"]
    try:
        return [f"{text}: {Outcome.of(api, run)}", *warnings(api, run)]
    except (UnreachableError, RestError) as error:
        return [f"{text}: its result cannot be read: {error}"]


def warnings(api: AirflowApi, run: Run) -> list[str]:
    """Return what the tasks of a run warned of, the first ones of each task.

    Raises UnreachableError or RestError.
    """
    found = []
    for task in api.tasks(run.run_id):
        said = api.warnings(run.run_id, task)
        found += [f"         {task.name}: {shown(text)}" for text in said[:_WARNINGS]]
        if said[_WARNINGS:]:
            found.append(f"         {task.name}: {len(said) - _WARNINGS:,} more in its log")
    return found


def why(api: AirflowApi, run: Run) -> str:
    """Return the error messages of a failed run's failed tasks."""
    try:
        failed = [task for task in api.tasks(run.run_id) if task.state == "failed"]
        parts = [f"task {task.name}: {'; '.join(api.errors(run.run_id, task))}" for task in failed]
    except (UnreachableError, RestError) as error:
        parts = [f"its log cannot be read: {error}"]
    return shown(f"run {run.run_id} failed: " + ("; ".join(parts) or "no task of it says why"))
