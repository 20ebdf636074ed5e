"""A stack of containers of this checkout, for tests: its parts, its servers, its runs."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from tests.containers.airflow import Airflow
from tests.support.catalogue import Catalogue
from tests.support.compose_files import ROOT, compose_program, example_env
from tests.support.servers import free_port

OVERRIDE = "docker-compose.override.yaml"
"""What somebody has to change for the own machine; git ignores it."""

PATIENCE = 1200.0
"""Seconds within which the stack has to do what it is waited for, on a very busy machine, too."""

SCHEDULE = ""
"""Of all DAGs: no run but those that the tests begin, whatever the time of day."""

_GROW = """
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO content.film_work
    (id, title, description, creation_date, rating, type, created, modified)
SELECT md5(f.id::text || n)::uuid, f.title || ' #' || n, f.description,
    f.creation_date, f.rating, f.type, f.created, f.modified
FROM content.film_work f, generate_series(1, {copies}) n;
INSERT INTO content.genre_film_work (id, film_work_id, genre_id, created)
SELECT md5(l.id::text || n)::uuid, md5(l.film_work_id::text || n)::uuid, l.genre_id, l.created
FROM content.genre_film_work l, generate_series(1, {copies}) n;
INSERT INTO content.person_film_work (id, film_work_id, person_id, role, created)
SELECT md5(l.id::text || n)::uuid, md5(l.film_work_id::text || n)::uuid, l.person_id, l.role,
    l.created
FROM content.person_film_work l, generate_series(1, {copies}) n;
COMMIT;
"""


class Stack:
    """One compose project with volumes and ports of its own.

    :param folder: for its .env file.
    :param files: compose files on top of docker-compose.yaml, relative to the checkout.
    """

    scheme = "http"

    def __init__(self, folder: Path, *files: str) -> None:
        self.folder = folder
        program = compose_program()
        assert program is not None, "Docker Compose 2 is needed: `docker compose version`"
        self.secrets = {name: v for name, v in example_env().items() if len(v) >= 32}
        self.ports = {name: free_port() for name in ("AIRFLOW", "POSTGRES", "ELASTICSEARCH")}
        lines = self.secrets | {f"{name}_PORT": str(port) for name, port in self.ports.items()}
        lines |= {"MOVIES_ETL_SCHEDULE": SCHEDULE, "MOVIES_ETL_RECONCILE_SCHEDULE": SCHEDULE}
        env_file = folder / "env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        override = [OVERRIDE] if (ROOT / OVERRIDE).exists() else []
        self._command = [
            *program,
            "--project-name=movies-etl-test",
            f"--env-file={env_file}",
            *(f"--file={file}" for file in ("docker-compose.yaml", *files, *override)),
        ]

    # -- containers ------------------------------------------------------------------------------

    def compose(self, *arguments: str, text: str = "") -> str:
        """Run a command of docker compose and return what it printed."""
        answer = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            # Ports and secrets are the test's own; images may be given from outside.
            env={k: v for k, v in os.environ.items() if not k.endswith(("_PORT", "_PASSWORD"))},
            check=False,
            capture_output=True,
            text=True,
            input=text,
            timeout=1200,
        )
        assert answer.returncode == 0, (
            f"{arguments}: {answer.stdout[-2000:]}{answer.stderr[-4000:]}"
        )
        return answer.stdout

    def up(self, *arguments: str) -> None:
        """Start what does not run, and wait until all of it is healthy.

        Docker gives up at the first part that is not healthy, which a very busy machine's may be
        for a while: it is asked again.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.compose("up", "--detach", "--wait", "--wait-timeout=600", *arguments)
            except AssertionError as error:
                if "healthy" not in str(error) or time.monotonic() > deadline:
                    raise
            else:
                return

    def containers(self) -> list[dict[str, Any]]:
        """Return what docker knows of each container, the ended ones included."""
        ids = self.compose("ps", "--all", "--quiet").split()
        told = subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True)
        found: list[dict[str, Any]] = json.loads(told.stdout)
        return found

    def services(self) -> dict[str, str]:
        """Return the state of each service that runs, for example `running healthy`."""
        states = {}
        for container in self.containers():
            health = container["State"].get("Health", {}).get("Status", "")
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            states[service] = f"{container['State']['Status']} {health}".strip()
        return states

    def execute(self, service: str, *command: str, text: str = "") -> str:
        """Run a command in a service's container and return what it printed."""
        return self.compose("exec", "-T", service, *command, text=text)

    def logs(self) -> str:
        """Return what all containers have printed, and the logs of all tasks."""
        read = ("grep", "-r", "-h", "", "/opt/airflow/logs")
        return self.compose("logs", "--no-color") + self.execute("airflow-apiserver", *read)

    # -- servers ---------------------------------------------------------------------------------

    @cached_property
    def airflow(self) -> Airflow:
        """The API of Airflow, as user admin."""
        url = f"{self.scheme}://127.0.0.1:{self.ports['AIRFLOW']}"
        return Airflow(url, self.secrets["AIRFLOW_ADMIN_PASSWORD"], self.verify)

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """How Airflow's certificate is checked."""
        return True

    @property
    def dsn(self) -> str:
        """The catalogue, as the superuser."""
        password, port = self.secrets["POSTGRES_PASSWORD"], self.ports["POSTGRES"]
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/movies"

    def elasticsearch(self) -> Elasticsearch:
        """Return a client that may read everything."""
        return Elasticsearch(f"http://127.0.0.1:{self.ports['ELASTICSEARCH']}", request_timeout=60)

    @contextmanager
    def catalogue(self) -> Iterator[Catalogue]:
        """Give out the catalogue."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            catalogue = Catalogue(self.dsn, connection)
            try:
                yield catalogue
            finally:
                catalogue.close()

    def assert_equal(self) -> int:
        """Assert that the index equals the catalogue, document by document; return how many."""
        with self.catalogue() as catalogue, self.elasticsearch() as client:
            wanted = catalogue.expected()
            client.indices.refresh(index="movies")
            found = {hit["_id"]: hit["_source"] for hit in scan(client, index="movies", size=5000)}
        for document in found.values():
            del document["checksum"]
        assert found.keys() == wanted.keys()
        different = [film for film in wanted if found[film] != wanted[film]]
        assert different == []
        return len(found)

    # -- runs ------------------------------------------------------------------------------------

    def load(self) -> Load:
        """Begin to load everything again, and return when the load is under way."""
        self.quiet()
        run = self.airflow.trigger({"reload": "all", "page_size": 200})
        load = Load(self, run)
        began: list[str] = []

        def moved() -> bool:
            if self.airflow.tasks(run).get("film_work") == "running":
                began.append(self.airflow.cursor("film_work")["rows"])
            return len({json.dumps(rows) for rows in began if rows}) > 1

        wait_until(moved, what=f"{run} loads films")
        return load

    def quiet(self) -> None:
        """Wait until no run is under way."""
        wait_until(self.airflow.knows_the_dag, what="Airflow has read the DAG")
        wait_until(lambda: not self.airflow.unfinished(), what="no run is under way")

    def synced(self) -> None:
        """Wait until a run that begins after this moment has succeeded."""
        self.quiet()
        run = self.airflow.trigger({})
        wait_until(lambda: self.airflow.state(run) in ("success", "failed"), what=f"{run} ends")
        assert self.airflow.state(run) == "success", self.airflow.tasks(run)


class SecureStack(Stack):
    """The same with containers/secure.yaml, and ports that only tests have."""

    scheme = "https"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "containers/secure.yaml", "tests/containers/ports.yaml")

    @cached_property
    def authority(self) -> Path:
        """The file with the authority's certificate."""
        file = self.folder / "ca.crt"
        file.write_text(self.execute("airflow-scheduler", "cat", "/tls/ca/ca.crt"))
        return file

    @property
    def verify(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=self.authority)

    @property
    def dsn(self) -> str:
        return f"{super().dsn}?sslmode=verify-full&sslrootcert={self.authority}"

    def elasticsearch(self) -> Elasticsearch:
        return Elasticsearch(
            f"https://127.0.0.1:{self.ports['ELASTICSEARCH']}",
            ca_certs=str(self.authority),
            basic_auth=("elastic", self.secrets["ELASTIC_PASSWORD"]),
            request_timeout=60,
        )


