"""The wheel: with it and the DAG files, an Airflow has all that the folders give it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from local.certificates import trust_the_system
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.support.servers import ROOT
from tests.support.site import Site

LOOK = """
import json
import movies_etl
from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag

bag = DagBag()
print(json.dumps({
    "package": movies_etl.__file__,
    "errors": bag.import_errors,
    "dags": sorted(bag.dags),
    "plugins": [one["name"] for one in plugins_manager.get_plugin_info(["name"])],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the wheel, installed, and nothing else."""
    trust_the_system()
    uv = Path(sys.executable).with_name("uv")
    built, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("packages")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", f"--out-dir={built}", ROOT], check=True, timeout=300
    )
    (wheel,) = built.glob("*.whl")
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--no-deps"]
    install += ["--python", sys.executable, "--target", folder, wheel]
    subprocess.run(install, check=True, timeout=300)
    return folder


def run(*command: str, path: list[Path], **environment: str) -> dict[str, Any]:
    """Run Python with these folders of packages; return the JSON of its last line."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "MOVIES_ETL_", "PYTHONPATH"))
    }
    given = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=path[0],
        env=inherited | given | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.long
def test_a_plain_airflow_finds_plugin_and_dags(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    found = run(
        *("-c", LOOK),
        path=[installed],
        AIRFLOW_HOME=str(tmp_path),
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(tmp_path / "plugins"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )
    assert Path(found["package"]).is_relative_to(installed)
    assert found["errors"] == {}
    assert found["dags"] == sorted(file.stem for file in (ROOT / "dags").glob("*.py"))
    assert [name for name in found["plugins"] if name.startswith("movies_etl ")]


@pytest.mark.long
def test_a_run_reads_queries_and_mappings_out_of_the_wheel(
    installed: Path,
    small: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    tmp_path: Path,
) -> None:
    ports = (str(postgres.port), str(elasticsearch_node.port))
    results = run(
        *("-m", "tests.support.whole_run", str(tmp_path), *ports),
        path=[installed, ROOT],
        AIRFLOW_HOME=str(tmp_path / "airflow"),
    )
    assert results["film_work"]["indexed"] == 7
    small.assert_equal()


def test_the_wheel_needs_what_the_requirements_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.in").read_text().splitlines()
    wanted = {Requirement(text).name for line in lines if (text := line.partition("#")[0].strip())}
    needed = {(one := Requirement(text)).name: one for text in project["dependencies"]}
    assert needed.keys() == wanted
    in_range = [Requirement(line.partition("#")[0]) for line in lines if line.startswith("elastic")]
    assert [needed[one.name].specifier for one in in_range] == [one.specifier for one in in_range]
