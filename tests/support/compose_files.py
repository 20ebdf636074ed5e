"""The files for Docker, as tests read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads a compose file; `!reset` takes away what another file says."""


Loader.add_constructor("!reset", lambda _loader, _node: [])


def read(name: str) -> dict[str, Any]:
    """Read one of the files."""
    found: dict[str, Any] = yaml.load((ROOT / name).read_text(), Loader)  # noqa: S506 - a safe one
    return found


COMPOSE = read("docker-compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECURE = read("containers/secure.yaml")
PROFILES = {"secure": SECURE, "celery": read("containers/celery.yaml")}
"""The files on top of docker-compose.yaml, by name."""

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rule>:?-|:\?)(?P<text>[^}]*)\}")
EXAMPLE_LINE = re.compile(r"(?P<optional>#?)(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)")
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
        found["name"]: None if found["rule"] == ":?" else found["text"]
        for text in texts([SERVICES, *(each["services"] for each in PROFILES.values())])
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
            if not value and not variable["optional"]:
                value = python(recipes[-1] if recipes else default_recipe)
            env[variable["name"]] = value
            recipes.clear()
    return env


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def compose_program() -> list[str] | None:
    """Return the command of Docker Compose 2, None when there is none on this machine."""
    for program in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(program[0]):
            asked = [*program, "version", "--short"]
            answer = subprocess.run(asked, check=False, capture_output=True, text=True)
            if answer.returncode == 0 and not answer.stdout.startswith("1."):
                return program
    return None