class CeleryStack(Stack):
    """The same with containers/celery.yaml."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "containers/celery.yaml")

    def worker_of(self, run: str, task: str) -> str:
        """Return the id of the container that runs a task."""
        return str(self.airflow.instances(run)[task]["hostname"])


@dataclass
class Load:
    """A load of everything that something befalls."""

    stack: Stack
    run: str

    def position(self) -> tuple[str, str]:
        """Return where the film cursor stands: `modified` and id."""
        rows = self.stack.airflow.cursor("film_work")["rows"]
        return rows["modified"], rows["id"]

    def is_under_way(self) -> bool:
        """Whether films are loaded still; an API that is away is waited for."""
        states: list[str] = []

        def told() -> bool:
            states.append(self.stack.airflow.tasks(self.run)["film_work"])
            return True

        wait_until(told, what="the API answers")
        return states[-1] == "running"

    def attempt(self) -> int:
        """Return the number of the attempt at the films that runs or has run."""
        return int(self.stack.airflow.instances(self.run)["film_work"]["try_number"])

    def recovers(self, before: tuple[str, str]) -> None:
        """Wait until the load is done: by itself, and from where it stood before."""
        positions = [before]

        def done() -> bool:
            positions.append(self.position())
            return self.stack.airflow.state(self.run) in ("success", "failed")

        wait_until(done, what=f"{self.run} ends")
        state = self.stack.airflow.state(self.run)
        assert state == "success", self.stack.airflow.tasks(self.run)
        assert positions == sorted(positions), "the cursor went back"
        self.stack.synced()


StackT = TypeVar("StackT", bound=Stack)


@contextmanager
def running(stack: StackT) -> Iterator[StackT]:
    """Start a stack of new volumes, and remove it in the end."""
    stack.compose("down", "--volumes", "--timeout=20")  # what an ended test may have left
    try:
        try:
            stack.up()
        except AssertionError:
            print(stack.compose("logs", "--no-color", "--tail=40"))  # noqa: T201 - pytest shows it
            raise
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout=20")


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = PATIENCE) -> None:
    """Look once a second until the condition holds; no answer of a server means not yet."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(1)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except ConnectionError:
        return False


def grow(catalogue: Catalogue, copies: int) -> None:
    """Copy each film with its links so many times, so that a load takes a while."""
    catalogue.connection.execute(_GROW.replace("{copies}", str(copies)).encode())
