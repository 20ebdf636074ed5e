"""Airflow's API, as far as the tests of the containers ask it."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.parse import quote

import httpx

DAG = "dags/movies_sync"


class Airflow:
    """The API as user admin.

    :param verify: how the server's certificate is checked, if it has one.
    :raises ConnectionError: (every method) nobody answers.
    """

    def __init__(self, url: str, password: str, verify: ssl.SSLContext | bool = True) -> None:
        self.url = url
        self._password = password
        self._verify = verify
        self._token = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask and return the answer's JSON."""
        try:
            if not self._token:  # it holds for a day
                login = {"username": "admin", "password": self._password}
                self._token = self._json("POST", "auth/token", login)["access_token"]
            return self._json(method, f"api/v2/{path}", body)
        except httpx.TransportError as error:
            raise ConnectionError(str(error)) from error

    def _json(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self.url}/{path}"
        answer = httpx.request(
            method, url, json=body, headers=headers, verify=self._verify, timeout=120
        )
        if answer.status_code >= 500:
            raise ConnectionError(answer.text)
        return answer.raise_for_status().json()

    def knows_the_dag(self) -> bool:
        """Whether the DAG's file has been read."""
        try:
            self.call("GET", DAG)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 404:
                return False
            raise
        return True

    def trigger(self, params: dict[str, Any]) -> str:
        """Start a run; return its id."""
        body = {"logical_date": None, "conf": params}
        return str(self.call("POST", f"{DAG}/dagRuns", body)["dag_run_id"])

    def state(self, run: str) -> str:
        """Return a run's state."""
        return str(self.call("GET", f"{DAG}/dagRuns/{quote(run, safe='')}")["state"])

    def unfinished(self) -> list[str]:
        """Return the runs that wait or are under way."""
        answer = self.call("GET", f"{DAG}/dagRuns?limit=50&order_by=-run_after")
        return [r["dag_run_id"] for r in answer["dag_runs"] if r["state"] in ("queued", "running")]

    def instances(self, run: str) -> dict[str, dict[str, Any]]:
        """Return what is known of each task of a run."""
        answer = self.call("GET", f"{DAG}/dagRuns/{quote(run, safe='')}/taskInstances")
        return {task["task_id"]: task for task in answer["task_instances"]}

    def tasks(self, run: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {name: task["state"] for name, task in self.instances(run).items()}

    def result(self, run: str, task: str) -> dict[str, Any]:
        """Return what a task returned."""
        path = f"{DAG}/dagRuns/{quote(run, safe='')}/taskInstances/{task}/xcomEntries/return_value"
        value: dict[str, Any] = self.call("GET", f"{path}?deserialize=true")["value"]
        return value

    def cursor(self, stream: str) -> dict[str, Any]:
        """Return a stream's cursor."""
        answer = self.call("GET", f"variables/movies_etl.cursor.{stream}")
        cursor: dict[str, Any] = json.loads(answer["value"])
        return cursor
