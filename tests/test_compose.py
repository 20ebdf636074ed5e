"""The files for Docker agree with each other, with the lock and with the program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from movies_etl.settings import PREFIX, Settings, variable

from containers.healthy import part_of
from tests.support.compose_files import (
    COMPOSE,
    EXAMPLE_LINE,
    PROFILES,
    ROOT,
    SECURE,
    SERVICES,
    VARIABLE,
    compose_program,
    example_env,
    read,
    texts,
    used_variables,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text()
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
ONE_SHOT = {"postgres-init", "catalogue", "postgres-grants", "airflow-init"}
LONG_RUNNING = set(SERVICES) - ONE_SHOT
AIRFLOW = {name for name in SERVICES if name.startswith("airflow-")}


def environment(service: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return a service's environment as docker compose would interpolate it."""
    return {
        key: VARIABLE.sub(lambda found: variables.get(found["name"]) or found["text"], value)
        for key, value in SERVICES[service]["environment"].items()
    }


def compose_config(env_file: Path, *profiles: str) -> subprocess.CompletedProcess[str]:
    program = compose_program()
    assert program is not None
    kept = {name: os.environ[name] for name in ("PATH", "DOCKER_CONFIG") if name in os.environ}
    return subprocess.run(
        [
            *program,
            f"--env-file={env_file}",
            "--file=docker-compose.yaml",
            *(f"--file=containers/{profile}.yaml" for profile in profiles),
            "config",
        ],
        cwd=ROOT,
        env=kept | {"HOME": str(env_file.parent)},
        check=False,
        capture_output=True,
        text=True,
    )


needs_compose = pytest.mark.skipif(compose_program() is None, reason="no docker compose here")


@needs_compose
@pytest.mark.parametrize("profiles", [[], *([name] for name in PROFILES)], ids=str)
def test_docker_compose_accepts_the_files_with_the_env_that_the_example_makes(
    tmp_path: Path, profiles: list[str]
) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in example_env().items()))
    answer = compose_config(env_file, *profiles)
    assert answer.returncode == 0, answer.stderr
    services = yaml.safe_load(answer.stdout)["services"]
    published = {name for name, service in services.items() if service.get("ports")}
    open_ones = set() if "secure" in profiles else {"postgres", "elasticsearch"}
    assert published == {"airflow-apiserver"} | open_ones


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


def test_the_example_makes_secrets_of_nothing_else() -> None:
    secrets = {name for name, default in used_variables().items() if default is None}
    assert {name for name, value in example_env().items() if len(value) >= 32} == secrets


def test_no_variable_is_silently_empty_when_unset() -> None:
    rest = [
        VARIABLE.sub("", text).replace("$$", "") for text in texts([COMPOSE, *PROFILES.values()])
    ]
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
        "ELASTIC_PASSWORD",
        "MOVIES_ELASTICSEARCH_PASSWORD",
        "REDIS_PASSWORD",
    }
    of_the_main_file = {
        found["name"] for text in texts(COMPOSE) for found in VARIABLE.finditer(text)
    }
    only_in_others = {"ELASTIC_PASSWORD", "MOVIES_ELASTICSEARCH_PASSWORD", "REDIS_PASSWORD"}
    assert only_in_others.isdisjoint(of_the_main_file)


def test_every_published_port_is_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:$")] == []


def test_a_service_that_stays_has_a_health_check_and_restarts() -> None:
    of_the_image = AIRFLOW - ONE_SHOT
    assert "HEALTHCHECK" in DOCKERFILE
    own = {name for name in SERVICES if "test" in SERVICES[name].get("healthcheck", {})}
    assert own | of_the_image == LONG_RUNNING
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
        "postgres-grants",
        "elasticsearch",
    }


def test_airflow_services_share_image_and_environment() -> None:
    assert {SERVICES[name]["image"] for name in AIRFLOW} == {"movies-etl-airflow"}
    assert [name for name in AIRFLOW if "build" in SERVICES[name]] == ["airflow-init"]
    shared = COMPOSE["x-airflow-common"]["environment"]
    for name in AIRFLOW:
        own = SERVICES[name]["environment"]
        assert {key: own.get(key) for key in shared} == shared, name
        assert set(own) - set(shared) <= {"AIRFLOW_ADMIN_PASSWORD", "AIRFLOW_KEEP_DAYS"}, name


