"""The files for Docker agree with each other, with the lock and with the program."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from movies_etl.settings import PREFIX, Settings, variable

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"postgres-init", "catalogue", "airflow-init"}
LONG_RUNNING = set(SERVICES) - ONE_SHOT
AIRFLOW = {name for name in SERVICES if name.startswith("airflow-")}

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rule>:[-?])(?P<text>[^}]*)\}")
EXAMPLE_LINE = re.compile(r"#?(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)")
RECIPE = re.compile(r"#\s+python3 -c '(?P<code>.+)'")


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def used_variables() -> dict[str, str | None]:
    """Return every variable of the compose file with its default, None when required."""
    return {
        found["name"]: found["text"] if found["rule"] == ":-" else None
        for text in texts(SERVICES)
        for found in VARIABLE.finditer(text)
    }


def example_env() -> dict[str, str]:
    """Do what .env.example says: run the command that is given for each secret."""
    env: dict[str, str] = {}
    recipes: list[str] = []
    default_recipe = ""
    for line in (ROOT / ".env.example").read_text().splitlines():
        if recipe := RECIPE.fullmatch(line):
            recipes.append(recipe["code"])
            default_recipe = default_recipe or recipe["code"]
        elif variable := EXAMPLE_LINE.fullmatch(line):
            value = variable["value"]
            if not value:
                value = python(recipes[-1] if recipes else default_recipe)
            env[variable["name"]] = value
            recipes.clear()
    return env


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def environment(service: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return a service's environment as docker compose would interpolate it."""
    return {
        key: VARIABLE.sub(lambda found: variables.get(found["name"]) or found["text"], value)
        for key, value in SERVICES[service]["environment"].items()
    }


def compose_program() -> list[str] | None:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    return None


def compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    program = compose_program()
    assert program is not None
    return subprocess.run(
        [*program, "--env-file", str(env_file), "config", "--quiet"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(env_file.parent)},
        check=False,
        capture_output=True,
        text=True,
    )


needs_compose = pytest.mark.skipif(compose_program() is None, reason="no docker compose here")


@needs_compose
def test_docker_compose_accepts_the_file_with_the_env_that_the_example_makes(
    tmp_path: Path,
) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in example_env().items()))
    answer = compose_config(env_file)
    assert answer.returncode == 0, answer.stderr


