"""The image of Airflow: small, from the lock, and nothing in it that the DAGs do not need."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.support.compose_files import ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("images")]

IMAGE = "movies-etl-airflow"
ENTRY = re.compile(r"^([\w.-]+)==([^\s;\\]+)(?: ; ([^\\]+))?", re.MULTILINE)
MEGABYTE = 1_000_000


def inspected(image: str = IMAGE) -> dict[str, Any]:
    answer = subprocess.run(
        ["docker", "image", "inspect", image], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)[0]
    return found


def inside(*command: str) -> str:
    answer = subprocess.run(
        ["docker", "run", "--rm", "--network=none", IMAGE, *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout


def test_it_is_small() -> None:
    assert inspected()["Size"] < 600 * MEGABYTE


def test_it_has_exactly_the_packages_of_the_lock() -> None:
    program = (
        "import json, importlib.metadata as m\n"
        "from packaging.markers import default_environment\n"
        "print(json.dumps([dict(default_environment()),"
        " {d.name: d.version for d in m.distributions(path=['%s'])}]))"
    )
    folder = inside("python", "-c", "import site; print(site.getsitepackages()[0])").strip()
    environment, installed = json.loads(inside("python", "-c", program % folder))
    wanted = {
        canonicalize_name(name): version
        for name, version, marker in ENTRY.findall((ROOT / "requirements.txt").read_text())
        if not marker or Marker(marker).evaluate(environment)
    }
    assert len(wanted) > 100
    assert {canonicalize_name(name): version for name, version in installed.items()} == wanted


def test_it_runs_as_a_numbered_user_that_cannot_change_the_program() -> None:
    assert inspected()["Config"]["User"] == "50000:0"
    look = "find /opt /usr /etc -writable -not -type l 2>/dev/null || true"  # some are closed
    mine = inside("sh", "-c", look)
    assert mine.split() == ["/opt/airflow/logs"]


def test_it_has_no_tools_to_build_or_fetch() -> None:
    tools = "pip uv gcc cc make git curl wget ssh sudo"
    script = f"for tool in {tools}; do command -v $tool || true; done"
    assert inside("sh", "-c", script) == ""


def test_it_has_labels_and_a_health_check() -> None:
    config = inspected()["Config"]
    labels = {name.rpartition(".")[2] for name in config["Labels"]}
    assert {"title", "description", "version", "revision", "licenses"} <= labels
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_the_dags_are_read_without_any_server() -> None:
    program = (
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag(dag_folder='/opt/airflow/dags')\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "print(*sorted(bag.dags))"
    )
    found = inside("python", "-c", program).split("\n")[-2].split()
    assert found == sorted(path.stem for path in (ROOT / "dags").glob("*.py"))


def test_the_loader_of_the_catalogue_is_nobody() -> None:
    assert inspected("movies-etl-catalogue")["Config"]["User"] == "65534:65534"