def test_what_is_built_here_is_looked_for_in_no_registry() -> None:
    built = {SERVICES[name]["image"] for name in SERVICES if "build" in SERVICES[name]}
    users = [service for service in SERVICES.values() if service["image"] in built]
    assert [s for s in users if "build" not in s and s.get("pull_policy") != "never"] == []


def test_no_log_grows_without_end() -> None:
    drivers = [service["logging"] for service in SERVICES.values()]
    assert {driver["driver"] for driver in drivers} == {"json-file"}
    assert all({"max-size", "max-file"} <= driver["options"].keys() for driver in drivers)


def test_the_base_image_is_the_same_in_both_files_and_an_exact_version() -> None:
    default = used_variables()["PYTHON_IMAGE"] or ""
    assert f"ARG PYTHON_IMAGE={default}\n" in DOCKERFILE
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", default)
    arguments = [s["build"]["args"]["PYTHON_IMAGE"] for s in SERVICES.values() if "build" in s]
    assert set(arguments) == {f"${{PYTHON_IMAGE:-{default}}}"}
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_the_image_is_labelled_with_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE


def test_the_health_check_knows_what_each_service_runs() -> None:
    celery = PROFILES["celery"]["services"]["airflow-worker"]
    services = {**SERVICES, "airflow-worker": celery}
    commands = {name: services[name]["command"] for name in [*AIRFLOW, "airflow-worker"]}
    found = {name: part_of("\0".join([*words, ""])) for name, words in commands.items()}
    assert found == {
        "airflow-init": None,
        "airflow-apiserver": "api-server",
        "airflow-scheduler": "scheduler",
        "airflow-dag-processor": "dag-processor",
        "airflow-triggerer": "triggerer",
        "airflow-cleaner": None,
        "airflow-worker": "celery",
    }


def test_every_service_is_locked_in_the_secure_file() -> None:
    services = SECURE["services"]
    assert set(SERVICES) <= set(services)
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "mem_limit" in service, name
    writable = {name for name, service in services.items() if not service.get("read_only")}
    assert writable == {"elasticsearch"}


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
    assert "ARG LOCK=requirements.txt" in DOCKERFILE
    assert [step for step in installs if "--no-build" in step or "--only-binary" in step] == [
        step for step in installs if "uv.txt" not in step
    ]


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


def test_the_values_for_helm_fit_the_image_and_the_program() -> None:
    values = read("containers/helm.yaml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert values["defaultAirflowTag"] == project["version"]
    assert f"apache-airflow=={values['airflowVersion']} " in REQUIREMENTS
    assert f"USER {values['uid']}:{values['gid']}" in DOCKERFILE
    pod = values["securityContexts"]["pod"]
    assert (pod["runAsUser"], pod["runAsGroup"]) == (values["uid"], values["gid"])
    given = {one["envName"].removeprefix("AIRFLOW_CONN_").lower() for one in values["secret"]}
    assert given == {"movies_postgres", "movies_elasticsearch"}
    known = {variable(name) for name in Settings.model_fields}
    set_here = {one["name"] for one in values["env"] if one["name"].startswith(PREFIX)}
    assert variable("include_dir") in set_here
    assert set_here <= known
    (mounted,) = values["volumeMounts"]
    (volume,) = values["volumes"]
    assert mounted["name"] == volume["name"]
    # The chart's own defaults want FAB, statsd and a script of the official image.
    module, _, manager = values["config"]["core"]["auth_manager"].rpartition(".")
    assert hasattr(import_module(module), manager)
    assert not values["createUserJob"]["enabled"]
    assert not values["statsd"]["enabled"]
    for part in ("scheduler", "dagProcessor", "triggerer"):
        groomer = values[part]["logGroomerSidecar"]
        assert not groomer.get("enabled", True) or "/clean-logs" not in str(groomer["args"])
    assert volume["secret"]["secretName"] == values["secret"][0]["secretName"]