@needs_compose
def test_docker_compose_refuses_to_start_without_secrets(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text((ROOT / ".env.example").read_text())
    answer = compose_config(env_file)
    assert answer.returncode != 0
    assert "see .env.example" in answer.stderr


def test_variables_are_those_of_the_example_with_the_same_defaults() -> None:
    example = {
        found["name"]: found["value"] or None
        for line in (ROOT / ".env.example").read_text().splitlines()
        if (found := EXAMPLE_LINE.fullmatch(line))
    }
    assert {name: value or None for name, value in used_variables().items()} == example


def test_each_variable_of_the_example_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    bare = [
        line
        for before, line in pairwise(lines)
        if EXAMPLE_LINE.fullmatch(line) and not before.startswith("# ")
    ]
    assert bare == []


def test_no_variable_is_silently_empty_when_unset() -> None:
    rest = [VARIABLE.sub("", text).replace("$$", "") for text in texts(COMPOSE)]
    assert [text for text in rest if "$" in text] == []


def test_no_secret_has_a_default() -> None:
    secrets = {name for name, default in used_variables().items() if default is None}
    assert secrets == {
        "POSTGRES_PASSWORD",
        "MOVIES_POSTGRES_PASSWORD",
        "AIRFLOW_POSTGRES_PASSWORD",
        "AIRFLOW_FERNET_KEY",
        "AIRFLOW_JWT_SECRET",
        "AIRFLOW_SECRET_KEY",
        "AIRFLOW_ADMIN_PASSWORD",
    }


def test_every_published_port_is_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:$")] == []


def test_a_service_that_stays_has_a_health_check_and_restarts() -> None:
    assert {name for name in SERVICES if "healthcheck" in SERVICES[name]} == LONG_RUNNING
    assert {
        name for name in SERVICES if SERVICES[name].get("restart") == "unless-stopped"
    } == LONG_RUNNING


def test_a_service_waits_until_what_it_depends_on_is_ready() -> None:
    conditions = {
        (name, needed): edge["condition"]
        for name, service in SERVICES.items()
        for needed, edge in service.get("depends_on", {}).items()
    }
    assert conditions == {
        (name, needed): (
            "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        )
        for name, needed in conditions
    }
    assert set(SERVICES["airflow-scheduler"]["depends_on"]) == {
        "airflow-apiserver",
        "catalogue",
        "elasticsearch",
    }


def test_airflow_services_share_image_and_environment() -> None:
    assert {SERVICES[name]["image"] for name in AIRFLOW} == {"movies-etl-airflow"}
    assert [name for name in AIRFLOW if "build" in SERVICES[name]] == ["airflow-init"]
    shared = COMPOSE["x-airflow-common"]["environment"]
    for name in AIRFLOW:
        own = SERVICES[name]["environment"]
        assert {key: own.get(key) for key in shared} == shared, name
        assert set(own) - set(shared) <= {"AIRFLOW_ADMIN_PASSWORD"}, name


def test_the_dag_runs_without_being_unpaused() -> None:
    shared = COMPOSE["x-airflow-common"]["environment"]
    assert shared["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "false"


def test_airflow_knows_every_option_that_is_set() -> None:
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    known = yaml.safe_load(
        (Path(spec.origin).parent / "config_templates" / "config.yml").read_text()
    )
    options = [
        key.removeprefix("AIRFLOW__").lower().split("__")
        for key in COMPOSE["x-airflow-common"]["environment"]
        if key.startswith("AIRFLOW__")
    ]
    assert len(options) > 10
    assert [option for section, option in options if option not in known[section]["options"]] == []


def test_connections_lead_to_the_services() -> None:
    env = environment("airflow-scheduler", example_env())
    postgres = json.loads(env["AIRFLOW_CONN_MOVIES_POSTGRES"])
    index = json.loads(env["AIRFLOW_CONN_MOVIES_ELASTICSEARCH"])
    assert postgres["conn_type"] == "postgres"
    assert postgres["host"] in SERVICES
    assert postgres["schema"] == SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    assert f"CREATE ROLE {postgres['login']}'" in SERVICES["postgres-init"]["command"][0]
    assert index == {
        "conn_type": "elasticsearch",
        "host": "elasticsearch",
        "port": 9200,
        "schema": "http",
    }
    assert index["host"] in SERVICES


def test_settings_are_passed_through_with_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    defaults = Settings()
    passed = {
        key: value
        for key, value in environment("airflow-scheduler", {}).items()
        if key.startswith(PREFIX)
    }
    assert passed.keys() == {variable(name) for name in Settings.model_fields}
    for key, value in passed.items():
        monkeypatch.setenv(key, value)
    include_dir = Path("/opt/airflow/include")
    assert Settings() == defaults.model_copy(update={"include_dir": include_dir})
    assert f"include/ {include_dir}/" in DOCKERFILE


def test_requirements_are_installed_with_their_hashes() -> None:
    steps = DOCKERFILE.replace("\\\n", " ")
    installs = re.findall(r"(?:pip install|uv pip sync) [^&\n]*", steps)
    assert len(installs) == 3
    assert [step for step in installs if "--require-hashes" not in step] == []
    assert any("requirements.txt" in step for step in installs)


def test_the_image_has_the_airflow_of_the_lock() -> None:
    image = re.search(r"AIRFLOW_IMAGE=apache/airflow:([\d.]+)-python", DOCKERFILE)
    locked = re.search(r"^apache-airflow==([\d.]+) ", REQUIREMENTS, re.MULTILINE)
    assert image is not None
    assert locked is not None
    assert image[1] == locked[1]


def test_elasticsearch_and_its_client_have_the_same_major_version() -> None:
    image = used_variables()["ELASTICSEARCH_IMAGE"] or ""
    locked = re.search(r"^elasticsearch==(\d+)\.", REQUIREMENTS, re.MULTILINE)
    assert locked is not None
    assert image.startswith(f"elasticsearch:{locked[1]}.")


def test_the_catalogue_image_gets_all_it_needs_from_the_lock() -> None:
    program = re.search(r"awk '([^']+)'", DOCKERFILE)
    assert program is not None
    part = subprocess.run(
        ["awk", program[1], str(ROOT / "requirements-dev.txt")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    entries = re.findall(r"^([\w-]+)==.*\\\n +--hash=sha256:", part, re.MULTILINE)
    assert entries == ["bokeh-sampledata", "psycopg", "psycopg-binary", "typing-extensions"]
    assert "bokeh-sampledata==2026.1 " in part
