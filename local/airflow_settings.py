"""The environment of the local Airflow: every setting that differs from Airflow's own default."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "admin"
_OURS = ("AIRFLOW_", "_AIRFLOW_")


@dataclass(frozen=True)
class AirflowSettings:
    """Where an Airflow lives and what it is connected to.

    :param home: AIRFLOW_HOME: configuration, keys, the password and the logs.
    :param port: port of the web UI and the REST API.
    :param database: SQLAlchemy URL of the metadata database, which exists.
    :param checkout: folder with `dags/` and `plugins/`.
    :param connections: Airflow connections by id, as the JSON that Airflow reads.
    """

    home: Path
    port: int
    database: str
    checkout: Path
    connections: Mapping[str, Mapping[str, object]]

    @property
    def url(self) -> str:
        """The address of the web UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        """The file with the users' passwords, for their owner only."""
        return self.home / "passwords.json"

    def password(self) -> str:
        """Return the password of user `admin`, made at the first call and kept."""
        if not self.password_file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.password_file, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                json.dump({USER: secrets.token_urlsafe(9)}, stream)
        return str(json.loads(self.password_file.read_text())[USER])

    def variables(self) -> dict[str, str]:
        """Return what `airflow` commands need in the environment besides the user's own."""
        programs = Path(sys.executable).parent
        connections = {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection)
            for name, connection in self.connections.items()
        }
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__DEFAULT_WRAP": "True",  # or its log view cuts what is longer than a line
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.checkout / "dags"),
            # Without it tasks call port 8080, whatever the port of the API is.
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # A run that goes on has a slot for minutes, and so has the one that stands by.
            "AIRFLOW__CORE__PARALLELISM": "12" if _runs_go_on() else "4",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.checkout / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.password_file),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            # A DAG whose file a busy machine did not read in time counts as gone, and its runs
            # stand still: Airflow's 30, 50 and 50 s are short for that.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "180",
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
            # A file that was edited is read at once; to read all of them takes seconds of a core.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            # What a crash left running is taken up again within seconds, not five minutes.
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PATH": os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath))),
            **connections,
        }

    def environment(self) -> dict[str, str]:
        """Return the whole environment of an `airflow` command, without other Airflow settings."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_OURS)
        }
        return inherited | self.variables()


def _runs_go_on() -> bool:
    return os.environ.get("MOVIES_ETL_FOLLOW_SECONDS", "0") not in ("", "0")
