"""What the local stack asks Airflow's REST API."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.airflow_settings import USER
from local.rest import RestError, UnreachableError, call

DAG = "movies_sync"
FINISHED = {"success", "failed"}
_PROGRAM = "movies_etl."


@dataclass(frozen=True)
class Run:
    """One run of a DAG; times are None as long as they have not come."""

    run_id: str
    state: str
    started: datetime | None
    ended: datetime | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.state in FINISHED


@dataclass(frozen=True)
class Task:
    """One task of a run, at its latest try."""

    name: str
    state: str | None
    tries: int
    seconds: float | None


class AirflowApi:
    """Airflow's REST API as user admin; the token is fetched when it is needed.

    :param dag: the DAG that all questions are about.

    Every method raises UnreachableError when nobody answers and RestError when the call is refused.
    """

    def __init__(self, url: str, password: str, dag: str = DAG) -> None:
        self._url = url
        self._password = password
        self.dag_id = dag
        self._token = ""

    def answers(self) -> bool:
        """Whether the API itself works."""
        return bool(self.health())

    def healthy(self) -> bool:
        """Whether the parts that runs need have reported lately."""
        health = self.health()
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(health.get(part) == "healthy" for part in parts)

    def health(self) -> dict[str, str | None]:
        """Return how each part is, as the badges of Airflow's home page show it; {} if silent."""
        try:
            parts = call("GET", f"{self._url}/api/v2/monitor/health")
        except (UnreachableError, RestError):
            return {}
        return {name: part["status"] for name, part in parts.items()}

    def dag(self) -> dict[str, Any] | None:
        """Return what Airflow knows of the DAG, None when it has not been parsed."""
        try:
            return dict(self._call("GET", self._path))
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def unpause(self) -> None:
        """Let the schedule run the DAG."""
        self._call("PATCH", f"{self._path}?update_mask=is_paused", {"is_paused": False})

    def trigger(self, conf: Mapping[str, object] | None = None) -> str:
        """Start a run at once; return its id.

        :param conf: the run's params.
        """
        body = {"logical_date": None, "conf": dict(conf or {})}
        answer = self._call("POST", f"{self._path}/dagRuns", body)
        return str(answer["dag_run_id"])

    def import_errors(self) -> list[str]:
        """Return the DAG files that cannot be read, with the reason."""
        found = self._call("GET", "importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip()}" for error in found]

    def runs(self, limit: int = 10) -> list[Run]:
        """Return the latest runs, the youngest first."""
        answer = self._call("GET", f"{self._path}/dagRuns?order_by=-run_after&limit={limit}")
        return [
            Run(
                run["dag_run_id"],
                run["state"],
                _moment(run["start_date"]),
                _moment(run["end_date"]),
            )
            for run in answer["dag_runs"]
        ]

    def tasks(self, run_id: str) -> list[Task]:
        """Return the tasks of a run, the first one first."""
        found = self._call("GET", f"{self._run(run_id)}/taskInstances")["task_instances"]
        found.sort(key=lambda task: (task["start_date"] is None, task["start_date"] or ""))
        return [
            Task(task["task_id"], task["state"], task["try_number"], task["duration"])
            for task in found
        ]

    def result(self, run_id: str, task: str, map_index: int = -1) -> dict[str, Any]:
        """Return what a task returned, {} when it has returned nothing yet.

        :param map_index: which one of a mapped task.
        """
        path = (
            f"{self._run(run_id)}/taskInstances/{task}/xcomEntries/return_value"
            f"?deserialize=true&map_index={map_index}"
        )
        try:
            value = self._call("GET", path)["value"]
        except RestError as error:
            if error.status == 404:
                return {}
            raise
        return dict(value) if isinstance(value, dict) else {}

    def variables(self, prefix: str) -> dict[str, str]:
        """Return the Variables whose keys begin so, with their texts."""
        pattern = urllib.parse.quote(f"{prefix}%", safe="")
        found = self._call("GET", f"variables?variable_key_pattern={pattern}&limit=100")
        return {
            variable["key"]: variable["value"]
            for variable in found["variables"]
            if variable["key"].startswith(prefix)  # in a pattern, _ is any character
        }

    def errors(self, run_id: str, task: Task) -> list[str]:
        """Return the error messages in the log of a task's latest try."""
        return [text for line in self._log(run_id, task) if (text := _error(line))]

    def warnings(self, run_id: str, task: Task) -> list[str]:
        """Return what the program, not Airflow, warned of in the log of a task's latest try."""
        return [
            str(line["event"])
            for line in self._log(run_id, task)
            if line.get("level") == "warning" and str(line.get("logger")).startswith(_PROGRAM)
        ]

    def _log(self, run_id: str, task: Task) -> list[dict[str, Any]]:
        path = f"{self._run(run_id)}/taskInstances/{task.name}/logs/{task.tries}?full_content=true"
        content = self._call("GET", path)["content"]
        return [line for line in content if isinstance(line, dict)]

    @property
    def _path(self) -> str:
        return f"dags/{self.dag_id}"

    def _run(self, run_id: str) -> str:
        return f"{self._path}/dagRuns/{urllib.parse.quote(run_id, safe='')}"

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        if not self._token:
            login = {"username": USER, "password": self._password}
            self._token = call("POST", f"{self._url}/auth/token", login)["access_token"]
        try:
            return call(method, f"{self._url}/api/v2/{path}", body, token=self._token)
        except RestError as error:
            if error.status != 401:
                raise
        self._token = ""  # it is valid for a day
        return self._call(method, path, body)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _error(line: dict[str, Any]) -> str:
    """Return the message of a log line of level error with its exception, "" for other lines.

    The program logs an error of its own as a line; that the task exited is all that Airflow adds.
    """
    if line.get("level") not in {"error", "critical"} or "exit_code" in line:
        return ""
    reasons = [
        f"{error.get('exc_type')}: {error.get('exc_value')}"
        for error in line.get("error_detail") or []
    ]
    return " ".join([str(line.get("event", "")), *reasons])
